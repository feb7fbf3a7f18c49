# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""GPUs by instance type: rows of gpu_instances.csv, where each is from in gpu_sources.csv."""

from __future__ import annotations

import csv
import dataclasses
import functools
import pathlib
import typing as t

FOLDER = pathlib.Path(__file__).parent
ACCELERATORS = "google_accelerator"


@dataclasses.dataclass(frozen=True)
class Gpu:
    """GPUs that a machine is rented with.

    ``memory_gb`` is the size of one that its vendor names it by, what programs see is less. ``partial`` are parts of a
    GPU, which need the vendor's vGPU driver.
    """

    vendor: str
    model: str
    count: int
    memory_gb: int
    partial: bool


def of_instance(instance_type: str | None) -> Gpu | None:
    """None for a type without GPUs, and for one that is not known. Azure's names are the same in any case."""
    found = _table().get(str(instance_type).lower())
    return found[1] if found and found[0] != ACCELERATORS else None


def of_accelerators(items: t.Any) -> Gpu | None:
    """Of ``guest_accelerator`` of a Google machine: ``[{"type": "nvidia-tesla-t4", "count": 1}]``.

    A type may be a link that ends with its name. None without one, with two kinds, or with one that is not known.
    """
    kinds = [item for item in items or () if item.get("count")]
    if len(kinds) != 1:
        return None
    found = _table().get(str(kinds[0].get("type")).rpartition("/")[2].removesuffix("-vws").lower())
    if found is None or found[0] != ACCELERATORS:
        return None
    return dataclasses.replace(found[1], count=int(kinds[0]["count"]))


@functools.cache
def _table() -> dict[str, tuple[str, Gpu]]:
    """By the type in small letters: the cloud, and its GPUs."""
    with open(FOLDER / "gpu_instances.csv", encoding="utf-8", newline="") as file:
        return {
            row["instance_type"].lower(): (
                row["cloud"],
                Gpu(row["vendor"], row["model"], int(row["count"]), int(row["memory_gb"]), row["partial"] == "true"),
            )
            for row in csv.DictReader(file)
        }
