# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What both modules answer: the same keys, whatever happened."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drift import Drift
from .._errors import HostError
from .._gpu.types import Gpu, Process
from .select import named

View = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Options:
    """``reset``: whether an idle GPU may be reset to end what is pending. ``services``: units to stop around that, and
    around what programs would notice. ``root``: where the host's files are."""

    reset: bool = False
    services: tuple[str, ...] = ()
    cdi_refresh: bool = True
    root: str = "/"


@dataclasses.dataclass(frozen=True)
class Pending:
    """A setting that the device has taken, and that counts after ``ends_with``."""

    gpu: str
    setting: str
    current: str | None
    pending: str | None
    ends_with: str


@dataclasses.dataclass(frozen=True)
class Blocker:
    """A process that keeps a GPU busy. ``command`` has no arguments: they can be secrets."""

    gpu: str
    pid: int
    command: str | None


@dataclasses.dataclass(frozen=True)
class GpuDrift(Drift):
    """``gpu`` as messages call it."""

    gpu: str

    @classmethod
    def of(cls, gpu: Gpu, attribute: str, want: t.Any, have: t.Any) -> GpuDrift:
        return cls("gpu", str(gpu.uuid), attribute, want, have, named(gpu))

    @property
    def sentence(self) -> str:
        return f"{self.gpu}: {self.attribute} is {_text(self.have)}, and should be {_text(self.want)}."


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run has done, or would do. ``problems`` are sentences about GPUs that are not as desired."""

    changed: bool
    before: tuple[View, ...]
    after: tuple[View, ...]
    commands: tuple[tuple[str, ...], ...] = ()
    pending: tuple[Pending, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    drift: tuple[GpuDrift, ...] = ()
    services: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    disruptive: bool = False

    def as_result(self) -> dict[str, t.Any]:
        """JSON-native return values."""
        return {
            "changed": self.changed,
            "gpus": list(self.after),
            "commands": [list(argv) for argv in self.commands],
            "pending": [dataclasses.asdict(one) for one in self.pending],
            "reset_required": any(one.ends_with == "reset" for one in self.pending),
            "reboot_required": any(one.ends_with == "reboot" for one in self.pending),
            "blockers": [dataclasses.asdict(one) for one in self.blockers],
            "drift": [one.as_row() for one in self.drift],
            "services": list(self.services),
            "disruptive": self.disruptive,
            "diff": {
                "before": {view["uuid"]: view for view in self.before},
                "after": {view["uuid"]: view for view in self.after},
            },
        }

    def must(self) -> Result:
        """Itself, if nothing is wrong. Raises HostError with all that is known otherwise."""
        if self.problems:
            raise HostError(" ".join(self.problems), **self.as_result())
        return self


def nothing() -> Result:
    """Nothing was desired."""
    return Result(False, (), ())


def ends_with(gpu: Gpu) -> str:
    """What makes a pending setting count. A GPU that was passed into a virtual machine cannot be reset from inside."""
    return "reboot" if gpu.virtualization_mode == "pass_through" else "reset"


def blocker(gpu: Gpu, process: Process) -> Blocker:
    return Blocker(str(gpu.uuid), process.pid, process.name)


def in_the_way(blockers: t.Sequence[Blocker]) -> str:
    """A list of processes for a sentence."""
    return ", ".join(f"{one.command or 'a process'} (pid {one.pid})" for one in blockers)


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return "enabled" if value else "disabled"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "none"
    return "unknown" if value is None else str(value)
