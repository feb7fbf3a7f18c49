# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What HAProxy's command line says, as data: 2.6, 3.0 and 3.2 say the same but for the columns of newer ones."""

from __future__ import annotations

import csv
import dataclasses
import re
import typing as t

from .._errors import HostError

_UPTIME = re.compile(r"(\d+)d(\d+)h(\d+)m(\d+)s")
_PROCESS = re.compile(r"(\d+)\s+(\w+)\s+(\d+)(?:\s+\[failed: (\d+)\])?\s+(\d+d\d+h\d+m\d+s)\s+(\S+)")
_ROLES = {"# workers": "worker", "# old workers": "old worker", "# programs": "program"}
_STATE_VERSION = "1"
# Bits of srv_admin_state: what an operator, a tracked server, the configuration or the resolver has set.
_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
_DRAIN = 0x08 | 0x10
_OPERATIONAL = {0: "down", 1: "starting", 2: "up", 3: "stopping"}
_SERVER_ROW = "2"
_FRONTEND_ROW = "0"


@dataclasses.dataclass(frozen=True)
class Process:
    """One line of ``show proc``. ``role``: master, worker, old worker or program."""

    pid: int
    role: str
    reloads: int
    failed: int
    uptime_s: int
    version: str


@dataclasses.dataclass(frozen=True)
class Processes:
    """The master, and its workers."""

    master: Process
    workers: tuple[Process, ...]

    def started_with(self, reloads: int) -> Process | None:
        """The worker of the newest configuration. Others, that serve after a failed reload, have seen reloads."""
        return next((one for one in self.workers if one.role == "worker" and one.reloads <= reloads), None)


@dataclasses.dataclass(frozen=True)
class Server:
    """One server of ``show servers state``; ``fields`` are all of them, for the file."""

    backend: str
    name: str
    fields: tuple[str, ...]

    @property
    def host(self) -> str:
        """The inventory's name of its host, which may hold colons itself."""
        return self.name.rpartition(":")[0] or self.name

    @property
    def instance(self) -> str:
        return self.name[len(self.host) + 1 :]

    @property
    def address(self) -> str:
        return self.fields[4]

    @property
    def host_name(self) -> str:
        """The name that its address was resolved from, empty where it has none."""
        return "" if self.fields[17] == "-" else self.fields[17]

    @property
    def port(self) -> str:
        return self.fields[18]

    @property
    def weight(self) -> int:
        return int(self.fields[7])

    @property
    def state(self) -> str:
        admin = int(self.fields[6])
        if admin & _MAINTENANCE:
            return "maint"
        return "drain" if admin & _DRAIN else self.health

    @property
    def health(self) -> str:
        """What its checks say, whatever an operator has set."""
        return _OPERATIONAL.get(int(self.fields[5]), "unknown")


@dataclasses.dataclass(frozen=True)
class Load:
    """What one worker has of one server: a line of ``show stat``."""

    backend: str
    server: str
    status: str
    open: int
    queued: int
    weight: int
    check_status: str
    answers: int = 0  # of status 2xx, to clients, since the worker began


@dataclasses.dataclass(frozen=True)
class Stat:
    """``show stat`` of one worker. ``sessions``: open ones of all its frontends."""

    servers: tuple[Load, ...]
    sessions: int


@dataclasses.dataclass(frozen=True)
class Info:
    """``show info`` of one worker."""

    version: str
    pid: int
    uptime_s: int
    stopping: bool


def processes(text: str) -> Processes:
    """Of ``show proc``."""
    role, found = "master", []
    for line in text.splitlines():
        role = _ROLES.get(line.strip(), role)
        match = _PROCESS.match(line.strip())
        if match:
            pid, kind, reloads, failed, uptime, version = match.groups()
            what = role if kind == "worker" else kind
            found.append(Process(int(pid), what, int(reloads), int(failed or 0), _seconds(uptime), version))
    masters = [one for one in found if one.role == "master"]
    if len(masters) != 1:
        raise _unknown("show proc", text)
    return Processes(masters[0], tuple(one for one in found if one.role.endswith("worker")))


def servers(text: str) -> tuple[Server, ...]:
    """Of ``show servers state``."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or lines[0] != _STATE_VERSION or not lines[1].startswith("# be_id be_name srv_id srv_name "):
        raise _unknown("show servers state", text)
    rows = [tuple(line.split(" ")) for line in lines[2:]]
    if any(len(row) < 19 for row in rows):
        raise _unknown("show servers state", text)
    return tuple(Server(row[1], row[3], row) for row in rows)


def state_file(text: str, rows: t.Iterable[Server]) -> str:
    """A file of these servers, with the head of the text that they come from."""
    head = [line for line in text.splitlines() if line.strip()][:2]
    return "".join(f"{line}\n" for line in (*head, *(" ".join(row.fields) for row in rows)))


def stat(text: str) -> Stat:
    """Of ``show stat``."""
    head, _end, rest = text.lstrip().partition("\n")
    if not head.startswith("# pxname,svname,"):
        raise _unknown("show stat", text)
    rows = list(csv.DictReader(rest.splitlines(), fieldnames=head[2:].split(",")))
    return Stat(
        servers=tuple(
            Load(
                backend=row["pxname"],
                server=row["svname"],
                status=row["status"],
                open=int(row["scur"]),
                queued=int(row["qcur"] or 0),
                weight=int(row["weight"] or 0),
                # An asterisk is a check that is under way; what it says is the last one that ended.
                check_status=row["check_status"].removeprefix("* ") if row["check_status"] else "",
                answers=int(row.get("hrsp_2xx") or 0),
            )
            for row in rows
            if row["type"] == _SERVER_ROW
        ),
        sessions=sum(int(row["scur"]) for row in rows if row["type"] == _FRONTEND_ROW),
    )


def info(text: str) -> Info:
    """Of ``show info``."""
    found = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    try:
        return Info(found["Version"], int(found["Pid"]), int(found["Uptime_sec"]), found["Stopping"] != "0")
    except (KeyError, ValueError) as exc:
        raise _unknown("show info", text) from exc


def map_paths(text: str) -> tuple[str, ...]:
    """The files of ``show map``."""
    if not text.lstrip().startswith("# id (file) description"):
        raise _unknown("show map", text)
    return tuple(re.findall(r"^-?\d+ \(([^)]+)\)", text, re.MULTILINE))


def _seconds(uptime: str) -> int:
    match = _UPTIME.fullmatch(uptime)
    if match is None:
        raise _unknown("show proc", uptime)
    days, hours, minutes, seconds = (int(part) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _unknown(command: str, text: str) -> HostError:
    begin = " | ".join(text.strip().splitlines()[:2])[:200] or "nothing"
    return HostError(f"'{command}' says what is not known here: {begin}")
