# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the kernel of a host has logged of its GPUs, as the module ``gpu_events_info`` returns it."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import glob
import math
import time
import typing as t

from .._errors import HostError
from .._runner import Runner, Running, must
from . import journal, uuids
from .fold import Counted, Line, fold
from .parse import MARKS, Parser

_BOOTS = {"current": ["--boot=0"], "previous": ["--boot=-1"], "all": []}
_SEVERITIES = ("info", "warning", "error", "critical")
_JOURNALS = ("/var/log/journal/*/*.journal", "/run/log/journal/*/*.journal")
_NO_GREP = "pattern matching"
_UUIDS_S = 8


@dataclasses.dataclass(frozen=True)
class Query:
    """``since``: a time as journalctl takes it. ``cursor``: from an earlier answer, whose events are left out.

    ``max_events``: how many of the newest are returned. ``timeout_s``: of all reading.
    """

    boot: str
    since: str | None
    cursor: str | None
    max_events: int
    storm_window_s: float
    timeout_s: int

    def __post_init__(self) -> None:
        for name in ("max_events", "storm_window_s", "timeout_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise HostError(f"{name} must be more than 0, and is {getattr(self, name)}")
        if self.cursor:
            journal.place(self.cursor)


class _Reader:
    """Lines of interest, in order; the newest ``cursor`` after that."""

    def __init__(self, query: Query, run: Runner, stream: t.Callable[..., Running], root: str) -> None:
        self._query, self._run, self._stream = query, run, stream
        self.cursor = query.cursor
        self.log = "journal" if any(glob.glob(root + pattern) for pattern in _JOURNALS) else "dmesg"

    def lines(self) -> t.Iterator[Line]:
        return self._of_journal() if self.log == "journal" else self._of_dmesg()

    def _of_journal(self) -> t.Iterator[Line]:
        query = self._query
        argv = [f"--output-fields={journal.FIELDS}", *_BOOTS[query.boot]]
        argv += [f"--since={query.since}"] if query.since else []
        argv += [f"--after-cursor={query.cursor}"] if query.cursor else []
        pattern = [f"--grep={'|'.join(MARKS)}", "--case-sensitive=yes"]
        until = time.monotonic() + query.timeout_s
        for more in (pattern, []):
            with self._stream(*journal.argv(*argv, *more, *journal.matches())) as source:
                while (found := source.read(max(0.0, until - time.monotonic()))) is not None:
                    if time.monotonic() >= until:
                        raise HostError(
                            f"the journal must be read within {query.timeout_s} s, and has more: give a later since, "
                            "or a longer timeout_s",
                            timeout_s=query.timeout_s,
                        )
                    for raw in found:
                        line = journal.line(raw)
                        self.cursor = line.cursor
                        yield line
                done = source.completed()
            # A journalctl that was built without grep says so, and reads nothing; with 1 and no words there is nothing.
            if more and done.rc and _NO_GREP in done.stderr:
                continue
            if done.rc != 1 or done.stderr.strip():
                must(done, "the journal could not be read")
            return

    def _of_dmesg(self) -> t.Iterator[Line]:
        """Of this boot, as far as the kernel still has it."""
        query = self._query
        if query.cursor or query.boot == "previous":
            raise HostError("cursor and an earlier boot need a journal, and this host keeps none: leave them out")
        since = [f"--since={query.since}"] if query.since else []
        done = self._run("dmesg", "--kernel", "--time-format=iso", *since, timeout_s=query.timeout_s)
        must(done, "there is no journal, and the log of the kernel could not be read")
        time_us = 0
        for text in done.stdout.splitlines():
            stamp, _blank, message = text.partition(" ")
            try:
                time_us = int(datetime.datetime.fromisoformat(stamp.replace(",", ".")).timestamp() * 1_000_000)
            except ValueError:
                message = text.strip()  # more of the record before it
            yield Line(message, time_us)


def collect(
    query: Query, run: Runner, *, stream: t.Callable[..., Running] = Running, root: str = ""
) -> dict[str, t.Any]:
    """The return values of the module. Only the newest events are in memory."""
    reader, parser = _Reader(query, run, stream, root), Parser()
    kept: collections.deque[Counted] = collections.deque(maxlen=query.max_events)
    devices: dict[str | None, dict[str, t.Any]] = {}
    total = 0
    for counted in fold(reader.lines(), parser, window_s=query.storm_window_s):
        kept.append(counted)
        total += 1
        _add(devices, counted)
    known = dict(parser.uuids)
    asked = {one["pci_address"] for one in devices.values() if one["pci_address"] and one["nvidia"]}
    if asked - known.keys():
        known.update(uuids.bounded(lambda: uuids.read(run, asked, root=root), timeout_s=_UUIDS_S))
    return {
        "events": [_as_row(counted, known) for counted in kept],
        "events_left_out": total - len(kept),
        "devices": [
            {**{name: value for name, value in one.items() if name != "nvidia"}, "gpu_uuid": known.get(address or "")}
            for address, one in sorted(devices.items(), key=lambda item: item[0] or "")
        ],
        "hardware_fault": any(one["hardware_fault"] for one in devices.values()),
        "log": reader.log,
        "cursor": reader.cursor,
    }


def _add(devices: dict[str | None, dict[str, t.Any]], counted: Counted) -> None:
    event = counted.event
    one = devices.setdefault(
        event.pci_address,
        {
            "pci_address": event.pci_address,
            "lines": 0,
            "hardware_fault": False,
            "severity": "info",
            "actions": [],
            "xids": {},
            "nvidia": False,
        },
    )
    one["lines"] += counted.count
    one["hardware_fault"] = one["hardware_fault"] or event.is_hardware_fault
    one["severity"] = max(one["severity"], event.severity, key=_SEVERITIES.index)
    one["nvidia"] = one["nvidia"] or event.source in ("xid", "nvrm")
    if event.action not in one["actions"]:
        one["actions"].append(event.action)
    if event.source == "xid":
        one["xids"][str(event.code)] = one["xids"].get(str(event.code), 0) + counted.count


def _as_row(counted: Counted, known: t.Mapping[str, str]) -> dict[str, t.Any]:
    event = counted.event
    return {
        **dataclasses.asdict(event),
        "gpu_uuid": event.gpu_uuid or (known.get(event.pci_address or "") if event.source != "sxid" else None),
        "hardware_fault": event.is_hardware_fault,
        "count": counted.count,
        "first": _time(counted.first_us),
        "last": _time(counted.last_us),
        "boot_id": counted.boot_id,
    }


def _time(us: int) -> str:
    return datetime.datetime.fromtimestamp(us / 1_000_000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
