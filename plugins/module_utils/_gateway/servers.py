# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Servers of the gateway in and out of service, and their streams waited for."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import HostError
from . import paths
from .cli import silent
from .host import Gateway
from .info import as_row, open_streams
from .parse import Server
from .patience import Seen, answered, seen

_POLL_S = 0.5
_READY, _DRAIN, _MAINT = "ready", "drain", "maint"
# Requests go to these: one that is starting has passed its checks, and gets its share slowly.
_USABLE = ("up", "starting")
# Of `show stat`: its checks pass. One that came back says "UP 1/2" until the first check says so.
_SEEN_UP = ("UP", "no check")
Name = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Options:
    """Which servers, what becomes of them, and how long that is waited for."""

    state: str
    host: str | None = None
    server: str | None = None
    backend: str | None = None
    timeout_s: float = 0
    confirm_s: float = 0
    on_timeout: str = "fail"
    allow_last: bool = False
    keep_maint: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """``selected``: the servers that are meant; ``changes``: those that are not as desired."""

    selected: tuple[Server, ...]
    changes: tuple[Server, ...]

    @property
    def names(self) -> set[Name]:
        return {_name(row) for row in self.selected}


@dataclasses.dataclass(frozen=True)
class Waited:
    """``left``: open streams, and ``unready``: servers that are not up, at the end of the time."""

    left: int = 0
    unready: tuple[str, ...] = ()
    answered: frozenset[Name] = frozenset()


def plan(rows: t.Sequence[Server], options: Options) -> Plan:
    """Refuses what would leave a model without a server."""
    selected = tuple(row for row in rows if _is_meant(row, options))
    if not selected and (options.server or options.backend):
        there = sorted(f"{row.backend}/{row.name}" for row in rows)
        asked = ", ".join(
            f"{name} {value}" for name, value in dataclasses.asdict(options).items() if name in _SELECTORS and value
        )
        raise HostError(f"the gateway has no server of {asked}; it has {', '.join(there) or 'none'}", servers=there)
    changes = tuple(row for row in selected if _differs(row, options))
    if options.state != _READY and not options.allow_last:
        last = _left_without(rows, {_name(row) for row in changes})
        if last:
            raise HostError(
                f"no server would be left for {', '.join(last)}: clients would get 503 at once; bring another one up "
                "first, or set allow_last",
                models=last,
            )
    return Plan(selected, changes)


def converge(gateway: Gateway, options: Options, *, dry_run: bool) -> dict[str, t.Any]:
    """The return values of gateway_server."""
    with gateway.locked():
        before = answered(gateway, gateway.servers)
        planned = plan(before, options)
        if not dry_run and planned.selected:
            _apply(gateway, planned, options)
    waits = not dry_run and bool(planned.selected)
    waited = _wait(gateway, planned, options) if waits else Waited()
    result = _result(gateway, planned, options, waited, dry_run=dry_run)
    if options.on_timeout == "fail" and (waited.left or waited.unready):
        raise HostError(_late(options, waited), **result)
    return result


def _apply(gateway: Gateway, planned: Plan, options: Options) -> None:
    for row in planned.changes:
        silent(gateway.api, f"set server {row.backend}/{row.name} state {options.state}")
    there = {_name(row): row for row in gateway.servers()}
    for row in planned.changes:
        found = there.get(_name(row))
        if found is None or _differs(found, options):
            raise HostError(
                f"{row.backend}/{row.name} is {found.state if found else 'gone'} after it was set to {options.state}: "
                "does somebody else set it?"
            )
    # Also where nothing changes: a run that was killed may have set it, and not have saved it.
    saved = gateway.saved_states()
    if planned.changes or any(not _agrees(saved.get(_name(row)), there[_name(row)].state) for row in planned.selected):
        gateway.save_states(gateway.files(answered(gateway, gateway.processes).master).config)


def _wait(gateway: Gateway, planned: Plan, options: Options) -> Waited:
    begun = gateway.clock()
    first: dict[Name, int] = {}
    waited = Waited()
    while options.timeout_s > 0:
        now = seen(gateway)
        if options.state == _READY:
            waited = Waited(
                unready=tuple(_unready(now, planned, options)),
                answered=waited.answered | _answered(now, planned, first),
            )
            unproven = planned.names - waited.answered - _in_maintenance(now, options)
            done = not waited.unready and (not unproven or gateway.clock() >= begun + options.confirm_s)
        else:
            waited = Waited(left=open_streams(now.stats.values(), planned.names))
            done = not waited.left
        if done or gateway.clock() >= begun + options.timeout_s:
            return waited
        gateway.sleep(_POLL_S)
    return waited


def _answered(there: Seen, planned: Plan, first: dict[Name, int]) -> set[Name]:
    """Servers that have answered a client since ``first``, the counts at the beginning: a reload begins at 0 again."""
    now = {(load.backend, load.server): load.answers for load in there.load.servers}
    for name in planned.names & now.keys():
        first[name] = min(first.get(name, now[name]), now[name])
    return {name for name in planned.names & now.keys() if now[name] > first[name]}


def _in_maintenance(there: Seen, options: Options) -> set[Name]:
    """Servers that stay there."""
    return {_name(row) for row in there.rows if options.keep_maint and row.state == _MAINT}


def _unready(there: Seen, planned: Plan, options: Options) -> list[str]:
    status = {(load.backend, load.server): load.status for load in there.load.servers}
    return [
        f"{backend}/{name} is {status.get((backend, name), 'gone')}"
        for backend, name in sorted(planned.names - _in_maintenance(there, options))
        if status.get((backend, name)) not in _SEEN_UP
    ]


def _result(gateway: Gateway, planned: Plan, options: Options, waited: Waited, *, dry_run: bool) -> dict[str, t.Any]:
    there = seen(gateway)
    now = {_name(row): row for row in there.rows}
    changed = {_name(row) for row in planned.changes}
    servers = []
    for row in planned.selected:
        found = as_row(now.get(_name(row), row), there)
        if dry_run and _name(row) in changed:
            found["state"] = row.health if options.state == _READY else options.state
        servers.append({**found, "state_before": row.state, "answered": _name(row) in waited.answered})
    return {
        "changed": bool(planned.changes),
        "servers": servers,
        "open": sum(one["open"] for one in servers),
        "diff": {
            "before": {f"{one['backend']}/{one['server']}": one["state_before"] for one in servers},
            "after": {f"{one['backend']}/{one['server']}": one["state"] for one in servers},
        },
    }


def _late(options: Options, waited: Waited) -> str:
    if waited.unready:
        lacking = ", ".join(waited.unready)
        return f"not up {options.timeout_s:g} s after they were set to ready: {lacking}; see their checks"
    return (
        f"{waited.left} streams are open {options.timeout_s:g} s after {options.state} was set, and the servers get no "
        "new ones: wait longer (timeout_s), or set on_timeout to continue"
    )


_SELECTORS = ("host", "server", "backend")


def _is_meant(row: Server, options: Options) -> bool:
    return (
        options.host in (None, row.host)
        and options.server in (None, row.name)
        and options.backend in (None, row.backend, row.backend.removeprefix(paths.BACKEND_PREFIX))
    )


def _differs(row: Server, options: Options) -> bool:
    if options.state == _READY:
        return row.state == _DRAIN or (row.state == _MAINT and not options.keep_maint)
    # One in maintenance gets no new streams either, and who has set that wants it to stay.
    return row.state != _MAINT and row.state != options.state


def _left_without(rows: t.Sequence[Server], taken: t.Collection[Name]) -> list[str]:
    """Models of which all servers that get requests would be taken."""
    usable: dict[str, list[Name]] = {}
    for row in rows:
        if row.state in _USABLE and row.weight > 0:
            usable.setdefault(row.backend, []).append(_name(row))
    return sorted(
        backend.removeprefix(paths.BACKEND_PREFIX)
        for backend, names in usable.items()
        if all(name in taken for name in names)
    )


def _agrees(saved: str | None, state: str) -> bool:
    """Whether the next worker would keep out of service what is out of it, and nothing else."""
    out = (_DRAIN, _MAINT)
    return saved == state if saved in out or state in out else True


def _name(row: Server) -> Name:
    return row.backend, row.name
