# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether engines write to the journal what their containers say: nothing else of them is read."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from .._runner import Runner
from .plan import Plan

_DEFAULT = {"docker": "{{.LoggingDriver}}", "podman": "{{.Host.LogDriver}}"}
# Where whoever started the container has what it says, and nobody lost it.
_ELSEWHERE = ("none", "passthrough", "passthrough-tty")
# Podman makes it when it is first asked.
STORAGE = Path("/var/lib/containers/storage")
_LIMIT_S = 10
_NAMED = 5


def notices(plan: Plan, run: Runner, storage: Path = STORAGE) -> list[str]:
    """Containers that a source names, and that run with another log driver; where none of that name runs yet, engines
    that would start it with one."""
    names = {flow.container for sink in plan.sinks for flow in sink.flows if flow.container}
    if not names:
        return []
    running = {engine: _running(engine, run, "|".join(sorted(names))) for engine in _engines(run, storage)}
    wrong = {engine: _wrong(rows) for engine, rows in running.items()}
    if any(running.values()):
        return [
            f"{_some(sorted(rows))} of {engine} log with {', '.join(sorted(set(rows.values())))}, and what containers "
            "log is read from the journal: it is not shipped. Make them again with the log driver journald"
            for engine, rows in wrong.items()
            if rows
        ]
    defaults = {engine: run(engine, "info", "--format", _DEFAULT[engine], timeout_s=_LIMIT_S) for engine in running}
    drivers = {engine: answer.stdout.strip() for engine, answer in defaults.items() if answer.rc == 0}
    return [
        f"{engine} starts containers with the log driver {driver}, and what they log is read from the journal: it "
        "would not be shipped. Make journald the default (container_runtime_log_driver of the role container_runtime), "
        "or start them with --log-driver=journald"
        for engine, driver in _wrong(drivers).items()
    ]


def _engines(run: Runner, storage: Path) -> t.Iterator[str]:
    """Those in use. A client that asks would start a Docker that is down."""
    if run("systemctl", "is-active", "docker.service", timeout_s=_LIMIT_S).rc == 0:
        yield "docker"
    if storage.exists():
        yield "podman"


def _running(engine: str, run: Runner, names: str) -> dict[str, str]:
    """Log drivers by names of containers; none where the engine is not there."""
    running = run(engine, "ps", "--quiet", "--no-trunc", timeout_s=_LIMIT_S).stdout.split()
    if not running:
        return {}
    shown = run(engine, "inspect", "--format", "{{.Name}} {{.HostConfig.LogConfig.Type}}", *running, timeout_s=_LIMIT_S)
    rows = (line.strip().lstrip("/").split() for line in shown.stdout.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2 and re.fullmatch(names, row[0])}


def _wrong(drivers: t.Mapping[str, str]) -> dict[str, str]:
    return {name: driver for name, driver in drivers.items() if driver not in ("", "journald", *_ELSEWHERE)}


def _some(names: t.Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
