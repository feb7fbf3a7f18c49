# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the gateway is, on its host. Neither keys nor their hashes are among it."""

from __future__ import annotations

import typing as t

from .. import _certificates as certificates
from .._errors import HostError
from .._preflight import parse_ip
from . import config, parse
from .cli import NoAnswer
from .host import Gateway, overdue, reasons
from .patience import Seen, seen


def collect(gateway: Gateway) -> dict[str, t.Any]:
    """The return values of gateway_info."""
    try:
        # A reload that is under way is waited for: what runs is known at its end.
        with gateway.locked():
            now = seen(gateway)
            found = gateway.files(now.processes.master)
            running = gateway.recorded()
    except NoAnswer as exc:
        return {**_NOTHING, "reasons": [str(exc)], **_certificates(gateway, gateway.files(None).config)}
    differ = reasons(found, running, now.serving.pid)
    told = _certificates(gateway, found.config)
    late = overdue(now.processes.workers, now.serving, found.config)
    if now.processes.master.failed:
        told["problems"].append("the last reload has failed, and the worker before it serves: see the log of the unit")
    told["problems"] += _unresolved(gateway, found.config)
    return {
        "running": True,
        "matches_disk": not differ,
        "reasons": differ,
        "version": now.serving.version,
        "workers": [
            {
                "pid": one.pid,
                "serving": one.pid == now.serving.pid,
                "uptime_s": one.uptime_s,
                "open": now.stats[one.pid].sessions if one.pid in now.stats else None,
                "overdue": one.pid in late,
            }
            for one in now.processes.workers
            if one.pid in now.stats or one.pid in late
        ],
        "servers": [as_row(row, now) for row in now.rows],
        **told,
    }


def as_row(row: parse.Server, now: Seen) -> dict[str, t.Any]:
    """One server; its open streams are those of all workers."""
    # A reload can have taken it away.
    load = {(one.backend, one.server): one for one in now.load.servers}.get((row.backend, row.name))
    return {
        "backend": row.backend,
        "server": row.name,
        "host": row.host,
        "instance": row.instance,
        "address": row.address,
        "port": int(row.port),
        "state": row.state,
        "open": open_streams(now.stats.values(), {(row.backend, row.name)}),
        "queued": load.queued if load else 0,
        "weight": row.weight,
        "check_status": load.check_status if load else "",
    }


def open_streams(stats: t.Iterable[parse.Stat], names: t.Collection[tuple[str, str]]) -> int:
    """Streams that these servers have, and requests that wait for one of them, in all workers."""
    loads = (load for stat in stats for load in stat.servers)
    return sum(load.open + load.queued for load in loads if (load.backend, load.server) in names)


def _certificates(gateway: Gateway, found: config.Config) -> dict[str, t.Any]:
    """A file that cannot be read is a problem of its own, and no reason to say nothing of the rest."""
    now = gateway.now()
    try:
        read = gateway.certificates(found)
    except HostError as exc:
        return {"certificates": [], "problems": [str(exc)]}
    problems = [certificates.problem(one, now) or certificates.warning(one, now) for one in read]
    return {"certificates": [one.as_row(now) for one in read], "problems": [one for one in problems if one]}


def _unresolved(gateway: Gateway, found: config.Config) -> t.Iterator[str]:
    """A worker that runs goes on with the address that it knows; the next one may know none."""
    servers: dict[str, list[str]] = {}
    for (backend, server), (address, _port) in sorted(found.servers.items()):
        if parse_ip(address.strip("[]")) is None:
            servers.setdefault(address, []).append(f"{backend}/{server}")
    for name, of in servers.items():
        if not gateway.resolve(name):
            yield f"{name} does not resolve here, and is the address of {', '.join(of)}: correct it, or make it known"


_NOTHING: dict[str, t.Any] = {
    "running": False,
    "matches_disk": None,
    "version": None,
    "workers": [],
    "servers": [],
}
