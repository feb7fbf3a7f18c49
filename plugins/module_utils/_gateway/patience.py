# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asking a gateway that somebody may be reloading: a master that replaces itself has no socket for a moment, and what
two questions say need not be of one worker."""

from __future__ import annotations

import dataclasses
import typing as t

from .cli import NoAnswer
from .host import Gateway
from .parse import Info, Processes, Server, Stat

_LIMIT_S = 5.0
_POLL_S = 0.05
T = t.TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Seen:
    """One look at all workers. ``stats``: by process id; ``rows``: the servers of the worker that serves."""

    processes: Processes
    serving: Info
    stats: t.Mapping[int, Stat]
    rows: tuple[Server, ...]

    @property
    def load(self) -> Stat:
        """Of the worker that serves."""
        return self.stats[self.serving.pid]


def seen(gateway: Gateway) -> Seen:
    """What is seen within one worker's time."""
    return answered(gateway, lambda: _look(gateway))


def answered(gateway: Gateway, ask: t.Callable[[], T]) -> T:
    """What is asked, again for a while when there is NoAnswer of a gateway that is there."""
    until = gateway.clock() + _LIMIT_S
    while True:
        try:
            return ask()
        except NoAnswer:
            if gateway.clock() >= until or not gateway.is_up():
                raise
        gateway.sleep(_POLL_S)


def _look(gateway: Gateway) -> Seen:
    there, serving = gateway.processes(), gateway.info()
    stats, rows = gateway.stats(there, serving.pid), gateway.servers()
    now = gateway.info().pid
    if now != serving.pid or now not in {one.pid for one in there.workers}:
        raise NoAnswer(f"worker {now} has taken the place of another meanwhile")
    return Seen(there, serving, stats, rows)
