# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Fluent Bit 5.1. Its configurations are checked by a table of ours, and tests never run them. By hand, 5.1.1 took all
of the golden files, and ran with them.

Each sink reads the journal and the files for itself, with a place and a buffer of its own: one that is down holds up no
other, and gets nothing twice because another was down. What goes where, the shape of records and what is redacted is
decided by a Lua script (``files/fluent-bit.lua``).

Its own dry run accepts much that then fails or loses lines. What is written here holds against it by construction:

- the file ends in ``.yaml``, also while it is checked: the ending decides how it is read
- ``retry_limit: no_limits``, as its default is one retry
- ``storage.type: filesystem``, as what is in memory is lost with the process, and its place is noted already
- ``tls: on`` in exactly this word, and ``tls.verify_hostname``, without which any certificate of the CA is accepted
- its HTTP server listens on loopback: it has no authentication. It is restarted, and never reloaded: a reload waits for
  sinks that are down
- lines of the kernel come from the journal: its own input reads the whole buffer of the kernel again at each start
- tags begin with the name of the sink, whatever the sources are: what waits on disk under another tag is never sent
- no output without ``match`` and none that matches nothing

What remains: of answers with status 400 to 499 (408 and 429 apart) its outputs http and otlp drop what they sent, and
otlp at 500, too; a drop is counted by the metric ``fluentbit_output_dropped_records_total``.
"""

from __future__ import annotations

import os.path
import re
import typing as t

from ...built import Data
from ...platform import ROLES
from ..byte_patterns import Unsupported, first, program
from ..pipeline import (
    CONFIG_DIR,
    GPU_EVENTS_UNIT,
    SPOOL,
    UNIT,
    Flow,
    Pipeline,
    Sink,
    Source,
    full_unit_name,
    once,
)
from ..redaction import TEXT, Redaction, redactions
from ..yaml_text import yaml_text
from .base import EVENT_FIELDS, SOURCES, Service, own_files, vendor_repository

# Of its metrics and its health, on loopback.
PORT = 2026
SCRIPT = f"{CONFIG_DIR}/fluent-bit.lua"
_PROGRAM = "/opt/fluent-bit/bin/fluent-bit"
# What makes a record of Loki, besides its labels, is its message alone.
_FEW = ("host", "source", "unit", "severity", "gpu_uuid")


class FluentBit:
    name: t.ClassVar[str] = "fluent_bit"
    sources: t.ClassVar[frozenset[str]] = SOURCES
    receivers: t.ClassVar[frozenset[str]] = frozenset()
    # It can stop reading as well, by the number of chunks in memory. That number is one for all sinks and leaves out
    # what is on disk since an earlier start: with 5.1.1, each start while a sink was down took in as much again.
    when_full: t.ClassVar[tuple[str, ...]] = ("drop_oldest",)
    # It drops chunks of up to 2 MB as a whole.
    least_mib: t.ClassVar[int] = 16
    complaints: t.ClassVar[str] = (
        "(?i)is not registered|used but not set|is already specified|unrecognized '|invalid retry_limit"
        "|permission denied|error code [0-9]+:|mlops: a line is dropped"
    )
    reopen: t.ClassVar[str] = ""
    config: t.ClassVar[str] = f"{CONFIG_DIR}/fluent-bit.yaml"
    receipts: t.ClassVar[bool] = False
    numbers: t.ClassVar[bool] = False
    counts: t.ClassVar[bool] = False

    def __init__(self, known: Data) -> None:
        self._known = known

    @staticmethod
    def refuses(pipeline: Pipeline) -> list[str]:
        found = []
        # It looks for variables in the values of variables, too.
        variables = [sink.name for sink in pipeline.sinks for secret in sink.secrets if "${" in secret.content]
        # Each is read as the one line of a file.
        lines = [sink.name for sink in pipeline.sinks for secret in sink.secrets if _is_no_line(secret.content)]
        bearers = [sink.name for sink in pipeline.sinks if sink.type == "opensearch" and sink.token is not None]
        patterns = [redaction.secret for redaction in redactions(pipeline) if not _can_be_searched(redaction)]
        for names, words in (
            (variables, "Fluent Bit would replace ${ in the password or token of: {}; choose another one."),
            (lines, "The password or token must be one line without blanks around it, unlike in: {}."),
            (bearers, "Fluent Bit sends no token to OpenSearch: give username and password in: {}."),
            (patterns, "These patterns of log_shipper_redact_patterns are too much for Fluent Bit: {}."),
        ):
            if names:
                found.append(words.replace("{}", ", ".join(once(names))))
        return found

    def repositories(self) -> list[dict[str, t.Any]]:
        return vendor_repository(self._known)

    def packages(self, pipeline: Pipeline) -> list[str]:
        return list(self._known["packages"])

    def service(self, pipeline: Pipeline) -> Service:
        return Service(
            command=f"{_PROGRAM} -c {self.config}",
            # LuaJIT ends the process where it must not make code.
            compiles=True,
            documentation="https://docs.fluentbit.io/manual",
        )

    def state(self) -> str:
        return ""

    def modules(self, pipeline: Pipeline) -> dict[str, str]:
        return {}

    def validate(self, path: str) -> list[str]:
        return [_PROGRAM, "--dry-run", "-c", path]

    def ready(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [{"http": f"http://127.0.0.1:{PORT}/api/v2/health", "unit": UNIT, "timeout_s": 20}]

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [
            {"path": SCRIPT, "content": script(pipeline), "mode": "0600"},
            {
                "path": self.config,
                "content": yaml_text(configuration(pipeline)),
                "mode": "0600",
                "validate": self.validate("{staged}"),
                "validate_as": os.path.basename(self.config),
                "validate_with": [SCRIPT, *(file["path"] for file in own_files(pipeline))],
            },
        ]


def _is_no_line(secret: str) -> bool:
    return secret != secret.strip() or not secret or "\n" in secret or "\r" in secret


def _can_be_searched(redaction: Redaction) -> bool:
    try:
        program(redaction)
    except Unsupported:
        return False
    return True


def configuration(pipeline: Pipeline) -> dict[str, t.Any]:
    sinks = [sink for sink in pipeline.sinks if pipeline.flows(sink)]
    variables = [
        {"name": _variable(number, kind), "uri": f"file://{secret.home}"}
        for number, sink in enumerate(sinks, 1)
        for kind, secret in (("PASSWORD", sink.password), ("TOKEN", sink.token))
        if secret is not None
    ]
    return {
        **({"env": variables} if variables else {}),
        "service": {
            "flush": 1,
            # What is not sent by then waits on disk.
            "grace": 5,
            "log_level": "info",
            "daemon": "off",
            "hot_reload": "off",
            "http_server": "on",
            "http_listen": "127.0.0.1",
            "http_port": PORT,
            "storage.path": f"{SPOOL}/fluent-bit",
            "storage.metrics": "on",
            "scheduler.base": 1,
            "scheduler.cap": 30,
        },
        "pipeline": {
            "inputs": [item for sink in sinks for item in _inputs(pipeline.flows(sink), sink)],
            "filters": [{"name": "lua", "match": "*", "script": SCRIPT, "call": "ship", "time_as_table": "on"}]
            if sinks
            else [],
            "outputs": [_output(number, sink, pipeline.flows(sink)) for number, sink in enumerate(sinks, 1)],
        },
    }


def _variable(number: int, kind: str) -> str:
    return f"MLOPS_SINK_{number}_{kind}"


def _inputs(flows: t.Sequence[Flow], sink: Sink) -> t.Iterator[dict[str, t.Any]]:
    journal = [flow.source for flow in flows if flow.source.type != "files"]
    if journal:
        yield {
            "name": "systemd",
            "alias": f"{sink.name}.journal",
            "tag": f"{sink.name}.journal",
            "db": f"{SPOOL}/{sink.name}.journal.db",
            "read_from_tail": "on",
            **_selection(journal),
            "storage.type": "filesystem",
        }
    for flow in flows:
        if flow.source.type == "files":
            name = f"{sink.name}.file.{flow.source.name}"
            yield {
                "name": "tail",
                "alias": name,
                "tag": name,
                "path": ",".join(flow.source.paths),
                "db": f"{SPOOL}/{name}.db",
                # A line that is longer ends the reading of its file, unless it is skipped.
                "buffer_max_size": "1M",
                "skip_long_lines": "on",
                "refresh_interval": 5,
                "storage.type": "filesystem",
            }


def _selection(sources: t.Iterable[Source]) -> dict[str, t.Any]:
    """More than what is desired, and less than all of the journal, where names have no wildcards."""
    found: list[str] = []
    for source in sources:
        names = (*source.units, *source.containers)
        if any(mark in name for name in names for mark in "*?") or not (names or source.transport):
            return {}
        if source.transport:
            found.append(f"_TRANSPORT={source.transport}")
        for unit in map(full_unit_name, source.units):
            # UNIT is in what systemd itself says of it.
            found += [f"_SYSTEMD_UNIT={unit}", f"UNIT={unit}"]
        found += [f"CONTAINER_NAME={name}" for name in source.containers]
    return {"systemd_filter": once(found), "systemd_filter_type": "or"}


def _output(number: int, sink: Sink, flows: t.Sequence[Flow]) -> dict[str, t.Any]:
    return {
        "name": {"otlp": "opentelemetry"}.get(sink.type, sink.type),
        "alias": sink.name,
        "match": f"{sink.name}.*",
        **_OF[sink.type](sink, flows),
        **(_connection(number, sink) if sink.url else {}),
        "retry_limit": "no_limits",
        "storage.total_limit_size": int(sink.queue["disk_max_mib"]) * 1024 * 1024,
    }


def _connection(number: int, sink: Sink) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {"host": sink.host, "port": sink.port, "net.io_timeout": "60s"}
    if sink.tls:
        found |= {"tls": "on", "tls.verify": "on", "tls.verify_hostname": "on"}
        for option, pem in (("tls.ca_file", sink.ca), ("tls.crt_file", sink.cert), ("tls.key_file", sink.key)):
            if pem.place is not None:
                found[option] = pem.place
    if sink.password is not None:
        found |= {"http_user": sink.given["username"], "http_passwd": f"${{{_variable(number, 'PASSWORD')}}}"}
    if sink.token is not None:
        token = f"${{{_variable(number, 'TOKEN')}}}"
        found |= {"bearer_token": token} if sink.type == "loki" else {"header": f"Authorization Bearer {token}"}
    return found


def _loki(sink: Sink, flows: t.Sequence[Flow]) -> dict[str, t.Any]:
    names = _label_names(flows)
    labels = [f"{name}=${name}" for name in _FEW] + [f"{name}=$label_{name}" for name in names]
    return {
        "uri": sink.url_path or "/loki/api/v1/push",
        **({"tenant_id": sink.given["tenant"]} if sink.given.get("tenant") else {}),
        "labels": ", ".join(labels),
        # Of one key that is left over, the line is its value.
        "remove_keys": ", ".join([*_FEW, *(f"label_{name}" for name in names)]),
        "drop_single_key": "raw",
        "line_format": "json",
    }


def _label_names(flows: t.Sequence[Flow]) -> list[str]:
    return sorted({name for flow in flows for name, _value in flow.labels})


def _opensearch(sink: Sink, _flows: t.Sequence[Flow]) -> dict[str, t.Any]:
    return {
        **({"path": sink.url_path} if sink.url_path else {}),
        "index": sink.given["index"],
        "suppress_type_name": "on",
        "time_key": "@timestamp",
        "time_key_nanos": "on",
        # Where one record of many is refused, all are sent again: those that are there are told by their ids.
        "generate_id": "on",
        # An answer names each record.
        "buffer_size": "16M",
    }


def _otlp(sink: Sink, _flows: t.Sequence[Flow]) -> dict[str, t.Any]:
    return {
        "logs_uri": sink.url_path or "/v1/logs",
        "logs_body_key": "$message",
        "logs_body_key_attributes": "on",
        "logs_severity_text_message_key": "$severity",
        "logs_severity_number_message_key": "$severity_number",
        "log_response_payload": "off",
    }


def _http(sink: Sink, _flows: t.Sequence[Flow]) -> dict[str, t.Any]:
    return {
        "uri": sink.url_path or "/",
        "format": "json_lines",
        # The record has its own.
        "json_date_key": "off",
        "log_response_payload": "off",
    }


def _file(sink: Sink, _flows: t.Sequence[Flow]) -> dict[str, t.Any]:
    directory, name = os.path.split(str(sink.given["path"]))
    # Without its directory, it drops all that it is given.
    return {"path": directory, "file": name, "format": "plain", "mkdir": "on"}


_OF = {"loki": _loki, "opensearch": _opensearch, "otlp": _otlp, "http": _http, "file": _file}


# The script: data, then what is the same for all.


def script(pipeline: Pipeline) -> str:
    data = {
        "SINKS": {sink.name: _sink(pipeline.flows(sink), sink) for sink in pipeline.sinks if pipeline.flows(sink)},
        "REDACTED": TEXT,
        "REDACTIONS": list(map(_redaction, redactions(pipeline))),
        "FIELDS": list(EVENT_FIELDS),
        "EVENTS_UNIT": GPU_EVENTS_UNIT,
    }
    assignments = "".join(f"local {name} = {lua(value)}\n" for name, value in data.items())
    return f"{assignments}\n{(ROLES / 'log_shipper/files/fluent-bit.lua').read_text()}"


def _redaction(redaction: Redaction) -> dict[str, t.Any]:
    steps = program(redaction)
    return {"program": steps, "first": first(steps), "hints": [hint.lower() for hint in redaction.hints]}


def _sink(flows: t.Sequence[Flow], sink: Sink) -> dict[str, t.Any]:
    return {
        "few": sink.type == "loki",
        "numbers": sink.type == "otlp",
        # The others have it from the time of the record.
        "time": sink.type in ("http", "file"),
        "flows": [_flow(flow) for flow in flows],
    }


def _flow(flow: Flow) -> dict[str, t.Any]:
    source = flow.source
    given = {
        "file": source.name if source.type == "files" else "",
        "transport": source.transport,
        "units": [lua_pattern(full_unit_name(unit)) for unit in source.units],
        "containers": list(map(lua_pattern, source.containers)),
        "events": source.events,
        "json": source.json,
        "labels": dict(flow.labels),
    }
    ways = [
        {
            "severity": way.severity,
            **({"contains": list(way.contains)} if way.contains else {}),
            **({"excludes": list(way.excludes)} if way.excludes else {}),
        }
        for way in flow.ways
    ]
    return {
        "source": source.name,
        "severity": source.severity,
        **{name: value for name, value in given.items() if value},
        "ways": ways,
    }


def lua_pattern(wildcards: str) -> str:
    """Of all of a name. Of Lua's marks, % takes the meaning from the next one."""
    return f"^{re.sub('[^A-Za-z0-9*?]', lambda mark: '%' + mark[0], wildcards).replace('*', '.*').replace('?', '.')}$"


def lua(value: t.Any, indent: str = "") -> str:
    """A value as Lua reads it. Short ones are on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(map(_lua_byte, value.encode())) + '"'
    if isinstance(value, t.Mapping):
        parts = [f"[{lua(name)}] = {lua(item, indent + '  ')}" for name, item in value.items()]
    else:
        parts = [lua(item, indent + "  ") for item in value]
    line = "{" + ", ".join(parts) + "}"
    if len(indent) + len(line) <= 120 and "\n" not in line:
        return line
    return "{\n" + "".join(f"{indent}  {part},\n" for part in parts) + indent + "}"


def _lua_byte(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"
