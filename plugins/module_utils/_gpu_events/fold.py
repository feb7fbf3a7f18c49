# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Lines that say the same are one event with a count. Pure.

A batch begins with the first line of interest. It ends when no other has come for two seconds, ``window_s`` after its
first at the latest, or with MOST different events: so what is in memory is bounded whatever the kernel logs. All events
of a batch are written together, so that one place in the journal says what has been written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .parse import Event, Parser

QUIET_US = 2_000_000
MOST = 256


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the kernel log. ``time_us``: since 1970. ``cursor``: its place in the journal, empty without one."""

    text: str
    time_us: int
    cursor: str = ""
    boot_id: str | None = None


@dataclasses.dataclass(frozen=True)
class Counted:
    """An event with the number of its lines; ``event`` and ``cursor`` are those of the first of them."""

    event: Event
    count: int
    first_us: int
    last_us: int
    cursor: str
    boot_id: str | None

    @property
    def id(self) -> str:
        """The same whenever the same lines are read."""
        return hashlib.sha256(repr((self.cursor, self.event.key)).encode()).hexdigest()[:32]


class Batch:
    """The events that are not written yet. Times are those of the lines."""

    def __init__(self, window_s: float) -> None:
        self._window_us = int(window_s * 1_000_000)
        self._counted: dict[object, Counted] = {}
        self._first_us = self._last_us = 0

    def __len__(self) -> int:
        return len(self._counted)

    @property
    def events(self) -> tuple[Counted, ...]:
        return tuple(self._counted.values())

    def takes(self, time_us: int) -> bool:
        """Whether a line of this time belongs to this batch."""
        if not self._counted:
            return True
        quiet, window = time_us - self._last_us > QUIET_US, time_us - self._first_us > self._window_us
        return not quiet and not window and len(self._counted) < MOST

    def add(self, event: Event, line: Line) -> None:
        if not self._counted:
            self._first_us = line.time_us
        self._last_us = max(self._last_us, line.time_us)
        before = self._counted.get(event.key)
        if before is None:
            self._counted[event.key] = Counted(event, 1, line.time_us, line.time_us, line.cursor, line.boot_id)
        else:
            # The name of a GPU may come after its first line.
            known = before.event if before.event.gpu_uuid else event
            named = dataclasses.replace(before.event, gpu_uuid=known.gpu_uuid)
            self._counted[event.key] = dataclasses.replace(
                before, event=named, count=before.count + 1, last_us=max(before.last_us, line.time_us)
            )


def fold(lines: t.Iterable[Line], parser: Parser, *, window_s: float) -> t.Iterator[Counted]:
    """All events of lines that are in the order of their times."""
    batch = Batch(window_s)
    for line in lines:
        event = parser.read(line.text)
        if event is None:
            continue
        if not batch.takes(line.time_us):
            yield from batch.events
            batch = Batch(window_s)
        batch.add(event, line)
    yield from batch.events
