# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Says what is wrong with a pipeline, and what it requires of a host. Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .. import textfile
from ..built import Data
from .pipeline import LINK, SINK, SINK_OPTIONS, UNIT, Endpoint, Pipeline, Receiver, Sink, Source, once

Finding = tuple[t.Iterable[str], str]  # names, and what is said of them when there are any


@dataclasses.dataclass(frozen=True)
class Able:
    """What a shipper can do on a platform: types, what it may do when a buffer is full, and its smallest buffer."""

    sources: frozenset[str]
    sinks: frozenset[str]
    receivers: frozenset[str]
    when_full: tuple[str, ...]
    least_mib: int = 1


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_UNIT = re.compile(r"[A-Za-z0-9:_.@*?\\-]+\Z")
_WORD = re.compile(r"[A-Za-z0-9.:_*-]+\Z")
_CONTAINER = re.compile(r"[A-Za-z0-9_.*?-]+\Z")
# No wildcard in the directories: what is read must not grow by a directory that somebody makes.
_GLOB = re.compile(r"(/[A-Za-z0-9._@+-]+)+/[A-Za-z0-9._@+*-]+\Z")
_LABEL = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_TEXT = re.compile(r"[A-Za-z0-9 ._:/@+-]{1,200}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9._/@:+-]+\Z")
# Of RFC 3986, without what configurations give a meaning of their own.
_URL = re.compile(r"[A-Za-z0-9._~:/?#@%=&\[\]+,-]+\Z")
_WORDS = ("index", "topic", "bucket", "region", "prefix", "tenant", "username")
_OWN_LABELS = frozenset({"host", "source", "unit", "severity", "program", "instance", "container", "gpu_uuid"})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NOTHING = object()
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]+\Z")
# Our unit has ProtectHome=yes and PrivateTmp=yes.
_HIDDEN = ("/root/", "/home/", "/run/user/", "/tmp/", "/var/tmp/")
# And ProtectSystem=full.
_READ_ONLY = ("/usr/", "/boot/", "/efi/", "/etc/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/proc/", "/sys/", "/dev/")
# A directory that is named, then parts with placeholders.
_PATTERN = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*){2,}(/[A-Za-z0-9_.-]*[{](host|program)[}][A-Za-z0-9_.-]*)+\Z")
# They belong to others, and would become ours with all that is in them.
_SHARED = re.compile(r"/(var/log|var/lib|var/spool|etc|usr|dev|proc|sys|run)/[^/]*[{]")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def problems(pipeline: Pipeline, shipper: str, able: t.Mapping[str, Able]) -> list[str]:
    """One sentence for each thing that is invalid. No host is asked.

    ``able``: what each shipper can do on this platform, by name; empty where the platform is not known.
    """
    return _sentences(
        [
            *_wrong_names(pipeline.names),
            *_wrong_types(pipeline, shipper, able),
            *_wrong_queues(pipeline.sinks, shipper, able),
            *_wrong_routes(pipeline),
            *_wrong_sources(pipeline.sources),
            *_wrong_options(pipeline.sinks),
            *_wrong_certificates(pipeline.endpoints, pipeline.receivers),
            *_wrong_places(pipeline),
            *_wrong_texts(pipeline),
            (
                [folder for folder in (pipeline.textfile_dir,) if folder and not _PATH.match(folder)],
                "log_shipper_textfile_dir must be an absolute path without blanks, not {}.",
            ),
        ]
    )


def _sentences(findings: t.Iterable[Finding]) -> list[str]:
    return [words.replace("{}", ", ".join(names), 1) for found, words in findings if (names := once(found))]


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


def _wrong_types(pipeline: Pipeline, shipper: str, able: t.Mapping[str, Able]) -> t.Iterator[Finding]:
    """For each type that the shipper does not have, those that have it."""
    for what, ends in (("sinks", pipeline.sinks), ("receivers", pipeline.receivers), ("sources", pipeline.sources)):
        have = {name: getattr(abilities, what) for name, abilities in able.items()}
        if shipper not in have:
            continue
        for kind in once(end.type for end in ends if end.type not in have[shipper]):
            others = [name for name, types in sorted(have.items()) if kind in types]
            yield (
                [end.name for end in ends if end.type == kind],
                f"log_shipper_provider {shipper} has no {what} of type {kind} on this host, which these are: {{}}; "
                + (f"{', '.join(others)} can." if others else "no provider has them here."),
            )


def _wrong_queues(sinks: t.Iterable[Sink], shipper: str, able: t.Mapping[str, Able]) -> t.Iterator[Finding]:
    if shipper not in able:
        return
    for word in once(str(sink.queue["when_full"]) for sink in sinks):
        if word in able[shipper].when_full:
            continue
        others = [name for name, abilities in sorted(able.items()) if word in abilities.when_full]
        yield (
            [sink.name for sink in sinks if sink.queue["when_full"] == word],
            f"log_shipper_provider {shipper} cannot {word} when a buffer is full, as these sinks want: {{}}; "
            f"it can {', '.join(able[shipper].when_full)}" + (f", and {', '.join(others)} can." if others else "."),
        )
    small = [sink.name for sink in sinks if int(sink.queue["disk_max_mib"]) < able[shipper].least_mib]
    yield small, f"The buffer of {shipper} has at least {able[shipper].least_mib} MiB, more than disk_max_mib of: {{}}."


def _wrong_routes(pipeline: Pipeline) -> t.Iterator[Finding]:
    for what, there, named in (
        ("sources", [source.name for source in pipeline.sources], [route.sources for route in pipeline.routes]),
        ("sinks", [sink.name for sink in pipeline.sinks], [route.sinks for route in pipeline.routes]),
    ):
        unknown = [name for names in named for name in names if name not in there]
        have = f"log_shipper_{what} has {', '.join(there) or 'none'}"
        yield unknown, f"log_shipper_routes names {what} that are not there: {{}}; {have}."


def _wrong_sources(sources: t.Sequence[Source]) -> t.Iterator[Finding]:
    needs = {"journald": "units", "model_servers": "units", "containers": "containers", "files": "paths"}
    called = {"model_servers": "instances"}
    for kind, attribute in needs.items():
        without = [source.name for source in sources if source.type == kind and not getattr(source, attribute)]
        option = called.get(kind, attribute)
        yield without, f"These sources of type {kind} have no {option}: {{}}; list at least one."
    units = [unit for source in sources for unit in source.units if not _UNIT.match(unit)]
    containers = [name for source in sources for name in source.containers if not _CONTAINER.match(name)]
    paths = [path for source in sources for path in source.paths if not _GLOB.match(path) or "/../" in path]
    hidden = [path for source in sources for path in source.paths if path.startswith(_HIDDEN)]
    yield units, "These are no names of units: {}; * and ? are the wildcards."
    yield containers, "These are no names of containers: {}; * and ? are the wildcards."
    yield paths, "These paths of log files cannot be used: {}; give absolute paths, with * in the last part at most."
    yield hidden, "The shipper cannot read below /root, /home, /tmp, /var/tmp and /run/user: {}; log elsewhere."


def _wrong_options(sinks: t.Sequence[Sink]) -> t.Iterator[Finding]:
    for kind, (must, may) in SINK_OPTIONS.items():
        here = [sink for sink in sinks if sink.type == kind]
        for option in must:
            yield (
                [sink.name for sink in here if not sink.given.get(option)],
                f"Sinks of type {kind} need {option}: {{}}.",
            )
        strange = [
            f"{sink.name} ({option})"
            for sink in here
            for option in _used(sink)
            if option not in (*must, *may) and sink.given.get(option) != SINK.get(option, _NOTHING)
        ]
        yield strange, f"Sinks of type {kind} have no such option: {{}}."
    yield (
        [
            sink.name
            for sink in sinks
            if sink.url and (sink.scheme not in ("http", "https") or not sink.host or not sink.port)
        ],
        "The URL must be http://HOST[:PORT][/PATH] or https://..., unlike in: {}.",
    )
    yield [sink.url for sink in sinks if sink.url and not _URL.match(sink.url)], "These URLs cannot be used: {}."
    yield (
        [sink.name for sink in sinks if any(mark in sink.url for mark in "@?#")],
        "A URL has neither a user nor a query: give username, password or token as options of: {}.",
    )
    far = [
        sink for sink in sinks if sink.scheme == "http" and sink.host not in _LOOPBACK and not sink.given["plain_http"]
    ]
    yield (
        [sink.name for sink in far],
        "These sinks would send logs unencrypted over the network: {}; use https, or set plain_http.",
    )
    yield (
        [sink.name for sink in sinks if sink.token is not None and sink.password is not None],
        "Either a token or a password: {}.",
    )
    yield (
        [sink.name for sink in sinks if (sink.password is None) != (sink.given.get("username") is None)],
        "A password needs its username and the other way round, unlike in: {}.",
    )
    yield (
        [
            broker
            for sink in sinks
            for broker in sink.given.get("brokers") or ()
            if not re.match(r"[A-Za-z0-9._-]+:[0-9]{1,5}\Z", str(broker))
        ],
        "Brokers are HOST:PORT, unlike: {}.",
    )
    words = [str(sink.given[name]) for sink in sinks for name in _WORDS if sink.given.get(name) is not None]
    yield [word for word in words if not _PLAIN.match(word)], "These words of sinks cannot be used: {}."
    files = [str(sink.given["path"]) for sink in sinks if sink.given.get("path")]
    yield [path for path in files if not _PATH.match(path)], "These files of sinks cannot be used: {}."
    yield (
        [path for path in files if path.startswith(_HIDDEN)],
        "The shipper cannot write below /root, /home, /tmp, /var/tmp and /run/user: {}; use /var/log or /srv.",
    )
    yield (
        [path for path in files if path.startswith(_READ_ONLY)],
        "The shipper cannot write to programs, settings and devices: {}; use /var/log or /srv.",
    )


def _used(sink: Sink) -> list[str]:
    names = [name for name in sink.given if name not in ("name", "type", "state", "queue")]
    pems = {"ca": sink.ca, "cert": sink.cert, "private_key": sink.key}
    names += [name for name, pem in pems.items() if pem.ways]
    return [*names, *(name for name, held in (("password", sink.password), ("token", sink.token)) if held)]


def _wrong_texts(pipeline: Pipeline) -> t.Iterator[Finding]:
    """What becomes part of the configuration of each program must mean the same in all of them."""
    labels = [pair for source in pipeline.sources for pair in source.labels]
    labels += [pair for route in pipeline.routes for pair in route.labels]
    texts = [text for route in pipeline.routes for text in (*route.contains, *route.excludes)]
    yield (
        [name for name, _value in labels if not _LABEL.match(name)],
        ("These names of labels cannot be used: {}; use small letters, digits and _."),
    )
    yield [name for name, _value in labels if name in _OWN_LABELS], "These labels are given by the role itself: {}."
    yield (
        [value for _name, value in labels if not _TEXT.match(value)],
        ("These values of labels cannot be used: {}; use letters, digits, blanks and . _ : / @ + -."),
    )
    yield (
        [text for text in texts if not _TEXT.match(text)],
        ("These texts of routes cannot be used: {}; use letters, digits, blanks and . _ : / @ + - ."),
    )
    yield (
        [pattern for pattern in pipeline.redact_patterns if not _is_pattern(pattern)],
        (
            "These patterns of log_shipper_redact_patterns cannot be used: {}; give extended regular expressions "
            "without quotation marks, backslashes and groups that are referred to."
        ),
    )


def _is_pattern(pattern: str) -> bool:
    if not pattern or not pattern.isprintable() or set(pattern) & set("\"'\\`$"):
        return False
    try:
        return re.compile(pattern).match("") is None
    except re.error:
        return False


def _wrong_certificates(ends: t.Iterable[Endpoint], receivers: t.Iterable[Receiver]) -> t.Iterator[Finding]:
    ca = [end.name for end in ends if end.needs_ca and end.ca.ways != 1]
    many = [end.name for end in ends if not end.needs_ca and end.ca.ways > 1]
    twice = [end.name for end in ends if end.cert.ways > 1 or end.key.ways > 1]
    half = [end.name for end in ends if bool(end.cert.ways) != bool(end.key.ways)]
    bare = [end.name for end in receivers if not end.cert.ways]
    closed = [end.name for end in receivers if not end.peers]
    no_key = [end.name for end in ends if end.key.content is not None and not _is_key(end.key.content)]
    yield ca, "Exactly one of ca and ca_content is needed, unlike in: {}."
    yield many, "At most one of ca and ca_content, unlike in: {}."
    yield twice, "A certificate or key is given both as a path and as content in: {}; leave one out."
    yield half, "A certificate needs its private key and the other way round, unlike in: {}."
    yield bare, "These receivers have no certificate: {}; give cert and private_key."
    yield closed, "These receivers would let in nobody: {}; list permitted_peers."
    yield no_key, "private_key_content is no unencrypted PEM key in: {}."


def _is_key(content: str) -> bool:
    return _PRIVATE_KEY.search(content) is not None and "ENCRYPTED" not in content


def _wrong_places(pipeline: Pipeline) -> t.Iterator[Finding]:
    words = [host for sink in pipeline.sinks for host in sink.hosts]
    words += [peer for endpoint in pipeline.endpoints for peer in endpoint.peers]
    words += [receiver.address for receiver in pipeline.receivers]
    words += [receiver.group for receiver in pipeline.receivers]
    bad = [path for path in pipeline.host_paths if not _PATH.match(path)]
    hidden = [path for path in pipeline.host_paths if path.startswith(_HIDDEN)]
    lost = [receiver.path for receiver in pipeline.receivers if receiver.path.startswith(_HIDDEN)]
    patterns = [receiver.path for receiver in pipeline.receivers if _bad_pattern(receiver.path)]
    ports = sorted(receiver.port for receiver in pipeline.receivers)
    yield [w for w in words if not _WORD.match(w)], "These hosts, addresses, groups or peers are invalid: {}."
    yield bad, "These paths cannot be used: {}; give absolute paths without blanks."
    yield hidden, "The shipper cannot read below /root, /home, /tmp, /var/tmp and /run/user: {}; move them to /etc."
    fixed = [receiver.path for receiver in pipeline.receivers if receiver.path.startswith(_READ_ONLY)]
    yield fixed, "The shipper cannot write to programs, settings and devices: {}; use /var/log or /srv."
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


def requires(pipeline: Pipeline, rivals: t.Iterable[Data], package: str, python: str) -> list[Data]:
    """Conditions of the module ``component``. What our unit listens on is its own.

    ``rivals``: packages that ``package`` would remove, with a path of each. ``python`` runs what goes with the unit.
    """
    keys = {endpoint.key.path for endpoint in pipeline.endpoints}
    exposed = "The private key {what} can be read by others; take away their permissions (mode 0600 or 0640)."
    interpreter = {
        "kind": "path",
        "path": python,
        "executable": True,
        "msg": "log_shipper_python is no program on the host: {what}; install it, or name another one.",
    }
    return [
        *([interpreter] if pipeline.endpoints else []),
        *textfile.requires("log_shipper", pipeline.textfile_dir, LINK),
        *(
            {
                "kind": "path",
                "path": path,
                "type": "file",
                "msg": "These files are not on the host: {what}; put them there first, or give their content.",
                **({"max_mode": "0770", "msg_for": {"max_mode": exposed}} if path in keys else {}),
            }
            for path in pipeline.host_paths
        ),
        *(
            {
                "kind": "port",
                "port": receiver.port,
                "units": [UNIT],
                "msg": "Another program listens on port {what}; stop it or choose another port.",
            }
            for receiver in pipeline.receivers
        ),
        *(
            {
                "kind": "empty",
                "path": rival["path"],
                "msg": f"The host logs with {rival['package']} ({{what}}), which the package {package} would "
                "remove; remove it yourself, or take the host out of the play.",
            }
            for rival in rivals
        ),
    ]
