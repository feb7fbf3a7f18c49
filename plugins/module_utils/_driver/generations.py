# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which kernel module and which driver branches serve a GPU of NVIDIA, from its PCI id. Pure."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from . import pci_table

Flavour = t.Literal["open", "proprietary"]

GENERATIONS = tuple(pci_table.DEVICES)
# The open module needs the GSP, a processor that GPUs have from Turing on.
PROPRIETARY_ONLY = ("kepler", "maxwell", "pascal", "volta")
OPEN_ONLY = ("blackwell", "rubin")
# Grace-Hopper: of generation Hopper, and the first that the proprietary module does not drive.
_OPEN_ONLY_IDS = ("10de:2342", "10de:2348")

# Branches that first had a generation, where a source has it: Debian's nvidia-detect lists Ampere for 450 and not for
# 440; R525 brought Hopper and Ada to servers; CUDA 12.8 came with 570 for Blackwell.
FIRST_BRANCH = {"ampere": 450, "ada": 525, "hopper": 525, "blackwell": 570}
# Kepler is listed by nvidia-detect for 470 and not for 535; NVIDIA ended the others with R580.
LAST_BRANCH = {"kepler": 470, "maxwell": 580, "pascal": 580, "volta": 580}
OPEN_SINCE = 515
OPEN_FOR_ALL_SINCE = 560  # before, the open module refused most boards that are not in pci_table.OPEN_BEFORE_560
NO_PROPRIETARY_SINCE = 615  # NVIDIA's release notes of 615.71.09


@dataclasses.dataclass(frozen=True)
class Choice:
    """``flavour`` is None when there is a ``refusal``, a sentence. ``unknown`` are PCI ids that no table has."""

    flavour: Flavour | None
    refusal: str | None = None
    unknown: tuple[str, ...] = ()


@functools.cache
def _by_id() -> dict[str, str]:
    return {f"10de:{device}": name for name, devices in pci_table.DEVICES.items() for device in devices.split()}


def generation(pci_id: str) -> str | None:
    """Such as "ampere" for "10de:20b0". None for an id that the table does not have."""
    return _by_id().get(pci_id.lower())


def flavour_for(
    generations: t.Mapping[str, str | None],
    branch: int | None = None,
    desired: Flavour | None = None,
    *,
    from_vendor: bool = True,
) -> Choice:
    """The kernel module for all GPUs of a host: ``generations`` by PCI id, or by their own names.

    ``branch`` None is a branch that is not chosen yet; ``from_vendor``: the packages are NVIDIA's own, not a
    distribution's.
    """
    unknown = tuple(sorted(pci_id for pci_id, name in generations.items() if name is None))
    known = {pci_id: name for pci_id, name in generations.items() if name is not None}
    closed = {pci_id: name for pci_id, name in known.items() if name in PROPRIETARY_ONLY}
    opened = {pci_id: name for pci_id, name in known.items() if name in OPEN_ONLY or pci_id.lower() in _OPEN_ONLY_IDS}
    if closed and opened:
        return Choice(
            None,
            f"No driver serves both {_told(closed)}, which the proprietary kernel module alone drives, and "
            f"{_told(opened)}, which the open one alone drives; one of them must move to another host.",
            unknown,
        )
    refusal = (
        _refuse_branch(known, branch)
        or _refuse_flavour(closed, opened, desired)
        or _refuse_packages(branch, "proprietary" if closed else desired, from_vendor=from_vendor)
    )
    if refusal:
        return Choice(None, refusal, unknown)
    if desired:
        return Choice(desired, None, unknown)
    if unknown:
        return Choice(
            None,
            f"No table knows the PCI id {', '.join(unknown)}, so that the kernel module cannot be chosen; "
            "say which flavour it is to be, open or proprietary.",
            unknown,
        )
    if closed or not (opened or _open_supports(known, branch)):
        return Choice("proprietary")
    return Choice("open")


def _refuse_branch(known: t.Mapping[str, str], branch: int | None) -> str | None:
    if branch is None:
        return None
    dropped = {pci_id: name for pci_id, name in known.items() if LAST_BRANCH.get(name, branch) < branch}
    if dropped:
        last = min(LAST_BRANCH[name] for name in dropped.values())
        return f"Driver branch {branch} does not drive {_told(dropped)}; {last} is the last branch that does."
    later = {pci_id: name for pci_id, name in known.items() if FIRST_BRANCH.get(name, branch) > branch}
    if later:
        first = max(FIRST_BRANCH[name] for name in later.values())
        return f"Driver branch {branch} does not know {_told(later)} yet; {first} is the first branch that does."
    return None


def _refuse_flavour(closed: t.Mapping[str, str], opened: t.Mapping[str, str], desired: Flavour | None) -> str | None:
    if desired == "open" and closed:
        return (
            f"The open kernel module does not drive {_told(closed)}: it needs Turing or newer; "
            f"ask for the proprietary flavour, of branch {min(LAST_BRANCH[name] for name in closed.values())} or older."
        )
    if desired == "proprietary" and opened:
        return f"The proprietary kernel module does not drive {_told(opened)}; ask for the open flavour."
    return None


def _refuse_packages(branch: int | None, flavour: Flavour | None, *, from_vendor: bool) -> str | None:
    if branch is None:
        return None
    if flavour == "proprietary" and from_vendor and branch >= NO_PROPRIETARY_SINCE:
        return (
            f"NVIDIA's packages have no proprietary kernel module from branch {NO_PROPRIETARY_SINCE} on, and {branch} "
            "is desired; ask for the open flavour, or for branch 610 or older."
        )
    if flavour == "open" and branch < OPEN_SINCE:
        return (
            f"There is no open kernel module before branch {OPEN_SINCE}, and {branch} is desired; "
            "ask for the proprietary flavour, or for a newer branch."
        )
    return None


def _open_supports(known: t.Mapping[str, str], branch: int | None) -> bool:
    if branch is None or branch >= OPEN_FOR_ALL_SINCE:
        return True
    supported = {f"10de:{device}" for device in pci_table.OPEN_BEFORE_560.split()}
    return branch >= OPEN_SINCE and supported.issuperset(pci_id.lower() for pci_id in known)


def _told(gpus: t.Mapping[str, str]) -> str:
    names: dict[str, list[str]] = {}
    for pci_id, name in sorted(gpus.items()):
        names.setdefault(name, []).extend([] if pci_id == name else [pci_id])
    return " and ".join(
        f"{name.capitalize()} ({', '.join(ids)})" if ids else name.capitalize() for name, ids in names.items()
    )
