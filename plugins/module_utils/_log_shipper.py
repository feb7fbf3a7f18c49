# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns what the role ``log_shipper`` was asked for into component data, and says what is wrong with it. Pure.

What an entry leaves out gets the default of the role's ``argument_specs``; one that is absent is as good as not there.
Certificates and keys given as text become contents of files and nothing else: messages hold names, templates get paths.

The shipper is a process of its own, with a configuration of its own. In a shared rsyslogd the files of others decide
what becomes of our lines (``& stop``, ``$DefaultRuleset``, an open ``$RuleSet``), a module cannot be loaded twice, and
settings such as ``$PrivDropToUser`` or the TLS of imtcp are one for all.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

Data = t.Mapping[str, t.Any]
Finding = tuple[t.Iterable[str], str]  # names, and what is said of them when there are any

LISTS = ("sources", "sinks", "routes", "receivers")
NAME = "mlops-log-shipper"
UNIT = f"{NAME}.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
CONFIG_DIR = f"/etc/{NAME}"
CONFIG = f"{CONFIG_DIR}/rsyslog.conf"
LOGROTATE = f"/etc/logrotate.d/{NAME}"
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

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_UNIT = re.compile(r"[A-Za-z0-9:_.@*?\\-]+\Z")
_WORD = re.compile(r"[A-Za-z0-9.:_*-]+\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]+\Z")
# Our unit has ProtectHome=yes and PrivateTmp=yes.
_HIDDEN = ("/root/", "/home/", "/run/user/", "/tmp/", "/var/tmp/")
# A directory that is named, then parts with placeholders.
_PATTERN = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*){2,}(/[A-Za-z0-9_.-]*[{](host|program)[}][A-Za-z0-9_.-]*)+\Z")
# They belong to others, and would become ours with all that is in them.
_SHARED = re.compile(r"/(var/log|var/lib|var/spool|etc|usr|dev|proc|sys|run)/[^/]*[{]")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_WILDCARDS = str.maketrans({"\\": r"[\\]", ".": "[.]", "?": ".", "*": ".*"})


@dataclasses.dataclass(frozen=True)
class Source:
    name: str
    type: str
    units: tuple[str, ...]

    @property
    def condition(self) -> str:
        """journald vouches for names that begin with an underscore: no program can forge them."""
        if self.type == "kernel":
            return '$!mlops_transport == "kernel"'
        patterns = "|".join(map(unit_pattern, self.units))
        return f'($!mlops_unit != "" and re_match($!mlops_unit, "^({patterns})\\$"))'

    @property
    def test(self) -> dict[str, str]:
        """What a line of this source has that the role writes to see it arrive."""
        if self.type == "kernel":
            return {"source": self.name, "transport": "kernel", "unit": ""}
        unit = full_unit_name(self.units[0]).replace("*", "test").replace("?", "x")
        return {"source": self.name, "transport": "journal", "unit": unit}


class Route(t.NamedTuple):
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
    """A sink or a receiver."""

    name: str
    type: str
    port: int
    ca: Pem
    cert: Pem
    key: Pem
    peers: tuple[str, ...]
    rest: Data  # what only sinks have, or only receivers

    @property
    def pems(self) -> tuple[Pem, Pem, Pem]:
        return self.ca, self.cert, self.key

    @property
    def root(self) -> str:
        """Of /var/log/mlops/{host}/{program}.log, /var/log/mlops is ours to make; the rest comes with the logs."""
        return re.sub(r"/[^/]*[{].*\Z", "", self.rest["path"])


@dataclasses.dataclass(frozen=True)
class Wanted:
    sources: tuple[Source, ...]
    sinks: tuple[Endpoint, ...]
    routes: tuple[Route, ...]
    receivers: tuple[Endpoint, ...]
    names: tuple[tuple[str, ...], ...]  # of each list, absent entries too

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.sinks + self.receivers

    @property
    def host_paths(self) -> list[str]:
        """Certificates and keys on the host that were laid there by somebody else."""
        return _once(pem.path for endpoint in self.endpoints for pem in endpoint.pems if pem.path is not None)


def parse(given: Data) -> Wanted:
    listed = {name: [_given(item) for item in given.get(name) or ()] for name in LISTS}
    live = {name: [item for item in items if item.get("state") != "absent"] for name, items in listed.items()}
    return Wanted(
        sources=tuple(Source(item["name"], item["type"], _words(item.get("units"))) for item in live["sources"]),
        sinks=tuple(map(_sink, live["sinks"])),
        routes=tuple(Route(_words(item["from"]), _words(item["to"])) for item in live["routes"]),
        receivers=tuple(map(_receiver, live["receivers"])),
        names=tuple(tuple(str(item["name"]) for item in items) for items in listed.values()),
    )


def _sink(item: Data) -> Endpoint:
    queue = {**QUEUE, **_given(item.get("queue") or {})}
    return _endpoint("sink", {**SINK, **item}, {"host": str(item["host"]), "queue": queue})


def _receiver(item: Data) -> Endpoint:
    full = {**RECEIVER, **item}
    return _endpoint("receiver", full, {name: str(full[name]) for name in RECEIVER if name != "port"})


def _endpoint(kind: str, item: Data, rest: Data) -> Endpoint:
    def pem(option: str, suffix: str) -> Pem:
        path, content = item.get(option), item.get(f"{option}_content")
        return Pem(
            path=None if path is None else str(path),
            content=None if content is None else str(content),
            home=f"{CONFIG_DIR}/{kind}-{item['name']}.{suffix}.pem",
        )

    return Endpoint(
        name=str(item["name"]),
        type=str(item["type"]),
        port=int(item["port"]),
        ca=pem("ca", "ca"),
        cert=pem("cert", "cert"),
        key=pem("private_key", "key"),
        peers=_words(item.get("permitted_peers")),
        rest=rest,
    )


def _given(item: Data) -> dict[str, t.Any]:
    return {key: value for key, value in item.items() if value is not None}


def _words(items: t.Iterable[t.Any] | None) -> tuple[str, ...]:
    return tuple(str(item) for item in items or ())


def _once(items: t.Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def unit_pattern(unit: str) -> str:
    """The name of a unit, with wildcards, as a regular expression."""
    return full_unit_name(unit).translate(_WILDCARDS)


def full_unit_name(unit: str) -> str:
    """Without a dot and without ``*`` it is a service."""
    return unit if "." in unit or "*" in unit else f"{unit}.service"


# What is wrong with the request


def problems(wanted: Wanted) -> list[str]:
    """One sentence for each thing that cannot be meant. No host is asked."""
    return _sentences(
        [
            *_wrong_names(wanted.names),
            *_wrong_routes(wanted),
            *_wrong_units([source for source in wanted.sources if source.type == "journald_units"]),
            *_wrong_certificates(wanted.endpoints, wanted.receivers),
            *_wrong_places(wanted),
        ]
    )


def _sentences(findings: t.Iterable[Finding]) -> list[str]:
    return [words.replace("{}", ", ".join(names), 1) for found, words in findings if (names := _once(found))]


def _wrong_names(lists: t.Iterable[t.Sequence[str]]) -> t.Iterator[Finding]:
    twice = [name for names in lists for name in _twice(names)]
    bad = [name for names in lists for name in names if not _NAME.match(name)]
    yield twice, "These names are used twice: {}; give each entry of a list a name of its own."
    yield bad, "These names cannot be used: {}; use letters, digits, - and _."


def _twice(names: t.Iterable[str]) -> list[str]:
    """Names that differ in case only count as the same, and are shown as they were first written."""
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(name.lower(), []).append(name)
    return [same[0] for _name, same in sorted(seen.items()) if len(same) > 1]


def _wrong_routes(wanted: Wanted) -> t.Iterator[Finding]:
    for what, there, named in (
        ("sources", [source.name for source in wanted.sources], [route.sources for route in wanted.routes]),
        ("sinks", [sink.name for sink in wanted.sinks], [route.sinks for route in wanted.routes]),
    ):
        unknown = [name for names in named for name in names if name not in there]
        have = f"log_shipper_{what} has {', '.join(there) or 'none'}"
        yield unknown, f"log_shipper_routes names {what} that are not there: {{}}; {have}."


def _wrong_units(sources: t.Iterable[Source]) -> t.Iterator[Finding]:
    bad = [unit for source in sources for unit in source.units if not _UNIT.match(unit)]
    without = [source.name for source in sources if not source.units]
    yield without, "These sources have no units: {}; list at least one."
    yield bad, "These are no names of units: {}; * and ? are the wildcards."


def _wrong_certificates(ends: t.Iterable[Endpoint], receivers: t.Iterable[Endpoint]) -> t.Iterator[Finding]:
    ca = [end.name for end in ends if end.ca.ways != 1]
    twice = [end.name for end in ends if end.cert.ways > 1 or end.key.ways > 1]
    half = [end.name for end in ends if bool(end.cert.ways) != bool(end.key.ways)]
    bare = [end.name for end in receivers if not end.cert.ways]
    closed = [end.name for end in receivers if not end.peers]
    no_key = [end.name for end in ends if end.key.content is not None and not _is_key(end.key.content)]
    yield ca, "Exactly one of ca and ca_content is needed, unlike in: {}."
    yield twice, "A certificate or key is given both as a path and as content in: {}; leave one out."
    yield half, "A certificate needs its private key and the other way round, unlike in: {}."
    yield bare, "These receivers have no certificate: {}; give cert and private_key."
    yield closed, "These receivers would let in nobody: {}; list permitted_peers."
    yield no_key, "private_key_content is no unencrypted PEM key in: {}."


def _is_key(content: str) -> bool:
    return _PRIVATE_KEY.search(content) is not None and "ENCRYPTED" not in content


def _wrong_places(wanted: Wanted) -> t.Iterator[Finding]:
    words = [sink.rest["host"] for sink in wanted.sinks]
    words += [peer for endpoint in wanted.endpoints for peer in endpoint.peers]
    words += [receiver.rest[what] for what in ("address", "group") for receiver in wanted.receivers]
    bad = [path for path in wanted.host_paths if not _PATH.match(path)]
    hidden = [path for path in wanted.host_paths if path.startswith(_HIDDEN)]
    lost = [path for receiver in wanted.receivers if (path := receiver.rest["path"]).startswith(_HIDDEN)]
    patterns = [receiver.rest["path"] for receiver in wanted.receivers if _bad_pattern(receiver.rest["path"])]
    ports = sorted(receiver.port for receiver in wanted.receivers)
    yield [w for w in words if not _WORD.match(w)], "These hosts, addresses, groups or peers cannot be meant: {}."
    yield bad, "These paths cannot be used: {}; give absolute paths without blanks."
    yield hidden, "The shipper cannot read below /root, /home, /tmp, /var/tmp and /run/user: {}; move them to /etc."
    yield lost, "The shipper cannot write below /root, /home, /tmp, /var/tmp and /run/user: {}; use /var/log or /srv."
    yield (
        patterns,
        "These patterns of received logs cannot be used: {}; give a directory of their own, then {host}, "
        "such as /var/log/mlops/{host}/{program}.log.",
    )
    twice = [str(port) for port in ports if ports.count(port) > 1]
    yield twice, "Two receivers want port {}; give each a port of its own."


def _bad_pattern(path: str) -> bool:
    return not _PATTERN.match(path) or "{host}" not in path or bool(_SHARED.match(path))


# What is wrong with the host


def host_problems(given: Data, seen: Data, platform: Data) -> list[str]:
    """One sentence for each thing on the host that conflicts with the request. What our unit listens on is its own."""
    desired = parse(given)
    keys = {endpoint.key.path for endpoint in desired.endpoints}
    files = {item["path"]: item for item in seen["paths"] if item["kind"] == "file"}
    missing = [path for path in desired.host_paths if path not in files]
    exposed = [path for path, item in files.items() if path in keys and not item["mode"].endswith("0")]
    taken = [_holder(item) for item in seen["listeners"] if item["unit"] != UNIT]
    rivals = [f"{package} ({path})" for path, package in platform["rivals"].items() if path in files]
    return _sentences(
        [
            (missing, "These files are not on the host: {}; put them there first, or give their content."),
            (exposed, "The private key {} can be read by others; take away their permissions (mode 0600 or 0640)."),
            (taken, "Another program listens on port {}; stop it or choose another port."),
            (
                rivals,
                "The host logs with {}, which the package rsyslog would remove; remove it yourself, or take the host "
                "out of the play.",
            ),
        ]
    )


def _holder(listener: Data) -> str:
    return f"{listener['port']} ({listener['unit']})" if listener["unit"] else str(listener["port"])


# What the component is


def request(given: Data, platform: Data, *, provider: str = "rsyslog") -> dict[str, t.Any]:
    """All that the role needs to know before it asks a host: see the filter ``log_shipper_request``."""
    wanted = parse(given)
    found = problems(wanted)
    usable = parse({}) if found else wanted
    return {
        "problems": found,
        "component": component(usable, platform, provider),
        "questions": {
            "paths": [] if found else [*usable.host_paths, *platform["rivals"]],
            "ports": [receiver.port for receiver in usable.receivers],
        },
        "tests": tests(usable),
        "unit": UNIT,
        "receipts": RECEIPTS,
        "spool": SPOOL,
    }


def component(wanted: Wanted, platform: Data, provider: str) -> dict[str, t.Any]:
    """Options of the module ``component``. With nothing to ship and nothing to receive, nothing runs."""
    # Only we write files in it, unless the user keeps certificates there.
    theirs = any(path.startswith(f"{CONFIG_DIR}/") for path in wanted.host_paths)
    groups = {receiver.root: receiver.rest["group"] for receiver in wanted.receivers}
    # Installed without being started, so the timer that rotates has to be started here.
    units = [UNIT, "logrotate.timer"] if wanted.receivers else [UNIT]
    return {
        "packages": [{"name": name, "state": "present"} for name in _packages(wanted, platform["packages"])],
        "directories": [
            {"path": CONFIG_DIR, "mode": "0700", "purge": not theirs, "on_change": "none"},
            {"path": SPOOL, "mode": "0700"},
            *({"path": root, "group": group, "mode": "0750"} for root, group in groups.items()),
        ],
        "files": [*_pem_files(wanted), *(_program_files(wanted, platform, provider) if wanted.endpoints else [])],
        "units": [{"name": unit} for unit in units] if wanted.endpoints else [],
        "ready": [
            # Certificates that lie on the host are read only by the validator of the file in its place.
            {"unit": UNIT, "command": [platform["program"], "-N1", "-f", CONFIG], "timeout_s": 10},
            *({"tcp": _listens(receiver), "unit": UNIT, "timeout_s": 20} for receiver in wanted.receivers),
        ]
        if wanted.endpoints
        else [],
    }


def _packages(wanted: Wanted, known: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    relp = any(endpoint.type == "relp_tls" for endpoint in wanted.endpoints)
    needs = {"always": True, "tls": bool(wanted.endpoints), "relp": relp, "receiver": bool(wanted.receivers)}
    return _once(name for need, needed in needs.items() if needed for name in known[need])


def _listens(receiver: Endpoint) -> str:
    """Where the host itself reaches the receiver."""
    address = str(receiver.rest["address"])
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"[{address}]:{receiver.port}" if ":" in address else f"{address}:{receiver.port}"


def _pem_files(wanted: Wanted) -> t.Iterator[dict[str, t.Any]]:
    for endpoint in wanted.endpoints:
        for pem in endpoint.pems:
            if pem.content is not None:
                secret = {"mode": "0600", "secret": True} if pem is endpoint.key else {"mode": "0644"}
                yield {"path": pem.home, "content": pem.content, **secret}


def _program_files(wanted: Wanted, platform: Data, provider: str) -> t.Iterator[dict[str, t.Any]]:
    yield {
        "path": UNIT_FILE,
        "template": f"{provider}.service.j2",
        "template_vars": {
            "__log_shipper_command": f"{platform['program']} -n -iNONE -f {CONFIG}",
            "__log_shipper_runtime": NAME,
            "__log_shipper_receives": bool(wanted.receivers),
        },
    }
    yield {
        "path": CONFIG,
        "template": f"{provider}.conf.j2",
        "template_vars": {
            "__log_shipper_spool": SPOOL,
            "__log_shipper_receipts": RECEIPTS,
            "__log_shipper_sinks": [_shown(sink, condition=condition(wanted, sink)) for sink in wanted.sinks],
            "__log_shipper_receivers": [_shown(receiver) for receiver in wanted.receivers],
        },
        "validate": [platform["program"], "-N1", "-f", "{staged}"],
        "validate_with": [pem["path"] for pem in _pem_files(wanted)],
    }
    if wanted.receivers:
        reopen = f"{platform['systemctl']} kill --signal=HUP {UNIT}"
        yield {
            "path": LOGROTATE,
            "template": "logrotate.j2",
            "template_vars": {"__log_shipper_kept": kept(wanted.receivers), "__log_shipper_reopen": reopen},
            "validate": [platform["logrotate_program"], "--debug", "{staged}"],
            "on_change": "none",
        }


def _shown(endpoint: Endpoint, **more: t.Any) -> dict[str, t.Any]:
    """An endpoint as templates see it: paths instead of contents."""
    return {
        "name": endpoint.name,
        "type": endpoint.type,
        "port": endpoint.port,
        "ca": endpoint.ca.place,
        "cert": endpoint.cert.place,
        "key": endpoint.key.place,
        # A sink is whom its address names.
        "peers": list(endpoint.peers or (endpoint.rest["host"],)),
        **endpoint.rest,
        **more,
    }


def condition(wanted: Wanted, sink: Endpoint) -> str:
    """Which lines go to the sink; empty when no route leads there."""
    return " or ".join(source.condition for source in _routed(wanted, sink))


def _routed(wanted: Wanted, sink: Endpoint) -> list[Source]:
    names = {name for route in wanted.routes if sink.name in route.sinks for name in route.sources}
    return [source for source in wanted.sources if source.name in names]


def tests(wanted: Wanted) -> dict[str, list[t.Any]]:
    """``lines`` to write to the journal, one for each source that a route takes; ``arrivals`` are the receipts that
    they leave, "source sink"."""
    arrivals = [(source, sink) for sink in wanted.sinks for source in _routed(wanted, sink)]
    sources = dict.fromkeys(source for source, _sink in arrivals)
    return {
        "lines": [source.test for source in sources],
        "arrivals": [f"{source.name} {sink.name}" for source, sink in arrivals],
    }


def kept(receivers: t.Iterable[Endpoint]) -> list[dict[str, t.Any]]:
    """Which files are rotated, and how often before they go: the longest time that any receiver of the path wants."""
    days: dict[str, int] = {}
    for receiver in receivers:
        path = receiver.rest["path"]
        days[path] = max(days.get(path, 0), int(receiver.rest["keep_days"]))
    return [{"files": re.sub(r"[{][a-z]+[}]", "*", path), "days": days[path]} for path in sorted(days)]
