# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the options of the role ``log_shipper`` mean, whichever program ships. Pure.

What an entry leaves out gets the default of the role's ``argument_specs``; one that is absent is as good as not there.
Certificates and keys given as text become contents of files and nothing else: messages hold names, templates get paths.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..built import Data

LISTS = ("sources", "sinks", "routes", "receivers")

# The same for each program that ships, so that one takes the place of another.
NAME = "mlops-log-shipper"
UNIT = f"{NAME}.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
CONFIG_DIR = f"/etc/{NAME}"
# What waits for a sink, and the place in the journal.
SPOOL = f"/var/spool/{NAME}"
# The shipper notes here which test lines it has handed to which sink.
RECEIPTS = f"/run/{NAME}"

SINK: Data = {"port": 6514}
QUEUE: Data = {"disk_max_mib": 1024, "memory_max_records": 10000}
RECEIVER: Data = {
    "address": "0.0.0.0",
    "port": 6514,
    "path": "/var/log/mlops/{host}/{program}.log",
    "file_mode": "0640",
    "group": "adm",
    "keep_days": 30,
}

_WILDCARDS = str.maketrans({"\\": r"[\\]", ".": "[.]", "?": ".", "*": ".*"})


@dataclasses.dataclass(frozen=True)
class Source:
    name: str
    type: str
    units: tuple[str, ...]

    @property
    def test(self) -> dict[str, str]:
        """What a line of this source has that the role writes to see it arrive."""
        if self.type == "kernel":
            return {"source": self.name, "transport": "kernel", "unit": ""}
        unit = full_unit_name(self.units[0]).replace("*", "test").replace("?", "x")
        return {"source": self.name, "transport": "journal", "unit": unit}


@dataclasses.dataclass(frozen=True)
class Route:
    sources: tuple[str, ...]
    sinks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Pem:
    """A certificate or key: a path on the host, or the text that becomes the file ``home``."""

    path: str | None
    content: str | None = dataclasses.field(repr=False)
    home: str

    @property
    def ways(self) -> int:
        return (self.path is not None) + (self.content is not None)

    @property
    def place(self) -> str | None:
        return self.home if self.path is None and self.content is not None else self.path


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """What sinks and receivers have in common."""

    name: str
    type: str
    port: int
    ca: Pem
    cert: Pem
    key: Pem
    peers: tuple[str, ...]

    @property
    def pems(self) -> tuple[Pem, Pem, Pem]:
        return self.ca, self.cert, self.key


@dataclasses.dataclass(frozen=True)
class Sink(Endpoint):
    host: str
    queue: Data


@dataclasses.dataclass(frozen=True)
class Receiver(Endpoint):
    address: str
    path: str
    file_mode: str
    group: str
    keep_days: int

    @property
    def root(self) -> str:
        """Of /var/log/mlops/{host}/{program}.log, /var/log/mlops is ours to make; the rest comes with the logs."""
        return re.sub(r"/[^/]*[{].*\Z", "", self.path)

    @property
    def reached_at(self) -> str:
        """Where the host itself reaches the receiver."""
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)
        return f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"


@dataclasses.dataclass(frozen=True)
class Pipeline:
    sources: tuple[Source, ...]
    sinks: tuple[Sink, ...]
    routes: tuple[Route, ...]
    receivers: tuple[Receiver, ...]
    names: tuple[tuple[str, ...], ...]  # of each list, absent entries too

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.sinks + self.receivers

    @property
    def host_paths(self) -> list[str]:
        """Certificates and keys that somebody else puts on the host."""
        return once(pem.path for endpoint in self.endpoints for pem in endpoint.pems if pem.path is not None)

    def routed(self, sink: Sink) -> list[Source]:
        """The sources whose lines go to the sink, in their order; none when no route leads there."""
        names = {name for route in self.routes if sink.name in route.sinks for name in route.sources}
        return [source for source in self.sources if source.name in names]


def parse(options: Data) -> Pipeline:
    listed = {name: [_given(item) for item in options.get(name) or ()] for name in LISTS}
    live = {name: [item for item in items if item.get("state") != "absent"] for name, items in listed.items()}
    return Pipeline(
        sources=tuple(Source(item["name"], item["type"], _words(item.get("units"))) for item in live["sources"]),
        sinks=tuple(map(_sink, live["sinks"])),
        routes=tuple(Route(_words(item["from"]), _words(item["to"])) for item in live["routes"]),
        receivers=tuple(map(_receiver, live["receivers"])),
        names=tuple(tuple(str(item["name"]) for item in items) for items in listed.values()),
    )


def _sink(item: Data) -> Sink:
    queue = {**QUEUE, **_given(item.get("queue") or {})}
    return Sink(**_endpoint("sink", {**SINK, **item}), host=str(item["host"]), queue=queue)


def _receiver(item: Data) -> Receiver:
    full = {**RECEIVER, **item}
    return Receiver(
        **_endpoint("receiver", full),
        address=str(full["address"]),
        path=str(full["path"]),
        file_mode=str(full["file_mode"]),
        group=str(full["group"]),
        keep_days=int(full["keep_days"]),
    )


def _endpoint(kind: str, item: Data) -> dict[str, t.Any]:
    def pem(option: str, suffix: str) -> Pem:
        path, content = item.get(option), item.get(f"{option}_content")
        return Pem(
            path=None if path is None else str(path),
            content=None if content is None else str(content),
            home=f"{CONFIG_DIR}/{kind}-{item['name']}.{suffix}.pem",
        )

    return {
        "name": str(item["name"]),
        "type": str(item["type"]),
        "port": int(item["port"]),
        "ca": pem("ca", "ca"),
        "cert": pem("cert", "cert"),
        "key": pem("private_key", "key"),
        "peers": _words(item.get("permitted_peers")),
    }


def _given(item: Data) -> dict[str, t.Any]:
    return {key: value for key, value in item.items() if value is not None}


def _words(items: t.Iterable[t.Any] | None) -> tuple[str, ...]:
    return tuple(str(item) for item in items or ())


def once(items: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def unit_pattern(unit: str) -> str:
    """The name of a unit, with wildcards, as a regular expression."""
    return full_unit_name(unit).translate(_WILDCARDS)


def full_unit_name(unit: str) -> str:
    """Without a dot and without ``*`` it is a service."""
    return unit if "." in unit or "*" in unit else f"{unit}.service"
