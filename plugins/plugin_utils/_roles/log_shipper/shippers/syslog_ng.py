# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A syslog-ng of its own. That of the distribution, ``syslog-ng.service``, is neither read nor changed.

Its checker passes names that are not defined anywhere. All that a path needs is therefore written where it is used, and
what has a name, a destination, is made in the same loop as the path that leads there.
"""

from __future__ import annotations

import json
import posixpath
import re
import typing as t

from ...built import Data
from ..pipeline import (
    CONFIG_DIR,
    RECEIPTS,
    SEVERITIES,
    SPOOL,
    UNIT,
    Flow,
    Pipeline,
    Route,
    Sink,
    Source,
    once,
    once_each,
    unit_pattern,
    wildcards,
)
from ..redaction import TEXT, Redaction, redactions
from .base import EVENT_FIELDS, SOURCES, Service, from_files, from_journal, own_files, shown_receiver, shown_sink

# Of sinks without fields.
_TEXTS = ("syslog_tls", "loki")
_HTTP = ("http", "loki", "opensearch")
# Names of sinks have no dot: no receipt has this name.
CONTROL = f"{RECEIPTS}/syslog-ng.ctl"
BEGIN = f"{CONFIG_DIR}/begin-at-the-end"
PERSIST = f"{SPOOL}/syslog-ng.persist"
# A record of the message, and what is set on the way to a sink.
_RECORD = (
    ("@timestamp", "${ISODATE}"),
    ("host", "${HOST}"),
    ("source", "${.mlops.source}"),
    ("unit", "${.mlops.unit}"),
    ("container", "${.mlops.container}"),
    ("program", "${PROGRAM}"),
    ("pid", "${PID}"),
    ("severity", "${LEVEL}"),
    ("message", "${MESSAGE}"),
)
_STREAM = ("host", "source", "unit", "severity")
# Of a line that may have a secret.
_HINTED = 'tags("mlops_hinted")'
_EVENT = ".SDATA.mlops-gpu@32473."
_PATHS = {"loki": "/loki/api/v1/push", "opensearch": "/_bulk", "http": ""}
_CONTENT = {"loki": "application/json", "opensearch": "application/x-ndjson", "http": "application/x-ndjson"}
# What is around the bodies of a request.
_FRAMES = {
    "loki": r"""body-prefix("{\"streams\":[") delimiter(",") body-suffix("]}")""",
    "opensearch": r"""delimiter("\n") body-suffix("\n")""",
    "http": r"""delimiter("\n") body-suffix("\n")""",
}


class SyslogNg:
    name: t.ClassVar[str] = "syslog_ng"
    sources: t.ClassVar[frozenset[str]] = SOURCES
    receivers: t.ClassVar[frozenset[str]] = frozenset({"syslog_tls"})
    when_full: t.ClassVar[tuple[str, ...]] = ("block", "drop_newest")
    least_mib: t.ClassVar[int] = 1
    # A sink that does not answer is no failure of this host: its lines wait in the buffer.
    complaints: t.ClassVar[str] = (
        "(?i)error (resolving reference|parsing|initializing|binding|creating|opening (tls|file))|spurious path"
        "|permission denied|conflicting persist-names"
    )
    reopen: t.ClassVar[str] = "HUP"
    config: t.ClassVar[str] = f"{CONFIG_DIR}/syslog-ng.conf"
    receipts: t.ClassVar[bool] = True
    numbers: t.ClassVar[bool] = False
    counts: t.ClassVar[bool] = False

    def __init__(self, known: Data) -> None:
        self._known = known

    @staticmethod
    def refuses(pipeline: Pipeline) -> list[str]:
        """What its options cannot say."""
        strange = [sink.name for sink in pipeline.sinks if sink.needs_ca and sink.peers not in ((), (sink.host,))]
        wild = once(peer for receiver in pipeline.receivers for peer in receiver.peers if "*" in peer or "?" in peer)
        # A wildcard of its own goes on into the other parts of a subject.
        sentences = {
            "log_shipper_provider syslog_ng takes the certificate of a sink only if it names its host: leave out "
            "permitted_peers of {}, or set host to that name.": strange,
            "log_shipper_provider syslog_ng compares whole names: list what {} of permitted_peers stands for.": wild,
        }
        return [words.format(", ".join(names)) for words, names in sentences.items() if names]

    def repositories(self) -> list[dict[str, t.Any]]:
        return []

    def packages(self, pipeline: Pipeline) -> list[str]:
        kinds = {sink.type for sink in pipeline.sinks}
        needs = {"always": True, "http": not kinds.isdisjoint(_HTTP)}
        return once(name for need, needed in needs.items() if needed for name in self._known["packages"][need])

    def service(self, pipeline: Pipeline) -> Service:
        return Service(
            command=f"{self._known['program']} --foreground --stderr --no-caps --cfgfile={self.config} "
            f"--persist-file={PERSIST} --pidfile={RECEIPTS}/syslog-ng.pid --control={CONTROL}",
            type="notify",
            before=(f"/bin/sh {BEGIN}",) if from_journal(pipeline) else (),
            documentation="man:syslog-ng(8)",
        )

    def state(self) -> str:
        return PERSIST

    def modules(self, pipeline: Pipeline) -> dict[str, str]:
        return {}

    def validate(self, path: str) -> list[str]:
        return [self._known["program"], "--syntax-only", f"--cfgfile={path}"]

    def ready(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        """Its unit notifies; what it has read, it says only while it runs."""
        command = [self._known["control"], "stats", f"--control={CONTROL}"]
        return [{"unit": UNIT, "command": command, "timeout_s": 20}]

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        secrets = [secret for sink in pipeline.sinks for secret in _secrets(sink)]
        begin = {
            "path": BEGIN,
            "template": "syslog-ng-begin.sh.j2",
            "template_vars": {
                "__log_shipper_persist": PERSIST,
                "__log_shipper_spool": SPOOL,
                "__log_shipper_persist_tool": self._known["persist_tool"],
            },
            "mode": "0600",
            "on_change": "none",
        }
        return [
            *secrets,
            *([begin] if from_journal(pipeline) else []),
            {
                "path": self.config,
                "template": "syslog-ng.conf.j2",
                "template_vars": self._shown(pipeline),
                "validate": self.validate("{staged}"),
                "validate_with": [file["path"] for file in (*own_files(pipeline), *secrets)],
            },
        ]

    def _shown(self, pipeline: Pipeline) -> dict[str, t.Any]:
        numbers = {source.name: number for number, source in enumerate(pipeline.read, 1)}
        sinks = [_sink(pipeline, sink, numbers) for sink in pipeline.sinks if pipeline.flows(sink)]
        return {
            "__log_shipper_spool": SPOOL,
            "__log_shipper_receipts": RECEIPTS,
            "__log_shipper_journal": bool(from_journal(pipeline)),
            "__log_shipper_window": max([100, *(int(sink.queue["memory_max_records"]) for sink in pipeline.sinks)]),
            "__log_shipper_files": [
                {"name": source.name, "number": numbers[source.name], "paths": list(map(_file, source.paths))}
                for source in from_files(pipeline)
            ],
            "__log_shipper_sources": [
                {"number": numbers[source.name], "condition": condition(source, files=bool(from_files(pipeline)))}
                for source in from_journal(pipeline)
            ],
            "__log_shipper_containers": any(source.containers for source in pipeline.read),
            "__log_shipper_json": sorted(numbers[name] for name in _parsed(pipeline)),
            "__log_shipper_events": [
                {"field": field, "name": f"{_EVENT}{field.lower()}"}
                for field in EVENT_FIELDS
                if any(source.events for source in pipeline.read)
            ],
            "__log_shipper_redactions": list(map(_redaction, redactions(pipeline))),
            "__log_shipper_hinted": _hinted(redactions(pipeline)),
            "__log_shipper_redacted": TEXT,
            "__log_shipper_sinks": sinks,
            "__log_shipper_tags": _tags(flow for sink in sinks for flow in sink["flows"]),
            "__log_shipper_receivers": [
                {
                    **shown_receiver(receiver),
                    "subjects": [pattern for peer in receiver.peers for pattern in subjects(peer)],
                    "path": receiver.path.replace("{host}", "${.mlops.host}").replace("{program}", "${.mlops.program}"),
                }
                for receiver in pipeline.receivers
            ],
        }


def _parsed(pipeline: Pipeline) -> set[str]:
    """Sources whose lines are read as JSON: elsewhere these stay texts."""
    found = (flow for sink in pipeline.sinks if sink.type not in _TEXTS for flow in pipeline.flows(sink))
    return {flow.source.name for flow in found if flow.source.json}


def quoted(text: str) -> str:
    """Between double quotation marks, in one line; backticks stand for variables everywhere in the file."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("`", "``") + '"'


def _literal(text: str) -> str:
    """The same where a template is taken."""
    return quoted(text.replace("$", "$$"))


def condition(source: Source, *, files: bool = True) -> str:
    """A filter. journald vouches for fields that begin with an underscore: no program can forge them.

    ``files``: whether lines of files go the same way.
    """
    terms = ['tags("mlops_journal")'] if files else []
    if source.transport:
        terms.append(f'"${{.journald._TRANSPORT}}" eq {quoted(source.transport)}')
    if source.units:
        terms.append(_matches(".mlops.unit", map(unit_pattern, source.units)))
    if source.containers:
        terms.append(_matches(".mlops.container", map(wildcards, source.containers)))
    if source.events:
        terms.append('("${.journald.MLOPS_GPU_EVENT}" eq "1" or tags("mlops_test"))')
    if source.severity < len(SEVERITIES) - 1:
        terms.append(_severity(source.severity))
    return " and ".join(terms)


def _matches(value: str, patterns: t.Iterable[str]) -> str:
    pattern = f"^({'|'.join(patterns)})$"
    found = f'match({quoted(pattern)} value("{value}") type("pcre"))'
    return f'("${{{value}}}" ne "" and {found})' if re.search(pattern, "") else found


def _severity(least: int) -> str:
    """A test line goes the way of any line of its source."""
    return f'(level({SEVERITIES[least]}..emerg) or tags("mlops_test"))'


def _way(route: Route) -> str:
    terms = [_severity(route.severity)] if route.severity < len(SEVERITIES) - 1 else []
    texts = [f'message({quoted(text)} type("string") flags("substring"))' for text in route.contains]
    if texts:
        terms.append(f'({" or ".join(texts)} or tags("mlops_test"))')
    terms += [f'not message({quoted(text)} type("string") flags("substring"))' for text in route.excludes]
    return f"({' and '.join(terms)})"


def _redaction(redaction: Redaction) -> dict[str, str]:
    """What precedes the secret is no part of the match, and what follows is only looked at: groups that are kept would
    lie in the buffer."""
    pattern = f"({redaction.before})\\K({_without_return(redaction.secret)})(?=({redaction.after}))"
    return {"pattern": quoted(pattern), "condition": _HINTED if redaction.hints else ""}


def _hinted(found: t.Sequence[Redaction]) -> str:
    """A filter that takes each line that one of those with hints is in. Expressions are slow here: its unit forbids to
    make code at run time, and PCRE interprets them. Measured: one that looks for all hints takes longer than these."""
    hints = once_each((hint, redaction.any_case) for redaction in found for hint in redaction.hints)
    others = [_has(hint, any_case) for hint, any_case in hints if not hint.startswith('"')]
    # Names of JSON: what has none of their ends has none of them, and what has no quotation mark has no end of one.
    names = [hint for hint, _any_case in hints if hint.startswith('"')]
    ends = once(name[-2:] for name in names)
    between = [f"({_has(end)} and ({' or '.join(_has(name) for name in names if name.endswith(end))}))" for end in ends]
    return " or ".join([*others, f"({_has(chr(34))} and ({' or '.join(between)}))"] if names else others)


def _has(text: str, any_case: bool = False) -> str:
    ignored = ' "ignore-case"' if any_case else ""
    return f'message({quoted(text)} type("string") flags("substring"{ignored}))'


def _without_return(pattern: str) -> str:
    """A group that is repeated takes a place on PCRE's small stack each time, and a text of 10 KiB would get through;
    one that never returns takes none."""
    return pattern.replace(r'([^"\\]|\\.)+', r'(?:[^"\\]++|\\.)++')


def _file(path: str) -> dict[str, str]:
    return {"folder": quoted(posixpath.dirname(path)), "pattern": quoted(posixpath.basename(path))}


def subjects(peer: str) -> list[str]:
    """The subject of a certificate as syslog-ng writes it, the last part first. A name in any other place could as well
    be a part of another text. Its macros of certificates are of no use: of lines that come together, only the first has
    them."""
    return [quoted(f"CN={peer}"), quoted(f"CN={peer}, *")]


def _sink(pipeline: Pipeline, sink: Sink, numbers: t.Mapping[str, int]) -> dict[str, t.Any]:
    found = pipeline.flows(sink)
    labels = once(name for flow in found for name, _value in flow.labels)
    disk, lines = int(sink.queue["disk_max_mib"]) * 1024 * 1024, int(sink.queue["memory_max_records"])
    block = sink.queue["when_full"] == "block"
    flows = [_flow(flow, sink, pipeline.sinks.index(sink) + 1, numbers) for flow in found]
    return {
        **shown_sink(sink),
        "flows": flows,
        "tags": _tags(flows),
        "tls": sink.tls,
        "block": block,
        # With block, lines wait where they were read. A file is always there.
        "buffered": not block and sink.type != "file",
        # A batch that the window has no room for would wait for its timeout each time.
        "batch": min(500, lines),
        "disk": disk,
        # A line counts as a KiB. At least a quarter of the file is for what waits.
        "memory": max(65536, min(lines * 1024, disk // 4)),
        "url": _literal(_url(sink)) if sink.type in _HTTP else "",
        "headers": ", ".join(map(quoted, _headers(sink))) if sink.token is None else "",
        "secret": auth_file(sink) if sink.secrets else None,
        "body": quoted(_body(sink, labels, found)),
        "frame": _FRAMES.get(sink.type, ""),
        "path": _literal(str(sink.given.get("path"))),
    }


def _tags(flows: t.Iterable[Data]) -> str:
    """A filter takes a line with one of them."""
    return " ".join(map(quoted, once(flow["tag"] for flow in flows)))


def _flow(flow: Flow, sink: Sink, to: int, numbers: t.Mapping[str, int]) -> dict[str, t.Any]:
    """``to``: the number of the sink."""
    syslog = sink.type == "syslog_tls"
    place = ".SDATA.mlops@32473." if syslog else ".mlops.label."
    number = numbers[flow.source.name]
    return {
        "source": flow.source.name,
        "tag": f"mlops_s{number}" if flow.everything else f"mlops_f{to}_{number}",
        # Of a flow that takes each line of its source, the tag is that of the source.
        "condition": ""
        if flow.everything
        else f'tags("mlops_s{number}") and (' + " or ".join(map(_way, flow.ways)) + ")",
        "labels": [{"name": f"{place}{name}", "value": _literal(value)} for name, value in flow.labels],
    }


def _url(sink: Sink) -> str:
    host = f"[{sink.host}]" if ":" in sink.host else sink.host
    path = sink.url_path + _PATHS["opensearch"] if sink.type == "opensearch" else sink.url_path or _PATHS[sink.type]
    return f"{sink.scheme}://{host}:{sink.port}{path or '/'}"


def _headers(sink: Sink) -> list[str]:
    tenant = sink.given.get("tenant")
    return (
        [f"Content-Type: {_CONTENT[sink.type]}", *([f"X-Scope-OrgID: {tenant}"] if tenant else [])]
        if (sink.type in _HTTP)
        else []
    )


def _body(sink: Sink, labels: t.Sequence[str], found: t.Sequence[Flow]) -> str:
    """A template. JSON of the engines stays what it was, with its numbers and lists."""
    if sink.type == "syslog_tls":
        return ""
    if sink.type == "loki":
        pairs = [(name, value) for name, value in _RECORD if name in _STREAM]
        pairs += [("gpu_uuid", f"${{{_EVENT}gpu_uuid}}")] if any(flow.source.events for flow in found) else []
        pairs += [(name, f"${{.mlops.label.{name}}}") for name in labels]
        # There is no function for a JSON text: it is taken out of an object of one member.
        text = '$(substr "$(format-json --scope none a=${MESSAGE})" 5 -1)'
        return f'{{"stream":{_json(pairs)},"values":[["$(substr "${{UNIXTIME}}" 0 10)${{USEC}}000",{text}]]}}'
    pairs = [*_RECORD, *((f"labels.{name}", f"${{.mlops.label.{name}}}") for name in labels)]
    pairs += [("fields", "literal(${.mlops.json})")] if any(flow.source.json for flow in found) else []
    if any(flow.source.events for flow in found):
        pairs += [(f"fields.{field.lower()}", f"${{{_EVENT}{field.lower()}}}") for field in EVENT_FIELDS]
    record = _json(pairs)
    if sink.type == "opensearch":
        return json.dumps({"index": {"_index": str(sink.given["index"])}}).replace("$", "$$") + "\n" + record
    return record + ("\n" if sink.type == "file" else "")


def _json(pairs: t.Iterable[tuple[str, str]]) -> str:
    return "$(format-json --scope none --omit-empty-values " + " ".join(f"{k}={v}" for k, v in pairs) + ")"


def auth_file(sink: Sink) -> str:
    return f"{CONFIG_DIR}/sink-{sink.name}.auth.conf"


def _secrets(sink: Sink) -> list[dict[str, t.Any]]:
    """A part of the configuration that nobody is shown: it takes no password from a file."""
    if sink.token is not None:
        words = [*_headers(sink), f"Authorization: Bearer {sink.token.content}"]
        text = f"headers({', '.join(map(quoted, words))})\n"
    elif sink.password is not None:
        text = f"user({quoted(str(sink.given['username']))})\npassword({quoted(sink.password.content)})\n"
    else:
        return []
    return [{"path": auth_file(sink), "content": text, "mode": "0600", "secret": True}]
