# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A reload that is checked before, and whose outcome is read: ``systemctl reload`` says yes to files that a new worker
cannot run, and stops all ports for the time in which it tries.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .. import _certificates as certificates
from .._errors import HostError
from .._runner import must
from . import maps, parse, paths, ports, state_file
from .cli import NoAnswer, worker
from .host import Files, Gateway, differences, overdue, reasons
from .patience import answered

_CHECK_S = 60
_START_S = 15.0
_RELOAD_S = 60.0
_POLL_S = 0.05
_SEVERE = re.compile(r"^\[ALERT\]\s+\(\d+\) : (.*)$", re.MULTILINE)
_BUSY = "Another reload is still in progress"


@dataclasses.dataclass(frozen=True)
class Done:
    """``worker``: the one that serves. ``maps``: those that were changed in it, where no new one was needed."""

    worker: int
    maps: tuple[str, ...] = ()


def reload(gateway: Gateway) -> Done:
    """Bring what runs to what is on disk; the old worker runs on where that is refused."""
    with gateway.locked():
        # A reload whose program was killed may still be under way.
        before, now = answered(gateway, lambda: (gateway.processes(), gateway.info()))
        serving = now.pid
        found = gateway.files(before.master)
        for pid in overdue(before.workers, now, found.config):
            gateway.end(pid)
        running = gateway.recorded()
        differ = sorted(found.digests)
        if running and running.worker == serving:
            differ = differences(found.digests, running.digests)
            loaded = parse.map_paths(gateway.api("show map"))
            if differ and all(path in loaded and path in found.digests for path in differ):
                _maps(gateway, before, found, differ)
                gateway.record(serving, found.digests)
                return Done(serving, tuple(differ))
        check(gateway, found, before, differ)
        gateway.save_states(found.config)
        new = _reload(gateway, before)
        gateway.record(new, found.digests)
        return Done(new)


def check(gateway: Gateway, found: Files, there: parse.Processes, differ: t.Collection[str]) -> None:
    """All that would make a new worker fail, or clients, before it is started."""
    # One that has expired in use is no worse with a new worker, which may be what revokes a backend.
    fresh = [one for one in gateway.certificates(found.config) if one.path in differ]
    problems = [certificates.problem(one, gateway.now()) for one in fresh]
    _refuse([one for one in problems if one])
    files = [word for path in found.texts for word in ("-f", path)]
    done = gateway.run(paths.HAPROXY, "-c", *files, timeout_s=_CHECK_S)
    severe = _SEVERE.findall(f"{done.stdout}\n{done.stderr}")
    if done.rc != 0 and severe:
        _refuse([f"haproxy -c: {severe[0]}"])
    must(done, "the gateway is not reloaded: haproxy -c refuses its files")
    pids = [there.master.pid, *(one.pid for one in there.workers)]
    ours = ports.inodes(gateway.root, pids)
    _refuse(
        [*found.config.unknown, *ports.problems(found.config.binds, ports.listening(gateway.root), ours, gateway.root)]
    )


def record(gateway: Gateway, *, master: int | None = None) -> int:
    """After a start. HAProxy 3.2 tells systemd that it runs before its worker does, so that is waited for, as long as
    the master is there."""
    until = gateway.clock() + _START_S
    while True:
        try:
            with gateway.locked():
                serving = gateway.info().pid
                there = gateway.processes()
                gateway.record(serving, gateway.files(there.master).digests)
                return serving
        except NoAnswer as exc:
            if gateway.clock() >= until or (master and not gateway.is_there(master)):
                raise HostError(f"the gateway has started no worker: see journalctl -u {paths.UNIT}") from exc
        gateway.sleep(_POLL_S)


def prepare(gateway: Gateway, files: list[str]) -> None:
    """Before a start: what operators have set stays, for servers where they are now.

    A file that is none is removed: HAProxy would pass over it, too, and the gateway has to start.
    """
    path = gateway.at(paths.SERVERS_STATE)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except FileNotFoundError:
        return
    found = gateway.parsed(files)
    try:
        fitted = state_file.fitted(text, found, fresh=True)
    except HostError:
        os.unlink(path)
        return
    if fitted != text:
        state_file.write(path, fitted)


def compared(gateway: Gateway) -> list[str]:
    """Sentences about what on disk is not what runs."""
    with gateway.locked():
        there, serving = answered(gateway, lambda: (gateway.processes(), gateway.info().pid))
        return reasons(gateway.files(there.master), gateway.recorded(), serving)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise HostError(f"the gateway is not reloaded, and runs as before: {'; '.join(problems)}", problems=problems)


def _maps(gateway: Gateway, there: parse.Processes, found: Files, differ: list[str]) -> None:
    """Of the worker that serves, and of old ones, whose connections can still ask for something."""
    for path in differ:
        desired = maps.entries(gateway.text(path))
        maps.replace(gateway.api, path, desired)
        serving = gateway.info().pid
        for old in there.workers:
            if old.pid != serving:
                try:
                    cli = worker(gateway.master, old.pid)
                    if path in parse.map_paths(cli("show map")):
                        maps.replace(cli, path, desired)
                except NoAnswer:
                    continue  # it has ended


def _reload(gateway: Gateway, before: parse.Processes) -> int:
    """Have the master start a worker, and return its process id once it serves."""
    until = gateway.clock() + _RELOAD_S
    while True:
        said = gateway.master.closed_after("reload")
        if _BUSY not in said or gateway.clock() >= until:
            break
        gateway.sleep(_POLL_S)
    if "Success=0" in said:
        raise _failed(said)
    while True:
        try:
            there = gateway.processes()
            # HAProxy 2.6 closes the connection and says nothing: its master counts.
            if there.master.reloads != before.master.reloads:
                new = there.started_with(0)
                if there.master.failed or new is None:
                    raise _failed(said)
                if gateway.info().pid == new.pid:
                    return new.pid
        except NoAnswer:
            pass  # the master replaces itself, or the worker has not yet bound its socket
        if gateway.clock() >= until:
            raise HostError(f"no new worker serves {_RELOAD_S:g} s after the reload: see journalctl -u {paths.UNIT}")
        gateway.sleep(_POLL_S)


def _failed(said: str) -> HostError:
    severe = "; ".join(_SEVERE.findall(said)[:2]) or f"see journalctl -u {paths.UNIT}"
    return HostError(f"the new worker of the gateway did not start, and the old one runs on: {severe}", log=said)
