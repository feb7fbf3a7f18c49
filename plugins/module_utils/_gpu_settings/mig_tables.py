# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads the tables of ``nvidia-smi mig``: profiles, placements, GPU instances and compute instances of one GPU."""

from __future__ import annotations

import dataclasses
import re

from .._errors import CommandError
from .._gpu.types import Gpu
from .._runner import Completed
from .select import named
from .smi import Smi, said

_PROFILE = re.compile(r"^\|\s*\d+\s+MIG (\S+)\s+(\d+)\s+(\d+)/(\d+)\s", re.MULTILINE)
_PLACEMENT = re.compile(r"^GPU\s+\d+\s+Profile ID\s+(\d+)\s+Placements?\s*:\s*\{([\d,\s]*)\}:(\d+)", re.MULTILINE)
_INSTANCE = re.compile(r"^\|\s*\d+\s+MIG (\S+)\s+(\d+)\s+(\d+)\s+(\d+):(\d+)\s*\|", re.MULTILINE)
_COMPUTE = re.compile(r"^\|\s*\d+\s+(\d+)\s+MIG (\S+)\s+\d+\s+(\d+)\s+\d+:\d+\s*\|", re.MULTILINE)
_NONE = re.compile(r"no (gpu|compute) instances found", re.IGNORECASE)
_MODE_IS_OFF = re.compile(r"no mig-(enabled|supported) devices", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Profile:
    """A kind of GPU instance that the device has; ``starts`` are the slots where one of ``size`` slots can begin."""

    name: str
    number: int
    total: int
    size: int = 0
    starts: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Instance:
    """A GPU instance, with the names of its compute instances."""

    profile: str
    number: int
    start: int
    size: int
    compute: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether one compute instance has all of it, as a program expects that is given the slice."""
        return self.compute == (self.profile,)

    @property
    def slots(self) -> range:
        return range(self.start, self.start + self.size)


def profiles(smi: Smi, gpu: Gpu) -> tuple[Profile, ...] | None:
    """What the device offers. None where its driver does not tell as long as MIG mode is off."""
    listed = _list(smi, gpu, "-lgip")
    placed = _list(smi, gpu, "-lgipp") if listed is not None else None
    if listed is None or placed is None:
        return None
    places = {
        int(number): (int(size), tuple(int(start) for start in starts.split(",") if start.strip()))
        for number, starts, size in _PLACEMENT.findall(placed.stdout)
    }
    found = []
    for name, number, _free, total in _PROFILE.findall(listed.stdout):
        if int(number) not in places:
            raise CommandError(f"nvidia-smi tells no placements of profile {name} of {named(gpu)}", placed)
        size, starts = places[int(number)]
        found.append(Profile(name, int(number), int(total), size, starts))
    if not found:
        raise CommandError(f"nvidia-smi lists no profile of {named(gpu)}, and printed: {said(listed)}", listed)
    return tuple(found)


def instances(smi: Smi, gpu: Gpu) -> tuple[Instance, ...]:
    """The GPU instances of a GPU in MIG mode, by placement."""
    listed, computed = _list(smi, gpu, "-lgi"), _list(smi, gpu, "-lci")
    compute: dict[int, list[str]] = {}
    for owner, name, _number in _COMPUTE.findall(computed.stdout if computed else ""):
        compute.setdefault(int(owner), []).append(name)
    found = [
        Instance(name, int(number), int(start), int(size), tuple(compute.get(int(number), ())))
        for name, _profile, number, start, size in _INSTANCE.findall(listed.stdout if listed else "")
    ]
    if listed and not found and not _NONE.search(listed.stdout + listed.stderr):
        raise CommandError(f"nvidia-smi lists no GPU instance of {named(gpu)}, and printed: {said(listed)}", listed)
    return tuple(sorted(found, key=lambda one: one.start))


def _list(smi: Smi, gpu: Gpu, what: str) -> Completed | None:
    """One table. None when it says that MIG mode is off."""
    done = smi.ask("mig", "-i", str(gpu.uuid), what)
    text = done.stdout + done.stderr
    if not done.timed_out:
        if _MODE_IS_OFF.search(text):
            return None
        if done.rc == 0 or _NONE.search(text):
            return done
    ended = f"did not end in {smi.timeout_s:g} s" if done.timed_out else f"exited with status {done.rc}: {said(done)}"
    raise CommandError(f"the MIG instances of {named(gpu)} could not be read: nvidia-smi mig {what} {ended}", done)
