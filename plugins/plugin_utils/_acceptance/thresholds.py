# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The bandwidth that a GPU must have at least: rows of thresholds.csv with their sources, and those of the site."""

from __future__ import annotations

import csv
import dataclasses
import functools
import pathlib
import typing as t


@dataclasses.dataclass(frozen=True)
class Threshold:
    """GB/s between host and GPU, in each direction, and of a GPU that reads from another; None: not known."""

    host: float | None
    peer: float | None


@functools.cache
def known() -> dict[str, Threshold]:
    """By PCI id."""
    with open(pathlib.Path(__file__).parent / "thresholds.csv", encoding="utf-8", newline="") as file:
        return {row["pci_id"]: _threshold(row) for row in csv.DictReader(file)}


def of(pci_ids: t.Iterable[str | None], site: t.Sequence[t.Mapping[str, t.Any]]) -> Threshold | None:
    """That of a host with these GPUs, the lowest where they differ. None when one of them has none."""
    every = {**known(), **{row["pci_id"].lower(): _threshold(row) for row in site}}
    found = [every.get(pci_id or "") for pci_id in pci_ids]
    there = [threshold for threshold in found if threshold]
    if not there or len(there) < len(found):
        return None
    return Threshold(_lowest(one.host for one in there), _lowest(one.peer for one in there))


def _lowest(values: t.Iterable[float | None]) -> float | None:
    given = list(values)
    return None if None in given else min(t.cast("list[float]", given))


def _threshold(row: t.Mapping[str, t.Any]) -> Threshold:
    host, peer = row.get("host_gb_s"), row.get("peer_gb_s")
    return Threshold(float(host) if host else None, float(peer) if peer else None)
