# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which lines wait in the shipper of a host, and for which sinks a change would lose them.

No shipper tells how many lines wait for a sink in memory, on disk and in the journal together. So they are estimated:
lines of the journal that the sink has not been given, or that came since it takes none.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import time
import typing as t
from pathlib import Path

from .._errors import HostError
from .._journal import Place, argv, place
from .._runner import Runner, Running, must
from . import plan as plans
from . import ready
from .place import Journalctl
from .plan import FIELDS, Plan, Sink

# rsyslog writes its place once for so many entries: what is after it may have been read.
_PLACE_EVERY = 500
# What is on its way is sent, or is sent no more, within this time.
_ON_THEIR_WAY_S = 3.0
_POLL_S = 0.5
# A sink of syslog-ng that is being tried for has its lines in no counter for a moment.
_LEAST_S = 1.0
_CONNECT_S = 3
# An end of the count.
_COUNT_S = 20.0
# rsyslog may notice so much later that a sink takes no lines: a line into a connection that is dead seems to be sent.
_NOTICED_US = 2_000_000
# What it logs: that it starts, and what becomes of a sink.
_TURN = re.compile(
    r"(?m)^(\d+[.]\d+) .*(?:action 'mlops_sink_([A-Za-z0-9_-]+)' (suspended|resumed)|software=\"rsyslogd\".* start$)"
)
# A sink that was down before a start, and for which lines waited, is down again so soon after it.
_AGAIN_US = 60_000_000
# Of its log, an end of what is looked at.
_LOG_LINES = 20_000
_CURSOR = re.compile(rb"s=[0-9a-f]{32};i=[0-9a-f]+;b=[0-9a-f]{32};m=[0-9a-f]+;t=[0-9a-f]+;x=[0-9a-f]+")
_COUNTER = re.compile(r"(?m)^dst[.][^;]*;mlops_sink_([A-Za-z0-9_-]+)#\d+;.*;(queued|processed|dropped|written);(\d+)$")
# Which provider has its place in which file.
_PROVIDERS = {"journal.state": "rsyslog", "syslog-ng.persist": "syslog_ng"}
# rsyslog before 8.2610: the first line of each that waits on disk.
_ON_DISK = re.compile(rb"(?m)^<Obj:\d+:msg:")

Entries = t.Callable[[str], t.ContextManager[t.Iterator[t.Mapping[str, t.Any]]]]


class From(Journalctl):
    """Entries of the journal from where an option of journalctl says."""

    def __init__(self, start: str) -> None:
        self._running = Running(*argv(start, f"--output-fields={FIELDS},MLOPS_TEST_MARK"))


@dataclasses.dataclass(frozen=True)
class Waiting:
    """About so many ``lines`` for a sink, None where that is not known. ``since_us``: from when on it takes none,
    microseconds since 1970, None where that is not known."""

    sink: str
    lines: int | None
    since_us: int | None = None


@dataclasses.dataclass(frozen=True)
class Host:
    """What is asked. ``spool`` is where the shipper has its buffers."""

    run: Runner
    entries: Entries
    spool: Path
    now: t.Callable[[], float] = time.time
    sleep: t.Callable[[float], None] = time.sleep


def lost(old: Plan, desired: Plan | None) -> list[Sink]:
    """Sinks whose lines that wait would not be sent any more. ``desired`` None: the shipper goes.

    Lines in the journal are sent to the sink of that name, or to a new one that takes the same. A buffer on disk is
    read by the same provider for the same sink, and by nobody else.
    """
    if desired is None or old.provider != desired.provider:
        return list(old.sinks)
    earlier, later = {sink.name for sink in old.sinks}, {sink.name: sink for sink in desired.sinks}
    heirs = [sink.flows for sink in desired.sinks if sink.name not in earlier and sink.buffer == ""]
    found = []
    for sink in old.sinks:
        heir = later.get(sink.name)
        if heir is None:
            stays = sink.buffer == "" and bool(sink.flows) and sink.flows in heirs
        else:
            stays = sink.buffer in ("", None) or heir.buffer == sink.buffer
        if not stays:
            found.append(sink)
    return found


def waiting(plan: Plan, sinks: t.Sequence[Sink], host: Host) -> list[Waiting]:
    """For which of ``sinks`` lines wait. It takes seconds where some do."""
    if not sinks:
        return []
    shown = must(
        host.run("systemctl", "show", "--property=ActiveState", plan.unit),
        f"the state of {plan.unit} could not be read",
    )
    runs = shown.stdout.strip().partition("=")[2] in ("active", "reloading")
    if plan.provider == "rsyslog":
        return _of_rsyslog(plan, sinks, host, runs=runs)
    if plan.provider == "syslog_ng":
        return _of_syslog_ng(plan, sinks, host, runs=runs)
    quiet = ready.quiet_sinks(plan, _CONNECT_S) if runs else {sink.name for sink in sinks}
    # The others do not tell how many.
    return [Waiting(sink.name, None) for sink in sinks if sink.name in quiet]


def _of_rsyslog(plan: Plan, sinks: t.Sequence[Sink], host: Host, *, runs: bool) -> list[Waiting]:
    # One that ended with all sent has no sink that is down.
    down = _suspended(plan, host.run) if (host.spool / "running").exists() else {}
    until_us = int(host.now() * 1e6)

    def counted() -> dict[str, int]:
        return _count(sinks, host, _place(plan), down, until_us=until_us, skip=_PLACE_EVERY if runs else 0)

    lines = counted()
    if runs and any(number and name not in down for name, number in lines.items()):
        host.sleep(_ON_THEIR_WAY_S)
        lines = counted()
    found = []
    for sink in sinks:
        number, since_us = lines[sink.name], down.get(sink.name)
        if since_us is not None or not runs:
            number = max(number, _on_disk(host.spool, sink.name))
        # It takes none since it was given the first of them.
        number = max(number, 1) if since_us is not None else number
        if number:
            found.append(Waiting(sink.name, number, since_us))
    return found


def _suspended(plan: Plan, run: Runner) -> dict[str, int]:
    """Sinks that take no lines, or took none when it ended, and since when (µs since 1970)."""
    said = run(
        "journalctl",
        "--quiet",
        "--no-pager",
        "--output=short-unix",
        f"--lines={_LOG_LINES}",
        f"_SYSTEMD_UNIT={plan.unit}",
    )
    before: dict[str, int] = {}
    down: dict[str, int] = {}
    started_us = 0
    for at, name, word in _TURN.findall(said.stdout):
        when_us = int(float(at) * 1e6)
        if not name:
            before, down, started_us = down, {}, when_us
        elif word == "resumed":
            before.pop(name, None)
            down.pop(name, None)
        else:
            again = when_us - started_us < _AGAIN_US
            down.setdefault(name, before.get(name, when_us) if again else when_us)
    return down


def _place(plan: Plan) -> Place | None:
    """The last entry that counts as read, wherever in the file of its place the cursor is."""
    try:
        found = _CURSOR.findall(Path(plan.state).read_bytes())
    except OSError:
        return None
    return max((place(cursor.decode()) for cursor in found), key=lambda one: one.time_us, default=None)


def _count(
    sinks: t.Sequence[Sink],
    host: Host,
    at: Place | None,
    down: t.Mapping[str, int],
    *,
    until_us: int,
    skip: int = 0,
) -> dict[str, int]:
    """Lines of each sink that the journal had at ``until_us``, from ``skip`` entries after the place on, and of one in
    ``down`` since then."""
    lines = {sink.name: 0 for sink in sinks}
    starts = [down[name] - _NOTICED_US for name in lines if name in down] + ([at.time_us] if at else [])
    if not starts:
        return lines
    end, after = host.now() + _COUNT_S, 0
    with host.entries(f"--since=@{min(starts) / 1e6:.6f}") as entries:
        for one in entries:
            when_us = place(one["__CURSOR"]).time_us
            if when_us > until_us or host.now() >= end:
                break
            after += at is not None and when_us > at.time_us
            if one.get("MLOPS_TEST_MARK"):
                continue
            for sink in sinks:
                is_due = after > skip or (sink.name in down and when_us >= down[sink.name] - _NOTICED_US)
                lines[sink.name] += is_due and any(flow.takes(one) for flow in sink.flows)
    return lines


def _on_disk(spool: Path, name: str) -> int:
    """Lines in a buffer on disk of rsyslog. Some of the first file may have been sent."""
    files = [path for path in spool.glob(f"{name}.*") if re.fullmatch(r"[0-9]+", path.suffix[1:])]
    return sum(len(_ON_DISK.findall(path.read_bytes())) for path in files)


def _of_syslog_ng(plan: Plan, sinks: t.Sequence[Sink], host: Host, *, runs: bool) -> list[Waiting]:
    try:
        stuck = _stuck(plan, host) if runs else {}
    except HostError:
        # One that does not tell may have some for each.
        return [Waiting(sink.name, None) for sink in sinks]
    lines = _count(sinks, host, _place(plan), {}, until_us=int(host.now() * 1e6))
    found = []
    for sink in sinks:
        # What its place is behind waits for a sink that blocks; it is the same place for all of these.
        journal = lines[sink.name] if sink.buffer in ("", None) and (not runs or sink.name in stuck) else 0
        if number := max(journal, stuck.get(sink.name, 0)):
            found.append(Waiting(sink.name, number))
    return found


def _stuck(plan: Plan, host: Host) -> dict[str, int]:
    """How many lines wait for each sink that has not sent within seconds what it had."""
    waits: dict[str, tuple[int, int]] = {}
    sent: set[str] = set()
    began = host.now()
    while True:
        for name, (number, written) in _counters(plan, host.run).items():
            if name in sent:
                continue
            first = waits.get(name)
            if first and written - first[1] >= first[0]:
                del waits[name]
                sent.add(name)
            elif number and (first is None or (number > first[0] and written == first[1])):
                waits[name] = number, written
        passed = host.now() - began
        if passed >= _ON_THEIR_WAY_S or (passed >= _LEAST_S and not waits):
            return {name: number for name, (number, _written) in waits.items()}
        host.sleep(_POLL_S)


def _counters(plan: Plan, run: Runner) -> dict[str, tuple[int, int]]:
    """How many lines wait for each sink, and how many it has sent since the start.

    Those in a request are not queued, and those that were on disk before the start are not processed.
    """
    control = f"--control={plan.receipts}/syslog-ng.ctl"
    said = must(run("syslog-ng-ctl", "stats", control), "syslog-ng does not tell what waits")
    found: dict[str, dict[str, int]] = {}
    for name, counter, number in _COUNTER.findall(said.stdout):
        counters = found.setdefault(name, dict.fromkeys(("queued", "processed", "dropped", "written"), 0))
        counters[counter] = max(counters[counter], int(number))
    return {
        name: (max(at["queued"], at["processed"] - at["dropped"] - at["written"]), at["written"])
        for name, at in found.items()
    }


def collect(path: Path, desired: t.Mapping[str, t.Any] | None, host: Host) -> dict[str, t.Any]:
    """The return values of the module ``log_shipper_info``. ``path``: of the plan on the host. ``desired``: a plan."""
    try:
        raw = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {"provider": None, "sinks": []}
    except OSError as exc:
        raise HostError(f"{path} cannot be read: {exc.strerror}") from exc
    try:
        old = plans.read(raw, str(path))
    except HostError:
        if desired is None:
            raise
        # The role is about to write it anew, which is the cure.
        return {"provider": None, "sinks": []}
    old = old if old.provider else dataclasses.replace(old, provider=_PROVIDERS.get(Path(old.state).name, ""))
    sinks = list(old.sinks) if desired is None else lost(old, plans.read(json.dumps(desired), "the desired plan"))
    return {
        "provider": old.provider or None,
        "sinks": [
            {"name": one.sink, "lines": one.lines, "since": _shown(one.since_us)} for one in waiting(old, sinks, host)
        ],
    }


def _shown(when_us: int | None) -> str | None:
    if when_us is None:
        return None
    return datetime.datetime.fromtimestamp(when_us // 1_000_000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
