# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""How far a download on a host has come: what is asked there, and what people are told."""

from __future__ import annotations

import dataclasses
import json
import shlex
import typing as t

from ._marked_output import BEGIN, END

_MIB = 1024**2
_GIB = 1024**3
_MARK = "mlops.hosts:next:"


@dataclasses.dataclass(frozen=True)
class Progress:
    """As the module notes it in the store. ``at_s`` is when, on the host's own clock."""

    at_s: float
    there: int
    total: int
    files: int
    of_files: int


@dataclasses.dataclass(frozen=True)
class State:
    """A job at one time. ``finished`` is None where its file says nothing that can be understood, ``running`` where the
    host does not say it."""

    progress: Progress | None = None
    finished: bool | None = None
    boot: str = ""
    running: bool | None = None


def command(progress: str, job: str) -> str:
    """Prints how many processes the job has, what is noted, what the job says, and which boot of the host this is.

    The processes come first: one that has ended by then has said before how it ended.
    """
    # Ansible's wrapper and what it forks have the job's name as an argument; grep has it in another form.
    name = job.rpartition("/")[2].partition(".")[0]
    running = (
        f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\000' '\\n' | grep -cxe {shlex.quote(f'[{name[:1]}]{name[1:]}')}"
    )
    files = [f"cat {shlex.quote(path)} 2>/dev/null" for path in (progress, job, "/proc/sys/kernel/random/boot_id")]
    printed = f"; echo; echo {_MARK}; ".join([running, *files])
    return f"echo {BEGIN}; {printed}; echo {END}"


def state(said: str) -> State:
    """What ``command`` printed, between its marks."""
    parts = said.split(_MARK)
    if len(parts) != 4:
        return State()
    noted, job = (_json(part) for part in parts[1:3])
    processes = parts[0].strip()
    try:
        found = noted or {}
        counts = (int(found[key]) for key in ("bytes", "of_bytes", "files", "of_files"))
        progress = Progress(float(found["at_s"]), *counts)
    except (KeyError, TypeError, ValueError):
        progress = None
    # A result of a module has none of Ansible's own two words.
    finished = None if job is None else "started" not in job or bool(job.get("finished"))
    boot = parts[3].strip()
    # Both come from /proc: where there is no boot, nobody counted.
    running = bool(int(processes)) if boot and processes.isdecimal() else None
    return State(progress, finished, boot, running)


def words(now: Progress, before: Progress | None) -> str:
    """One line. ``before`` is what was told last."""
    said = f"{_gib(now.there)} of {_gib(now.total)} GiB, {now.files} of {now.of_files} files"
    if before is None or now.at_s <= before.at_s:
        return said
    seconds = now.at_s - before.at_s
    speed = max(0, now.there - before.there) / seconds
    if not speed:
        return f"{said}, nothing came in the last {seconds:.0f} s"
    return f"{said}, {speed / _MIB:.1f} MiB/s, {_duration((now.total - now.there) / speed)} left at that speed"


def to_come(count: int) -> str:
    return f"{_gib(count)} GiB to fetch"


def _json(text: str) -> dict[str, t.Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
