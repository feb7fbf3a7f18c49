# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the options of the role ``log_shipper`` mean, whichever program ships. Pure.

What an entry leaves out gets the default of the role's ``argument_specs``; one that is absent is as good as not there.
Certificates, keys and passwords given as text become contents of files and nothing else: messages hold names, templates
get paths.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from urllib.parse import urlsplit

from ..built import Data

LISTS = ("sources", "sinks", "routes", "receivers")

# The same for each program that ships, so that one takes the place of another.
NAME = "mlops-log-shipper"
UNIT = f"{NAME}.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
CONFIG_DIR = f"/etc/{NAME}"
LINK = "mlops_log_shipper.prom"
# What waits for a sink, and the place in the journal.
SPOOL = f"/var/spool/{NAME}"
# The shipper notes here which test lines it has routed to which sink.
RECEIPTS = f"/run/{NAME}"

GPU_EVENTS_UNIT = "mlops-gpu-events.service"
# RFC 5424, as the journal's PRIORITY has them by position.
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

SOURCE: Data = {"priority": "debug", "json": False}
SINK: Data = {"port": 6514, "index": "mlops-logs", "plain_http": False, "tls": True}
QUEUE: Data = {"disk_max_mib": 1024, "memory_max_records": 2000, "when_full": "block"}
RECEIVER: Data = {
    "address": "0.0.0.0",
    "port": 6514,
    "path": "/var/log/mlops/{host}/{program}.log",
    "file_mode": "0640",
    "group": "adm",
    "keep_days": 30,
}

# What a sink of each type must have, and what else it may have, besides what all have.
_CERTIFICATES = ("ca", "ca_content", "cert", "cert_content", "private_key", "private_key_content")
_LOGIN = ("username", "password", "token")
_HTTP = ("plain_http", *_CERTIFICATES, *_LOGIN)
SINK_OPTIONS: t.Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "syslog_tls": (("host",), ("port", "permitted_peers", *_CERTIFICATES)),
    "relp_tls": (("host",), ("port", "permitted_peers", *_CERTIFICATES)),
    "loki": (("url",), ("tenant", *_HTTP)),
    "opensearch": (("url",), ("index", *_HTTP)),
    "otlp": (("url",), _HTTP),
    "http": (("url",), _HTTP),
    "kafka": (("brokers", "topic"), ("tls", *_CERTIFICATES, "username", "password")),
    "s3": (("bucket", "region"), ("url", "prefix", "plain_http", "username", "password")),
    "file": (("path",), ()),
}
# Over a connection that both ends prove; the certificates of the others may be those that the system trusts.
_OWN_CA = ("syslog_tls", "relp_tls")

_WILDCARDS = str.maketrans({"\\": r"[\\]", ".": "[.]", "?": ".", "*": ".*"})


@dataclasses.dataclass(frozen=True)
class Source:
    """What a shipper has to read, whatever the type of the source: entries of the journal that match all that is given,
    or lines of files."""

    name: str
    type: str
    units: tuple[str, ...] = ()  # with wildcards; journald vouches for them
    transport: str = ""  # of the journal, such as kernel
    containers: tuple[str, ...] = ()  # names, with wildcards, as an engine's log driver journald notes them
    paths: tuple[str, ...] = ()  # of files, with * in their names
    severity: int = 7  # the least important that is read
    json: bool = False  # its lines are JSON, whose members become fields
    events: bool = False  # its entries are events of GPUs, with fields as docs/gpu-faults.md has them
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def test(self) -> dict[str, str]:
        """What a line of this source has that the role writes to see it arrive."""
        return {
            "source": self.name,
            "transport": self.transport or "journal",
            "unit": _example(full_unit_name(self.units[0])) if self.units else "",
            "container": _example(self.containers[0]) if self.containers else "",
        }


@dataclasses.dataclass(frozen=True)
class Route:
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    severity: int = 7
    contains: tuple[str, ...] = ()  # a line has one of these texts
    excludes: tuple[str, ...] = ()  # and none of these
    labels: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Flow:
    """A source on its way to a sink: its lines go there when one of the ways takes them."""

    source: Source
    ways: tuple[Route, ...]

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """A line goes to a sink once, with the labels of all routes that lead there; the last one's word counts."""
        found = dict(self.source.labels)
        for way in self.ways:
            found.update(way.labels)
        return tuple(sorted(found.items()))

    @property
    def everything(self) -> bool:
        """Whether a way takes each line of the source."""
        return any(not way.contains and not way.excludes and way.severity == 7 for way in self.ways)


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
    """What sinks and receivers have in common. ``port`` is 0 where there is none."""

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

    @property
    def needs_ca(self) -> bool:
        return self.type in _OWN_CA


@dataclasses.dataclass(frozen=True)
class Secret:
    """A password or token: the text of the file ``home``, which only root can read."""

    content: str = dataclasses.field(repr=False)
    home: str


@dataclasses.dataclass(frozen=True)
class Sink(Endpoint):
    host: str  # "" where it is a file
    scheme: str  # of its URL: http, https or ""
    url: str
    queue: Data
    given: Data  # what the user wrote, without certificates and secrets, and the defaults
    password: Secret | None
    token: Secret | None

    @property
    def tls(self) -> bool:
        return self.type in _OWN_CA or self.scheme == "https" or (self.type == "kafka" and bool(self.given["tls"]))

    @property
    def url_path(self) -> str:
        """Of its URL, without a slash at the end; "" where there is none."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Names or addresses that it connects to, each with its port."""
        brokers = (broker.rpartition(":") for broker in _words(self.given.get("brokers")))
        found = tuple((host, int(port)) for host, _colon, port in brokers if port.isdigit())
        return found or (((self.host, self.port),) if self.host else ())

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for host, _port in self.addresses)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return tuple(secret for secret in (self.password, self.token) if secret is not None)


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
    redact: bool = True
    redact_patterns: tuple[str, ...] = ()
    textfile_dir: str = ""  # where Prometheus' node_exporter reads; "" for no metrics

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.sinks + self.receivers

    @property
    def host_paths(self) -> list[str]:
        """Certificates and keys that somebody else puts on the host."""
        return once(pem.path for endpoint in self.endpoints for pem in endpoint.pems if pem.path is not None)

    def flows(self, sink: Sink) -> list[Flow]:
        """The sources whose lines go to the sink, in their order; none when no route leads there."""
        here = [route for route in self.routes if sink.name in route.sinks]
        found = ((source, tuple(route for route in here if source.name in route.sources)) for source in self.sources)
        return [Flow(source, ways) for source, ways in found if ways]

    @property
    def read(self) -> list[Source]:
        """The sources that a route leads away from."""
        return once_each(flow.source for sink in self.sinks for flow in self.flows(sink))


def parse(options: Data) -> Pipeline:
    listed = {name: [_given(item) for item in options.get(name) or ()] for name in LISTS}
    live = {name: [item for item in items if item.get("state") != "absent"] for name, items in listed.items()}
    redact = options.get("redact")
    return Pipeline(
        sources=tuple(map(_source, live["sources"])),
        sinks=tuple(map(_sink, live["sinks"])),
        routes=tuple(map(_route, live["routes"])),
        receivers=tuple(map(_receiver, live["receivers"])),
        names=tuple(tuple(str(item["name"]) for item in items) for items in listed.values()),
        redact=True if redact is None else bool(redact),
        redact_patterns=_words(options.get("redact_patterns")),
        textfile_dir=str(options.get("textfile_dir") or ""),
    )


def _source(item: Data) -> Source:
    kind, full = str(item["type"]), {**SOURCE, **item}
    units = {
        "journald": _words(item.get("units")),
        "model_servers": tuple(f"mlops-model-{name}.service" for name in _words(item.get("instances"))),
        "gpu_events": (GPU_EVENTS_UNIT,),
    }
    return Source(
        name=str(item["name"]),
        type=kind,
        units=units.get(kind, ()),
        transport="kernel" if kind == "kernel" else "",
        containers=_words(item.get("containers")) if kind == "containers" else (),
        paths=_words(item.get("paths")) if kind == "files" else (),
        severity=SEVERITIES.index(str(full["priority"])),
        json=bool(full["json"]),
        events=kind == "gpu_events",
        labels=_pairs(item.get("labels")),
    )


def _route(item: Data) -> Route:
    return Route(
        _words(item["from"]),
        _words(item["to"]),
        severity=SEVERITIES.index(str(item.get("priority", "debug"))),
        contains=_words(item.get("contains")),
        excludes=_words(item.get("excludes")),
        labels=_pairs(item.get("labels")),
    )


def _sink(item: Data) -> Sink:
    full = {**SINK, **item}
    named = full.get("host") is not None
    url = str(full.get("url") or "")
    parts = urlsplit(url)

    def secret(option: str) -> Secret | None:
        content = full.get(option)
        return None if content is None else Secret(str(content), f"{CONFIG_DIR}/sink-{full['name']}.{option}")

    return Sink(
        **{
            **_endpoint("sink", full),
            "port": int(full["port"]) if named else _port(url, parts.scheme),
        },
        host=str(full["host"]) if named else (parts.hostname or ""),
        scheme=parts.scheme,
        url=url,
        queue={**QUEUE, **_given(item.get("queue") or {})},
        given={name: value for name, value in full.items() if name not in ("password", "token", *_CERTIFICATES)},
        password=secret("password"),
        token=secret("token"),
    )


def _port(url: str, scheme: str) -> int:
    """0 where it is no port."""
    try:
        port = urlsplit(url).port
    except ValueError:
        return 0
    return {"http": 80, "https": 443}.get(scheme, 0) if port is None else port


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


def certificate_path(kind: str, item: Data) -> str | None:
    """Where the certificate lies that a sink or receiver shows, None where it shows none."""
    shown = _pem(kind, item, "cert", "cert")
    return shown.path or (shown.home if shown.content else None)


def _pem(kind: str, item: Data, option: str, suffix: str) -> Pem:
    path, content = item.get(option), item.get(f"{option}_content")
    return Pem(
        path=None if path is None else str(path),
        content=None if content is None else str(content),
        home=f"{CONFIG_DIR}/{kind}-{item['name']}.{suffix}.pem",
    )


def _endpoint(kind: str, item: Data) -> dict[str, t.Any]:
    return {
        "name": str(item["name"]),
        "type": str(item["type"]),
        "port": int(item["port"]),
        "ca": _pem(kind, item, "ca", "ca"),
        "cert": _pem(kind, item, "cert", "cert"),
        "key": _pem(kind, item, "private_key", "key"),
        "peers": _words(item.get("permitted_peers")),
    }


def _given(item: Data) -> dict[str, t.Any]:
    return {key: value for key, value in item.items() if value is not None}


def _words(items: t.Iterable[t.Any] | None) -> tuple[str, ...]:
    return tuple(str(item) for item in items or ())


def _pairs(items: Data | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(value)) for name, value in (items or {}).items()))


def once(items: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


_Item = t.TypeVar("_Item")


def once_each(items: t.Iterable[_Item]) -> list[_Item]:
    return list(dict.fromkeys(items))


def _example(pattern: str) -> str:
    return pattern.replace("*", "test").replace("?", "x")


def wildcards(pattern: str) -> str:
    """A name with wildcards as a regular expression that each program understands."""
    return pattern.translate(_WILDCARDS)


def unit_pattern(unit: str) -> str:
    return wildcards(full_unit_name(unit))


def full_unit_name(unit: str) -> str:
    """Without a dot and without ``*`` it is a service."""
    return unit if "." in unit or "*" in unit else f"{unit}.service"
