# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Who changes a host, over all the tasks of a run: a file on the host, for no process of the run stays there."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import typing as t

from . import _text_file
from ._errors import HostError

FOLDER = "/var/lib/mlops.hosts"
_NAME = "run_lock.json"

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "purpose": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["locked", "unlocked"], "required": True},
    "take_over": {"type": "bool", "default": False},
    "_run": {
        "type": "dict",
        "options": {
            "controller": {"type": "str", "required": True},
            "kernel": {"type": "str", "default": ""},
            "pid": {"type": "int", "required": True},
            "process_start": {"type": "str", "default": ""},
            "since": {"type": "str", "required": True},
        },
    },
    "_instead_of": {"type": "dict"},
}


@dataclasses.dataclass(frozen=True)
class Holder:
    """A run of ``ansible-playbook``: the name and the process id where it runs, and when it locked (ISO 8601, UTC).

    ``kernel`` tells two controllers of one name from each other, ``process_start`` two processes of one id; both are
    empty where the controller does not say.
    """

    purpose: str
    controller: str
    kernel: str
    pid: int
    process_start: str
    since: str

    def is_run_of(self, other: Holder) -> bool:
        """Whether it is the same run, whatever it does now."""
        mine, its = ((one.controller, one.kernel, one.pid, one.process_start) for one in (self, other))
        return mine == its

    def __str__(self) -> str:
        return f"{self.purpose}, run from {self.controller}, pid {self.pid}, since {self.since}"


def holder(data: t.Mapping[str, t.Any]) -> Holder:
    """Of a file, or of a module's arguments. KeyError, TypeError and ValueError where it is none."""
    values = {field.name: data[field.name] for field in dataclasses.fields(Holder)}
    return Holder(**{**values, "pid": int(values["pid"])})


@dataclasses.dataclass(frozen=True)
class Locked:
    """``holder``: who has the host now, None where nobody has."""

    changed: bool
    holder: Holder | None


def lock(me: Holder, *, instead_of: Holder | None = None, folder: str = FOLDER, dry_run: bool = False) -> Locked:
    """For this run, if nobody has it, or if ``instead_of`` has: a run that has ended without a word."""
    if dry_run and not os.path.isdir(folder):
        return Locked(True, me)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with _alone(folder):
        there = _read(folder)
        if there is not None and there.is_run_of(me):
            return Locked(False, there)
        if there is not None and there != instead_of:
            return Locked(False, there)
        if not dry_run:
            _write(folder, me)
        return Locked(True, me)


def unlock(me: Holder, *, folder: str = FOLDER, dry_run: bool = False) -> Locked:
    """What another run has locked stays so."""
    if not os.path.isdir(folder):
        return Locked(False, None)
    with _alone(folder):
        there = _read(folder)
        if there is None or not there.is_run_of(me):
            return Locked(False, there)
        if not dry_run:
            os.unlink(os.path.join(folder, _NAME))
        return Locked(True, None)


@contextlib.contextmanager
def _alone(folder: str) -> t.Iterator[None]:
    """Reading and writing is one step. The kernel frees it with the process."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(folder: str) -> Holder | None:
    path = os.path.join(folder, _NAME)
    try:
        with open(path, encoding="utf-8") as file:
            return holder(json.load(file))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as exc:
        raise HostError(f"{path} does not say which run has locked this host; remove it when none is at work") from exc


def _write(folder: str, me: Holder) -> None:
    text = json.dumps(dataclasses.asdict(me), indent=2, sort_keys=True) + "\n"
    _text_file.write(os.path.join(folder, _NAME), text, mode=0o600, durable=True)
