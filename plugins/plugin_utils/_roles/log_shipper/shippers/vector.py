# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Vector 0.57. Its configurations are checked by a table of ours, and were never run by these tests.

What is read becomes lines, each sink decides which of them it takes. A place in the journal or in a file is noted when
all sinks have a line, or have it in their buffers on disk.

- Variables of the environment are not looked for in its files since 0.57. Secrets come from a JSON file, by the backend
  ``file``. They are put into the text of the configuration before it is read as YAML, so they are written there as what
  stands between double marks.
- Templates in sinks must begin with a fixed text since 0.57. Ours have fields in labels of Loki only, which no path or
  name is made of: there it is allowed.
- ``http`` and ``opentelemetry`` have no ``headers`` since 0.55: a token is given as ``auth``.
- Answers of which nobody can say that they will not change, such as 401 and 404, are tried again in ``http`` and
  ``opentelemetry``. Loki and OpenSearch are not asked again after them: what they refused is dropped and counted.

What remains: with systemd 250 to 257, which these releases have, journalctl follows the current boot only. Lines that
neither a sink nor a buffer had at a reboot are not read afterwards.
"""

from __future__ import annotations

import json
import typing as t

from ...built import Data
from ..pipeline import (
    CONFIG_DIR,
    GPU_EVENTS_UNIT,
    SPOOL,
    UNIT,
    Flow,
    Pipeline,
    Sink,
    Source,
    once,
    unit_pattern,
    wildcards,
)
from ..redaction import TEXT, Redaction, redactions
from ..yaml_text import Quoted, yaml_text
from .base import EVENT_FIELDS, SOURCES, Service, from_files, from_journal

# Of its metrics, on loopback.
PORT = 2027
SECRETS = f"{CONFIG_DIR}/vector-secrets.json"
_PROGRAM = "/usr/bin/vector"
# Too much asked, an answer that a restart or a change of rights will change, and a server in trouble.
_RETRIED = [401, 403, 404, 408, 425, 429, 500, 502, 503, 504]
# Of OTLP, by severity.
_NUMBERS = [24, 22, 21, 17, 13, 10, 9, 5]


class Vector:
    name: t.ClassVar[str] = "vector"
    sources: t.ClassVar[frozenset[str]] = SOURCES
    receivers: t.ClassVar[frozenset[str]] = frozenset()
    when_full: t.ClassVar[tuple[str, ...]] = ("block", "drop_newest")
    # 268435488 bytes are the least.
    least_mib: t.ClassVar[int] = 257
    complaints: t.ClassVar[str] = "(?i) ERROR .*(failed to (build|start|compile)|configuration error)|unknown field"
    reopen: t.ClassVar[str] = ""
    config: t.ClassVar[str] = f"{CONFIG_DIR}/vector.yaml"
    receipts: t.ClassVar[bool] = False
    numbers: t.ClassVar[bool] = False
    counts: t.ClassVar[bool] = False

    def __init__(self, known: Data) -> None:
        self._known = known

    @staticmethod
    def refuses(pipeline: Pipeline) -> list[str]:
        logins = [sink.name for sink in pipeline.sinks if sink.type == "kafka" and sink.password is not None]
        bearers = [sink.name for sink in pipeline.sinks if sink.type == "opensearch" and sink.token is not None]
        keys = [sink.name for sink in pipeline.sinks if sink.type == "s3" and sink.token is not None]
        empty = [sink.name for sink in pipeline.sinks for secret in sink.secrets if not secret.content]
        found = []
        for names, words in (
            (logins, "How Kafka checks a password is no option: with Vector give a certificate instead in: {}."),
            (bearers, "Vector sends no token to OpenSearch: give username and password in: {}."),
            (keys, "S3 has no token: give username and password in: {}."),
            (empty, "A password or token is empty in: {}."),
        ):
            if names:
                found.append(words.replace("{}", ", ".join(once(names))))
        return found

    def repositories(self) -> list[dict[str, t.Any]]:
        return []

    def packages(self, pipeline: Pipeline) -> list[str]:
        return list(self._known["packages"])

    def service(self, pipeline: Pipeline) -> Service:
        return Service(
            # Half a minute is what the unit has to stop.
            command=f"{_PROGRAM} --graceful-shutdown-limit-secs 20 --config-yaml {self.config}",
            documentation="https://vector.dev/docs/",
        )

    def state(self) -> str:
        return ""

    def modules(self, pipeline: Pipeline) -> dict[str, str]:
        return {}

    def validate(self, path: str) -> list[str]:
        """With the environment: templates of sinks are not checked without it. Sinks that are down are no fault."""
        return [_PROGRAM, "validate", "--skip-healthchecks", "--config-yaml", path]

    def ready(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [{"http": f"http://127.0.0.1:{PORT}/metrics", "unit": UNIT, "timeout_s": 20}]

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        secrets = _secrets(pipeline)
        kept = {"path": SECRETS, "content": json.dumps(secrets, indent=1) + "\n", "mode": "0600", "secret": True}
        return [
            *([kept] if secrets else []),
            {
                "path": self.config,
                "content": yaml_text(configuration(pipeline)),
                "mode": "0600",
                "validate": self.validate("{staged}"),
                "validate_as": "vector.yaml",
                "validate_with": [
                    *([SECRETS] if secrets else []),
                    *(pem.home for sink in pipeline.sinks for pem in sink.pems if pem.content is not None),
                ],
            },
        ]


def _secrets(pipeline: Pipeline) -> dict[str, str]:
    """As they are between double marks of YAML, which knows what JSON knows there."""
    return {
        f"{sink.name}_{kind}": json.dumps(secret.content)[1:-1]
        for sink in _fed(pipeline)
        for kind, secret in (("password", sink.password), ("token", sink.token))
        if secret is not None
    }


def _fed(pipeline: Pipeline) -> list[Sink]:
    return [sink for sink in pipeline.sinks if pipeline.flows(sink)]


def configuration(pipeline: Pipeline) -> dict[str, t.Any]:
    return {
        "data_dir": SPOOL,
        **({"secret": {"sinks": {"type": "file", "path": SECRETS}}} if _secrets(pipeline) else {}),
        "sources": {
            **({"journal": _journal(from_journal(pipeline))} if from_journal(pipeline) else {}),
            **{f"file_{source.name}": _files(source) for source in from_files(pipeline)},
            "own_metrics": {"type": "internal_metrics"},
        },
        "transforms": {
            **({"journal_lines": _remap(["journal"], journal_lines(pipeline))} if from_journal(pipeline) else {}),
            **{
                f"file_{source.name}_lines": _remap([f"file_{source.name}"], file_lines(pipeline, source))
                for source in from_files(pipeline)
            },
            **{
                f"to_{sink.name}": _remap(_lines_for(pipeline, sink), to_sink(pipeline, sink))
                for sink in _fed(pipeline)
            },
        },
        "sinks": {
            **{f"sink_{sink.name}": _sink(sink) for sink in _fed(pipeline)},
            "metrics": {
                "type": "prometheus_exporter",
                "inputs": ["own_metrics"],
                "address": f"127.0.0.1:{PORT}",
            },
        },
    }


def _journal(sources: t.Sequence[Source]) -> dict[str, t.Any]:
    """One kind of field it can select by itself, with exact names."""
    only = {source.transport for source in sources}
    return {
        "type": "journald",
        "since_now": True,
        "current_boot_only": True,
        **({"include_matches": {"_TRANSPORT": sorted(only)}} if "" not in only else {}),
    }


def _files(source: Source) -> dict[str, t.Any]:
    return {
        "type": "file",
        "include": list(source.paths),
        "read_from": "end",
        # Longer lines are left out.
        "max_line_bytes": 1024 * 1024,
    }


def _remap(inputs: list[str], program: str) -> dict[str, t.Any]:
    # A line that a program fails on is not sent as it was: it is dropped and counted.
    return {"type": "remap", "inputs": inputs, "drop_on_error": True, "drop_on_abort": True, "source": program}


def _lines_for(pipeline: Pipeline, sink: Sink) -> list[str]:
    sources = [flow.source for flow in pipeline.flows(sink)]
    return once(f"file_{source.name}_lines" if source.type == "files" else "journal_lines" for source in sources)


# Programs (VRL). Texts that become part of them have neither quotation marks nor backslashes nor braces.

# What may fail has to be caught, and what cannot fail must not be: which of them it is depends on what Vector knows of
# the event's fields. Of what this returns it knows nothing.
_LINE = 'line = get({"line": .}, ["line"]) ?? {}\n'


def journal_lines(pipeline: Pipeline) -> str:
    fields = ", ".join(f'"{name.lower()}": to_string(line.{name}) ?? ""' for name in EVENT_FIELDS)
    events = any(source.events for source in pipeline.read)
    event = (
        f"""
if (to_string(line.MLOPS_GPU_EVENT) ?? "") == "1" && (to_string(line._SYSTEMD_UNIT) ?? "") == "{GPU_EVENTS_UNIT}" {{
  event = compact({{{fields}}}, string: true)
}}"""
        if events
        else ""
    )
    return f"""\
{_LINE}unit = to_string(line._SYSTEMD_UNIT) ?? ""
named = to_string(line.UNIT) ?? ""
# What systemd itself says of a unit.
if (to_string(line._PID) ?? "") == "1" && named != "" {{
  unit = named
}}
program = to_string(line.SYSLOG_IDENTIFIER) ?? ""
if program == "" {{
  program = to_string(line._COMM) ?? ""
}}
event = {{}}{event}
text = to_string(line.message) ?? ""
{_redacted(pipeline)}. = {{
  "timestamp": line.timestamp,
  "host": to_string(line.host) ?? "",
  "file": "",
  "unit": unit,
  "transport": to_string(line._TRANSPORT) ?? "",
  "container": to_string(line.CONTAINER_NAME) ?? "",
  "program": program,
  "pid": to_string(line._PID) ?? "",
  "severity": to_int(to_string(line.PRIORITY) ?? "") ?? 6,
  "event": event,
  "text": text,
  "message": message
}}
"""


def file_lines(pipeline: Pipeline, source: Source) -> str:
    return f"""\
{_LINE}text = to_string(line.message) ?? ""
{_redacted(pipeline)}. = {{
  "timestamp": line.timestamp,
  "host": to_string(line.host) ?? "",
  "file": "{source.name}",
  "severity": 6,
  "event": {{}},
  "text": text,
  "message": message
}}
"""


def _redacted(pipeline: Pipeline) -> str:
    return "message = text\n" + "".join(f"message = {_replaced(item)}\n" for item in redactions(pipeline))


def _replaced(redaction: Redaction) -> str:
    # A mark would end the expression.
    pattern = redaction.pattern.replace("'", r"\x27")
    return f"replace(message, r'{pattern}', \"$1{TEXT}${redaction.after_group}\")"


def to_sink(pipeline: Pipeline, sink: Sink) -> str:
    flows = pipeline.flows(sink)
    choice = " else ".join(
        f"if {_condition(flow)} {{\n"
        f'  source = "{flow.source.name}"\n'
        f"  labels = {json.dumps(dict(flow.labels))}\n"
        f"  json = {'true' if flow.source.json else 'false'}\n"
        "}"
        for flow in flows
    )
    return f"""\
{_LINE}file = string(line.file) ?? ""
unit = string(line.unit) ?? ""
transport = string(line.transport) ?? ""
container = string(line.container) ?? ""
severity = int(line.severity) ?? 6
event = object(line.event) ?? {{}}
text = string(line.text) ?? ""
message = string(line.message) ?? ""
source = ""
labels = {{}}
json = false
{choice}
if source == "" {{
  abort
}}
word = to_syslog_level(severity) ?? "info"
{_RECORD["loki" if sink.type == "loki" else "otlp" if sink.type == "otlp" else ""]}"""


def _condition(flow: Flow) -> str:
    source = flow.source
    terms = [f'file == "{source.name if source.type == "files" else ""}"']
    if source.transport:
        terms.append(f'transport == "{source.transport}"')
    if source.units:
        terms.append(f"match(unit, r'^({'|'.join(map(unit_pattern, source.units))})$')")
    if source.containers:
        terms.append(f"match(container, r'^({'|'.join(map(wildcards, source.containers))})$')")
    if source.events:
        terms.append("event != {}")
    if source.severity < 7:
        terms.append(f"severity <= {source.severity}")
    if not flow.everything:
        terms.append("(" + " || ".join(map(_way, flow.ways)) + ")")
    return " && ".join(terms)


def _way(way: t.Any) -> str:
    terms = [f"severity <= {way.severity}"] if way.severity < 7 else []
    if way.contains:
        terms.append("(" + " || ".join(f'contains(text, "{text}")' for text in way.contains) + ")")
    terms += [f'!contains(text, "{text}")' for text in way.excludes]
    return "(" + " && ".join(terms or ["true"]) + ")"


_FIELDS = """\
fields = event
if json && fields == {} {
  parsed = parse_json(message) ?? {}
  if is_object(parsed) {
    fields = object(parsed) ?? {}
  }
}
record = compact({
  "host": line.host, "source": source, "unit": unit, "container": container, "program": line.program, "pid": line.pid,
  "severity": word, "labels": labels, "fields": fields
}, recursive: false, string: true)
"""
_RECORD = {
    "": f"""\
{_FIELDS}record."@timestamp" = line.timestamp
record.message = message
. = record
""",
    # The labels of a stream are what there is of them.
    "loki": """\
stream = compact({
  "host": line.host, "source": source, "unit": unit, "severity": word, "gpu_uuid": event.gpu_uuid
}, string: true)
stream = merge(stream, labels)
. = {"timestamp": line.timestamp, "message": message, "stream": stream}
""",
    "otlp": f"""\
{_FIELDS}attributes = []
for_each(flatten(record)) -> |name, value| {{
  attributes = push(attributes, {{"key": name, "value": {{"stringValue": to_string(value) ?? encode_json(value)}}}})
}}
number = get({_NUMBERS}, [severity]) ?? 9
at = to_unix_timestamp(timestamp(line.timestamp) ?? now(), unit: "nanoseconds")
. = {{"resourceLogs": [{{
  "resource": {{"attributes": [{{"key": "host.name", "value": {{"stringValue": line.host}}}}]}},
  "scopeLogs": [{{"logRecords": [{{
    "timeUnixNano": at,
    "severityNumber": number,
    "severityText": word,
    "body": {{"stringValue": message}},
    "attributes": attributes
  }}]}}]
}}]}}
""",
}


# Sinks.


def _sink(sink: Sink) -> dict[str, t.Any]:
    return {
        "type": {"opensearch": "elasticsearch", "otlp": "opentelemetry", "s3": "aws_s3"}.get(sink.type, sink.type),
        "inputs": [f"to_{sink.name}"],
        **_OF[sink.type](sink),
        "acknowledgements": {"enabled": True},
        "buffer": {
            "type": "disk",
            "max_size": int(sink.queue["disk_max_mib"]) * 1024 * 1024,
            "when_full": sink.queue["when_full"],
        },
    }


def _secret(sink: Sink, kind: str) -> Quoted:
    return Quoted(f"SECRET[sinks.{sink.name}_{kind}]")


def _auth(sink: Sink) -> dict[str, t.Any]:
    if sink.password is not None:
        user = sink.given["username"]
        return {"auth": {"strategy": "basic", "user": user, "password": _secret(sink, "password")}}
    if sink.token is not None:
        return {"auth": {"strategy": "bearer", "token": _secret(sink, "token")}}
    return {}


def _tls(sink: Sink) -> dict[str, t.Any]:
    if not sink.tls:
        return {}
    files = (("ca_file", sink.ca), ("crt_file", sink.cert), ("key_file", sink.key))
    return {
        "tls": {
            "verify_certificate": True,
            "verify_hostname": True,
            **{option: pem.place for option, pem in files if pem.place is not None},
        }
    }


def _base(sink: Sink) -> str:
    return sink.url.removesuffix(sink.url_path + "/").removesuffix(sink.url_path) if sink.url_path else sink.url


_JSON_LINES = {"encoding": {"codec": "json"}, "framing": {"method": "newline_delimited"}}
_PATIENT = {"retry_strategy": {"type": "custom", "status_codes": _RETRIED}}


def _loki(sink: Sink) -> dict[str, t.Any]:
    return {
        "endpoint": _base(sink).rstrip("/"),
        "path": sink.url_path or "/loki/api/v1/push",
        **({"tenant_id": sink.given["tenant"]} if sink.given.get("tenant") else {}),
        "labels": {"*": "{{ stream }}"},
        "dangerously_allow_unconfined_template_resolution": True,
        "out_of_order_action": "accept",
        "encoding": {"codec": "text"},
        **_auth(sink),
        **_tls(sink),
    }


def _opensearch(sink: Sink) -> dict[str, t.Any]:
    return {
        "endpoints": [sink.url.rstrip("/")],
        # It asks the server for its version otherwise, which may be down.
        "api_version": "v8",
        "mode": "bulk",
        "bulk": {"action": "create", "index": sink.given["index"]},
        # Of many records, those that were refused for now are sent again, and no others.
        "request_retry_partial": True,
        **_auth(sink),
        **_tls(sink),
    }


def _otlp(sink: Sink) -> dict[str, t.Any]:
    return {
        "protocol": {
            "type": "http",
            "uri": _base(sink).rstrip("/") + (sink.url_path or "/v1/logs"),
            "method": "post",
            "encoding": {"codec": "otlp"},
            **_PATIENT,
            **_auth(sink),
            **_tls(sink),
        }
    }


def _http(sink: Sink) -> dict[str, t.Any]:
    return {"uri": sink.url, "method": "post", **_JSON_LINES, **_PATIENT, **_auth(sink), **_tls(sink)}


def _kafka(sink: Sink) -> dict[str, t.Any]:
    tls = _tls(sink).get("tls", {})
    return {
        "bootstrap_servers": ",".join(map(str, sink.given["brokers"])),
        "topic": sink.given["topic"],
        # Of librdkafka, which gives up after five minutes otherwise.
        "message_timeout_ms": 0,
        "encoding": {"codec": "json"},
        **({"tls": {"enabled": True, **tls}} if tls else {}),
    }


def _s3(sink: Sink) -> dict[str, t.Any]:
    keys = {"access_key_id": sink.given.get("username"), "secret_access_key": _secret(sink, "password")}
    return {
        "bucket": sink.given["bucket"],
        "region": sink.given["region"],
        **({"endpoint": sink.url.rstrip("/")} if sink.url else {}),
        "key_prefix": f"{sink.given.get('prefix') or ''}date=%F/",
        "compression": "gzip",
        **_JSON_LINES,
        **_PATIENT,
        **({"auth": keys} if sink.password is not None else {}),
    }


def _file(sink: Sink) -> dict[str, t.Any]:
    return {"path": sink.given["path"], **_JSON_LINES}


_OF = {
    "loki": _loki,
    "opensearch": _opensearch,
    "otlp": _otlp,
    "http": _http,
    "kafka": _kafka,
    "s3": _s3,
    "file": _file,
}
