# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where in the journal a shipper goes on that keeps its place as a cursor in a file.

What it had read and only held in memory is lost when it is killed, and its place is behind it. So after such an end its
place is set back, before as many lines of each sink as can have been in memory, and not before the place where it
began: the journal is the durable buffer, and lines may arrive twice. A place that was lost itself is taken from a copy.
"""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

from .._errors import HostError
from .._journal import argv, entry, place
from .._runner import Running
from .plan import FIELDS, Plan, Sink

# Of the window of RELP, and of a batch that was taken out of the memory and not yet on its way.
ON_THEIR_WAY = 2200
# An end of the search, where lines of a sink are rare: systemd gives a start 90 s.
SEARCH_S = 45


class Reader(t.Protocol):
    """Entries of the journal, with their fields, from a cursor on, which is among them where it is still there."""

    def __call__(self, cursor: str, *, reverse: bool) -> t.ContextManager[t.Iterator[t.Mapping[str, t.Any]]]:
        """From the newest on with ``reverse``."""


class Journalctl:
    """A Reader. It ends when its context does."""

    def __init__(self, cursor: str, *, reverse: bool) -> None:
        way = ("--reverse",) if reverse else ()
        self._running = Running(*argv(f"--cursor={cursor}", f"--output-fields={FIELDS}", *way))

    def __enter__(self) -> t.Iterator[t.Mapping[str, t.Any]]:
        return self._entries(self._running.__enter__())

    def __exit__(self, *error: object) -> None:
        self._running.__exit__(*error)

    @staticmethod
    def _entries(running: Running) -> t.Iterator[t.Mapping[str, t.Any]]:
        while (lines := running.read(60)) is not None:
            yield from map(entry, lines)
        done = running.completed()
        if done.rc != 0:
            raise HostError(f"the journal could not be read: {done.last_words}")


def before_start(plan: Plan, spool: Path, reader: Reader, clock: t.Callable[[], float] = time.monotonic) -> list[str]:
    """Sets the place where it has to be, and returns sentences on what was found."""
    state, copy, since, running = Path(plan.state), spool / "journal.copy", spool / "journal.since", spool / "running"
    said = []
    cursor = _cursor(state)
    if cursor is None and (cursor := _cursor(copy)) is not None:
        said.append("The place in the journal was lost; going on at the last one that is known.")
        _write(state, cursor)
    if cursor is not None:
        said += _gone(cursor, reader)
        if running.exists():
            cursor, lines, whole = _set_back(cursor, _cursor(since), plan.sinks, reader, clock)
            said.append(f"It did not end by itself; {lines} lines that may have been in memory are read again.")
            if not whole:
                said.append(f"The search for such lines ended after {SEARCH_S} s: older ones may be lost.")
            _write(state, cursor)
        # What is in a buffer on disk comes into memory, too, and was read before.
        if not _buffered(spool, plan.sinks):
            _write(since, cursor)
    running.touch()
    return said


def after_stop(plan: Plan, spool: Path, *, clean: bool) -> None:
    """``clean``: it ended by itself, with all that was in memory on disk."""
    cursor = _cursor(Path(plan.state))
    if cursor is not None:
        _write(spool / "journal.copy", cursor)
    if clean:
        (spool / "running").unlink(missing_ok=True)


def _cursor(path: Path) -> str | None:
    """None where there is no file, or none with a cursor in it."""
    try:
        cursor = path.read_text(errors="replace").strip()
        place(cursor)
    except (OSError, HostError):
        return None
    return cursor


def _write(path: Path, cursor: str) -> None:
    staged = path.with_name(f"{path.name}.new")
    staged.write_text(cursor)
    os.replace(staged, path)


def _gone(cursor: str, reader: Reader) -> list[str]:
    """What was removed from the journal before it was read."""
    here = place(cursor)
    with reader(cursor, reverse=False) as entries:
        first = next(entries, None)
    if first is None:
        return []
    found = place(first["__CURSOR"])
    if found.entry == here.entry or found.time_us <= here.time_us:
        return []
    if found.series != here.series:
        return ["Entries of the journal were removed before they were read; how many is not known."]
    gone = found.number - here.number - 1
    return [f"{gone} entries of the journal were removed before they were read."] if gone > 0 else []


def _buffered(spool: Path, sinks: t.Sequence[Sink]) -> bool:
    """Whether lines of a sink may wait on disk. rsyslog 8.2608 leaves a file that says how it writes them, and moves
    away those that it cannot read."""
    names = [path.name for sink in sinks for path in spool.glob(f"{sink.name}.*")]
    return not all(name.endswith(".da-engine") or ".bad." in name for name in names)


def _set_back(
    cursor: str, since: str | None, sinks: t.Sequence[Sink], reader: Reader, clock: t.Callable[[], float]
) -> tuple[str, int, bool]:
    """The cursor before what may have been in memory, how many entries after it are for a sink, and whether it was
    reached in time. ``since``: nothing up to there was in memory."""
    left = {sink.name: sink.memory + ON_THEIR_WAY for sink in sinks if sink.flows}
    lines, end = 0, clock() + SEARCH_S
    with reader(cursor, reverse=True) as entries:
        for one in entries:
            # The entry at the place is not read again.
            cursor = one["__CURSOR"]
            if since is not None and _up_to(cursor, since):
                break
            taken = [sink.name for sink in sinks if any(flow.takes(one) for flow in sink.flows)]
            lines += bool(taken)
            for name in taken:
                left[name] -= 1
            if all(number <= 0 for number in left.values()):
                break
            if clock() >= end:
                return cursor, lines, False
    return cursor, lines, True


def _up_to(cursor: str, since: str) -> bool:
    here, there = place(cursor), place(since)
    return here.number <= there.number if here.series == there.series else here.time_us < there.time_us
