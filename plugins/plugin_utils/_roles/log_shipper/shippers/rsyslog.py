# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A second rsyslogd, separate from that of the site.

In a shared rsyslogd the files of others decide what becomes of our lines (``& stop``, ``$DefaultRuleset``, an open
``$RuleSet``), a module cannot be loaded twice, and settings such as ``$PrivDropToUser`` or the TLS of imtcp are one for
all.
"""

from __future__ import annotations

import typing as t

from .....module_utils._log_shipper.paths import DRAIN_S, PROGRAM
from ...built import Data
from ..pipeline import CONFIG_DIR, RECEIPTS, SPOOL, Flow, Pipeline, Sink, Source, once, unit_pattern, wildcards
from ..redaction import TEXT, Redaction, redactions
from .base import EVENT_FIELDS, SOURCES, Service, from_files, own_files, shown_receiver, shown_sink

# Its place in the journal, a cursor.
STATE = f"{SPOOL}/journal.state"

# RainerScript finds the first match only. A line with more of them is replaced as a whole.
_MATCHES = 8

_SYSLOG = ("syslog_tls", "relp_tls")

# Where the packages of modules are listed in vars/, by types of sinks.
_MODULES = {"opensearch": "elasticsearch", "kafka": "kafka", "http": "http", "loki": "http"}


class Rsyslog:
    name: t.ClassVar[str] = "rsyslog"
    sources: t.ClassVar[frozenset[str]] = SOURCES
    receivers: t.ClassVar[frozenset[str]] = frozenset({"relp_tls", "syslog_tls"})
    when_full: t.ClassVar[tuple[str, ...]] = ("block", "drop_newest")
    least_mib: t.ClassVar[int] = 1
    # A sink that does not answer is no failure of this host: its lines wait in the buffer.
    complaints: t.ClassVar[str] = (
        "(?i)could not (create|load|interpret|be accessed|bind|activate)|not known -- typo|error during parsing"
        "|error reading|cannot open"
    )
    reopen: t.ClassVar[str] = "HUP"
    config: t.ClassVar[str] = f"{CONFIG_DIR}/rsyslog.conf"
    receipts: t.ClassVar[bool] = True
    numbers: t.ClassVar[bool] = True
    counts: t.ClassVar[bool] = True

    def __init__(self, known: Data) -> None:
        self._known = known

    @staticmethod
    def refuses(pipeline: Pipeline) -> list[str]:
        logins = [sink.name for sink in pipeline.sinks if sink.type == "kafka" and sink.password is not None]
        bearers = [sink.name for sink in pipeline.sinks if sink.token is not None]
        found = []
        for names, words in (
            (logins, "How Kafka checks a password is no option: with rsyslog give a certificate instead in: {}."),
            (bearers, "rsyslog reads no token from a file: give username and password in: {}."),
        ):
            if names:
                found.append(words.replace("{}", ", ".join(once(names))))
        return found

    def repositories(self) -> list[dict[str, t.Any]]:
        return []

    def packages(self, pipeline: Pipeline) -> list[str]:
        relp = any(endpoint.type == "relp_tls" for endpoint in pipeline.endpoints)
        needs = {"always": True, "tls": any(end.needs_ca for end in pipeline.endpoints), "relp": relp}
        needs |= {_MODULES[sink.type]: True for sink in pipeline.sinks if sink.type in _MODULES}
        return once(name for need, needed in needs.items() if needed for name in self._known["packages"][need])

    def service(self, pipeline: Pipeline) -> Service:
        return Service(
            command=f"{self._known['program']} -n -iNONE -f {self.config}",
            type="notify",
            before=(f"{PROGRAM} place",),
            after=(f"{PROGRAM} stopped",),
            # A sink that does not answer may take omrelp's timeout of 30 s.
            stop_s=90,
            stdout="null",
            documentation="man:rsyslogd(8)",
        )

    def validate(self, path: str) -> list[str]:
        return [self._known["program"], "-N1", "-f", path]

    def state(self) -> str:
        return STATE

    def modules(self, pipeline: Pipeline) -> dict[str, str]:
        driver = any(end.type == "syslog_tls" for end in pipeline.endpoints)
        return {"lmnsd_gtls": self._known["packages"]["tls"][0]} if driver else {}

    def ready(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return []

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [
            {
                "path": self.config,
                "template": "rsyslog.conf.j2",
                "template_vars": {
                    "__log_shipper_spool": SPOOL,
                    "__log_shipper_state": STATE,
                    "__log_shipper_metrics": f"{PROGRAM} metrics" if pipeline.textfile_dir else "",
                    "__log_shipper_drain_s": DRAIN_S,
                    "__log_shipper_receipts": RECEIPTS,
                    "__log_shipper_sources": [
                        {"number": number, "condition": condition(source)}
                        for number, source in enumerate(pipeline.read, 1)
                        if source in _shared(pipeline)
                    ],
                    "__log_shipper_files": [
                        {"name": source.name, "paths": list(source.paths)} for source in from_files(pipeline)
                    ],
                    "__log_shipper_events": [{"field": field, "name": field.lower()} for field in EVENT_FIELDS]
                    if any(source.events for source in pipeline.read)
                    else [],
                    "__log_shipper_json": any(flow.source.json for flow in _into(pipeline, fields=True)),
                    "__log_shipper_any_unit": any(not flow.source.units for flow in _into(pipeline, fields=False)),
                    "__log_shipper_redactions": list(map(_redaction, redactions(pipeline))),
                    "__log_shipper_redacted": TEXT,
                    "__log_shipper_redaction_matches": _MATCHES,
                    "__log_shipper_sinks": [_sink(pipeline, sink) for sink in pipeline.sinks],
                    "__log_shipper_receivers": list(map(shown_receiver, pipeline.receivers)),
                },
                "validate": self.validate("{staged}"),
                "validate_with": [file["path"] for file in own_files(pipeline)],
            },
        ]


def _sink(pipeline: Pipeline, sink: Sink) -> dict[str, t.Any]:
    return {
        **shown_sink(sink),
        **{
            name: value for name, value in sink.given.items() if name in ("index", "topic", "brokers", "path", "tenant")
        },
        "username": sink.given.get("username"),
        "scheme": sink.scheme,
        "tls": sink.tls,
        "url_path": sink.url_path,
        "password": sink.password.home if sink.password else None,
        "flows": [_flow(pipeline, flow) for flow in pipeline.flows(sink)],
    }


def _into(pipeline: Pipeline, *, fields: bool) -> list[Flow]:
    """What leads to sinks that get a syslog header, or to those that get an object with fields."""
    return [
        flow
        for sink in pipeline.sinks
        if (sink.type not in _SYSLOG if fields else sink.type in _SYSLOG)
        for flow in pipeline.flows(sink)
    ]


def _shared(pipeline: Pipeline) -> list[Source]:
    """Sources that several sinks get: whether a line is of them is worked out once."""
    found = [flow.source for sink in pipeline.sinks for flow in pipeline.flows(sink)]
    return [source for source in pipeline.read if found.count(source) > 1]


def _flow(pipeline: Pipeline, flow: Flow) -> dict[str, t.Any]:
    source = flow.source
    shared = source in _shared(pipeline)
    terms = [f'$.is_{pipeline.read.index(source) + 1} != ""' if shared else condition(source)]
    if not flow.everything:
        terms.append("(" + " or ".join(['$.test != ""', *map(_way, flow.ways)]) + ")")
    return {
        "source": source.name,
        # A line that has one of these units has a unit.
        "unit": bool(source.units),
        "json": source.json,
        "condition": " and ".join(terms),
        "labels": [{"name": name, "value": value} for name, value in flow.labels],
    }


def _way(route: t.Any) -> str:
    """RainerScript. A text has neither quotation marks nor backslashes nor dollars."""
    terms = [f"$syslogseverity <= {route.severity}"] if route.severity < 7 else []
    if route.contains:
        terms.append("(" + " or ".join(f'$msg contains "{text}"' for text in route.contains) + ")")
    terms += [f'not ($msg contains "{text}")' for text in route.excludes]
    return "(" + " and ".join(terms) + ")"


def _redaction(redaction: Redaction) -> dict[str, str]:
    """The whole expression, and its parts, which are matched by themselves."""
    parts = {"pattern": redaction.pattern, "before": redaction.before, "secret": redaction.secret}
    return {name: _quoted(text) for name, text in parts.items()}


def _quoted(text: str) -> str:
    r"""As RainerScript takes it between double marks: \, " and $ have a backslash before them."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")


def condition(source: Source) -> str:
    """RainerScript. journald vouches for names that begin with an underscore: no program can forge them."""
    if source.paths:
        return f'$syslogtag == "mlops-file-{source.name}:"'
    # Each source has one of the first three, and a line of a file has none of them.
    terms = []
    if source.transport:
        terms.append(f'$!_TRANSPORT == "{source.transport}"')
    if source.units:
        patterns = "|".join(map(unit_pattern, source.units))
        terms.append(f're_match($!_SYSTEMD_UNIT, "^({patterns})\\$")')
    if source.containers:
        patterns = "|".join(map(wildcards, source.containers))
        terms.append(f'$!CONTAINER_NAME != "" and re_match($!CONTAINER_NAME, "^({patterns})\\$")')
    if source.events:
        terms.append('($!MLOPS_GPU_EVENT == "1" or $.test != "")')
    if source.severity < 7:
        terms.append(f'($syslogseverity <= {source.severity} or $.test != "")')
    return " and ".join(terms)
