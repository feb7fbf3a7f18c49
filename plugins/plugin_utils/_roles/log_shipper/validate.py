# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Says what is wrong with a pipeline, and what it requires of a host. Pure."""

from __future__ import annotations

import re
import typing as t

from ..built import Data
from .pipeline import UNIT, Endpoint, Pipeline, Receiver, Source, once

Finding = tuple[t.Iterable[str], str]  # names, and what is said of them when there are any

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


def problems(pipeline: Pipeline, shipper: str, supported: t.Collection[str]) -> list[str]:
    """One sentence for each thing that is invalid. No host is asked.

    ``supported`` are the types of sinks and receivers that the shipper has.
    """
    return _sentences(
        [
            *_wrong_names(pipeline.names),
            *_wrong_types(pipeline.endpoints, shipper, supported),
            *_wrong_routes(pipeline),
            *_wrong_units([source for source in pipeline.sources if source.type == "journald_units"]),
            *_wrong_certificates(pipeline.endpoints, pipeline.receivers),
            *_wrong_places(pipeline),
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


def _wrong_types(ends: t.Iterable[Endpoint], shipper: str, supported: t.Collection[str]) -> t.Iterator[Finding]:
    unknown = [f"{end.name} ({end.type})" for end in ends if end.type not in supported]
    have = f"log_shipper_provider {shipper} has {', '.join(sorted(supported))}"
    yield unknown, f"The shipper does not support the type of: {{}}; {have}."


def _wrong_routes(pipeline: Pipeline) -> t.Iterator[Finding]:
    for what, there, named in (
        ("sources", [source.name for source in pipeline.sources], [route.sources for route in pipeline.routes]),
        ("sinks", [sink.name for sink in pipeline.sinks], [route.sinks for route in pipeline.routes]),
    ):
        unknown = [name for names in named for name in names if name not in there]
        have = f"log_shipper_{what} has {', '.join(there) or 'none'}"
        yield unknown, f"log_shipper_routes names {what} that are not there: {{}}; {have}."


def _wrong_units(sources: t.Iterable[Source]) -> t.Iterator[Finding]:
    bad = [unit for source in sources for unit in source.units if not _UNIT.match(unit)]
    without = [source.name for source in sources if not source.units]
    yield without, "These sources have no units: {}; list at least one."
    yield bad, "These are no names of units: {}; * and ? are the wildcards."


def _wrong_certificates(ends: t.Iterable[Endpoint], receivers: t.Iterable[Receiver]) -> t.Iterator[Finding]:
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


def _wrong_places(pipeline: Pipeline) -> t.Iterator[Finding]:
    words = [sink.host for sink in pipeline.sinks]
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


def requires(pipeline: Pipeline, rivals: t.Iterable[Data], package: str) -> list[Data]:
    """Conditions of the module ``component``. What our unit listens on is its own.

    ``rivals``: packages that ``package`` would remove, with a path of each.
    """
    keys = {endpoint.key.path for endpoint in pipeline.endpoints}
    exposed = "The private key {what} can be read by others; take away their permissions (mode 0600 or 0640)."
    return [
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
