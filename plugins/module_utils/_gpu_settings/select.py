# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which GPUs an entry means, and what each of them is to be."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from .._errors import HostError
from .._gpu.pci import normal_address
from .._gpu.types import Gpu

Entry = t.Mapping[str, t.Any]
Desired = dict[str, t.Any]

_INDEX = re.compile(r"\d+(\s*,\s*\d+)*")


def named(gpu: Gpu) -> str:
    """A GPU as messages call it: by what does not change."""
    return f"{gpu.name or 'the GPU'} at {gpu.pci_address} ({gpu.uuid})"


def check(select: str) -> str:
    """The selector, without blanks. Raises HostError for one that is no identity of a GPU."""
    text = select.strip()
    if _INDEX.fullmatch(text):
        raise HostError(
            f"select is {select!r}, an index, and an index is not an identity: it changes when a GPU is added, lost or "
            "found in another order. Name the GPU by UUID or PCI address, its model by a pattern, or write all"
        )
    if text.upper().startswith("MIG-"):
        raise HostError(f"select is {select!r}, a MIG device; settings are those of a GPU, so give the UUID of its GPU")
    if not text:
        raise HostError("select is empty; give a UUID, a PCI address, a pattern for the model, or all")
    return text


def matches(select: str, gpu: Gpu) -> bool:
    """Whether a selector that was checked means this GPU."""
    address = normal_address(select)
    if address is not None:
        return gpu.pci_address == address
    text = select.lower()
    if text.startswith("gpu-"):
        return (gpu.uuid or "").lower() == text
    return text == "all" or fnmatch.fnmatchcase((gpu.name or "").lower(), text)


def resolve(gpus: t.Sequence[Gpu], entries: t.Sequence[Entry]) -> tuple[dict[str, Desired], list[str]]:
    """What is desired of each GPU, by UUID, and a sentence for each entry that is wrong.

    Entries are ``{"select": ..., <key>: <value>}``; None is left out. A GPU may be selected by several, if they agree.
    """
    desired: dict[str, Desired] = {}
    origins: dict[tuple[str, str], str] = {}
    problems: list[str] = []
    for entry in entries:
        values = {key: value for key, value in entry.items() if key != "select" and value is not None}
        try:
            select = check(str(entry["select"]))
        except HostError as exc:
            problems.append(f"{exc}.")
            continue
        meant = [gpu for gpu in gpus if matches(select, gpu)]
        if not meant:
            there = ", ".join(named(gpu) for gpu in gpus) or "none"
            problems.append(f"select {select!r} matches no GPU. There are: {there}.")
        for gpu in meant:
            one = desired.setdefault(gpu.uuid or "", {})
            for key, value in values.items():
                if key in one and one[key] != value:
                    problems.append(
                        f"{named(gpu)} is meant by {origins[gpu.uuid or '', key]!r} with {key} {one[key]} and by "
                        f"{select!r} with {key} {value}; let them agree, or select each GPU once."
                    )
                    continue
                one[key] = value
                origins[gpu.uuid or "", key] = select
    return desired, problems
