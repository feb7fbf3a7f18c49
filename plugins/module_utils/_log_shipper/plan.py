# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The plan that the role writes, and which lines of the journal it routes. Pure."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from .._errors import HostError
from .._journal import text

# What of an entry decides where it goes.
FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT,_PID,_TRANSPORT,CONTAINER_NAME,MLOPS_GPU_EVENT"
_Entry = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Way:
    """A route: the least important severity, and texts of which one must be, and none may be, in a line."""

    severity: int
    contains: tuple[str, ...]
    excludes: tuple[str, ...]

    def takes(self, severity: int, message: str) -> bool:
        has_one = not self.contains or any(word in message for word in self.contains)
        return severity <= self.severity and has_one and not any(word in message for word in self.excludes)


@dataclasses.dataclass(frozen=True)
class Flow:
    """A source of the journal on its way to a sink; ``unit`` and ``container`` are regular expressions, "" for any."""

    transport: str
    unit: str
    container: str
    severity: int
    events: bool
    ways: tuple[Way, ...]

    def takes(self, entry: _Entry) -> bool:
        unit = text(entry.get("_SYSTEMD_UNIT"))
        if entry.get("_PID") == "1" and entry.get("UNIT"):
            unit = text(entry["UNIT"])
        severity = _severity(entry)
        return (
            severity <= self.severity
            and self.transport in ("", entry.get("_TRANSPORT"))
            and (not self.unit or re.fullmatch(self.unit, unit) is not None)
            and (not self.container or re.fullmatch(self.container, text(entry.get("CONTAINER_NAME"))) is not None)
            and (not self.events or entry.get("MLOPS_GPU_EVENT") == "1")
            and any(way.takes(severity, text(entry.get("MESSAGE"))) for way in self.ways)
        )


def _severity(entry: _Entry) -> int:
    found = entry.get("PRIORITY")
    return int(found) if isinstance(found, str) and found in "01234567" and len(found) == 1 else 5


@dataclasses.dataclass(frozen=True)
class Sink:
    """``memory`` is how many lines may be in memory alone. ``buffer`` tells who can read what it has on disk, "" where
    lines wait in the journal; None in a plan of before it was noted."""

    name: str
    memory: int
    flows: tuple[Flow, ...]
    buffer: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the host has to know of the pipeline.

    ``lines`` are test lines, with ``source``, ``transport``, ``unit`` and ``container``; ``arrivals`` the receipts that
    they leave, "source sink". ``certificates`` have ``ca``, ``cert`` and ``key``, each a path or null, and those of a
    sink ``host`` and ``port``, else "" and 0. ``peers`` are where sinks are, with ``sink``, ``host`` and ``port``.
    ``files`` are sinks, too. ``modules`` are those of the shipper that are loaded at run time, and the package of each.
    ``state`` is the file in which the shipper has its place in the journal as a cursor, "" where it has none.
    ``provider`` is the program that ships.
    """

    unit: str
    receipts: str
    complaints: str
    lines: tuple[t.Mapping[str, str], ...]
    arrivals: tuple[str, ...]
    certificates: tuple[t.Mapping[str, t.Any], ...]
    peers: tuple[t.Mapping[str, t.Any], ...]
    files: tuple[str, ...]
    modules: t.Mapping[str, str]
    state: str
    sinks: tuple[Sink, ...]
    provider: str = ""


def read(raw: str, path: str) -> Plan:
    """HostError for what is no plan of this version."""
    try:
        found = json.loads(raw)
        return Plan(
            unit=found["unit"],
            receipts=found["receipts"],
            complaints=found["complaints"],
            lines=tuple(found["lines"]),
            arrivals=tuple(found["arrivals"]),
            certificates=tuple(found["certificates"]),
            peers=tuple(found["peers"]),
            files=tuple(found["files"]),
            modules=dict(found["modules"]),
            state=found["state"],
            sinks=tuple(map(_sink, found["sinks"])),
            provider=str(found.get("provider", "")),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise HostError(
            f"{path} must be as the role log_shipper writes it, and is not ({exc!r}): run the role again"
        ) from exc


def _sink(item: t.Mapping[str, t.Any]) -> Sink:
    return Sink(str(item["name"]), int(item["memory"]), tuple(map(_flow, item["flows"])), item.get("buffer"))


def _flow(item: t.Mapping[str, t.Any]) -> Flow:
    ways = tuple(Way(way["severity"], tuple(way["contains"]), tuple(way["excludes"])) for way in item["ways"])
    return Flow(item["transport"], item["unit"], item["container"], item["severity"], item["events"], ways)
