# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""OpenTelemetry Collector, the distribution contrib, version 0.159. Its configurations are checked by a table of ours
(``tests/unit/data/shippers/otelcol``), never run.

Each sink has a queue of its own on disk, bounded in bytes of what is sent (its file is larger, by what the database
adds), from which a batch is taken away when the sink has it. After a restart a batch that was on its way comes last.
With the feature gate ``stanza.synchronousLogEmitter``, from 0.122 on, a line is in the queues before the next one is
read; without it up to a hundred lines are in memory only. The receiver notes its place in the journal before it passes
a line on, so a kill can lose that one line. Nothing is synced to disk: a power cut loses what the kernel had not
written yet, most of which is read again, since the place in the journal is as old as that.

journalctl is run with ``--priority``, so entries without a priority, which neither the kernel nor services write, are
not read.

A server that answers with a status other than 429, 502, 503 and 504 has refused a batch, which is dropped and counted
(``otelcol_exporter_send_failed_log_records``). A line that a full queue does not take is counted in
``otelcol_exporter_enqueue_failed_log_records``.

Loki is sent OTLP, for contrib has no exporter of its own any more. Which attributes of a resource become labels is
decided there (``otlp_config`` of ``limits_config``): by default ``service_name``, the name of the source. The others
are structured metadata.

No sinks of type opensearch: the exporter ``opensearch`` takes an answer of 5xx for the whole of a request, and a
connection that breaks, for a permanent error, and drops the lines. ``elasticsearch`` drops them when a request times
out. No sinks of type http: there is no exporter that posts JSON.
"""

from __future__ import annotations

import typing as t

from ...built import Data
from .. import ottl
from ..pipeline import CONFIG_DIR, SPOOL, UNIT, Flow, Pipeline, Secret, Sink, Source, once, unit_pattern, wildcards
from ..redaction import redactions
from ..yaml_text import yaml_text
from .base import EVENT_FIELDS, SOURCES, Service, from_files, from_journal, own_files

PLACES, BUFFERS, LINES = "file_storage/places", "file_storage/buffers", "forward/lines"
HEALTH, METRICS_PORT = "127.0.0.1:13133", 8888
_GATES = "--feature-gates=stanza.synchronousLogEmitter"
_AWS = f"{CONFIG_DIR}/otelcol.aws-credentials"
_EXPORTERS = {
    "otlp": "otlp_http",
    "loki": "otlp_http",
    "kafka": "kafka",
    "s3": "awss3",
    "syslog_tls": "syslog",
    "file": "file",
}
# Where each type has its path, when the URL has none.
_PATHS = {"otlp": "/v1/logs", "loki": "/otlp/v1/logs"}

Config = dict[str, t.Any]


class Reference(str):
    """A value that the program fetches when it reads its configuration. In all others it must see no reference."""


class Otelcol:
    name: t.ClassVar[str] = "otelcol"
    sources: t.ClassVar[frozenset[str]] = SOURCES
    receivers: t.ClassVar[frozenset[str]] = frozenset()
    when_full: t.ClassVar[tuple[str, ...]] = ("block", "drop_newest")
    least_mib: t.ClassVar[int] = 1
    complaints: t.ClassVar[str] = "(?i)journalctl command (exited|failed)|failed to init and start journalctl"
    reopen: t.ClassVar[str] = ""
    config: t.ClassVar[str] = f"{CONFIG_DIR}/otelcol.yaml"
    receipts: t.ClassVar[bool] = False
    numbers: t.ClassVar[bool] = False
    counts: t.ClassVar[bool] = False

    def __init__(self, known: Data) -> None:
        self._known = known

    def repositories(self) -> list[dict[str, t.Any]]:
        """There is none: the package is installed, or in a repository that the site has configured."""
        return []

    def packages(self, pipeline: Pipeline) -> list[str]:
        return list(self._known["packages"])

    @staticmethod
    def refuses(pipeline: Pipeline) -> list[str]:
        peers = [sink.name for sink in pipeline.sinks if len(sink.peers) > 1]
        keys = {(sink.given.get("username"), sink.password.content) for sink in _with_keys(pipeline)}
        found = []
        if pipeline.sinks and not pipeline.read:
            found.append(
                "log_shipper_provider otelcol does not run without a source that log_shipper_routes leads to a sink."
            )
        if peers:
            found.append(
                "log_shipper_provider otelcol checks one name of a certificate, and these sinks have more "
                f"permitted_peers: {', '.join(peers)}."
            )
        if len(keys) > 1:
            names = ", ".join(sink.name for sink in _with_keys(pipeline))
            found.append(f"log_shipper_provider otelcol has one access key for all sinks of type s3, unlike: {names}.")
        return found

    def service(self, pipeline: Pipeline) -> Service:
        environment = [("HOSTNAME", "%H")] if from_files(pipeline) else []
        if _with_keys(pipeline):
            environment.append(("AWS_SHARED_CREDENTIALS_FILE", _AWS))
        return Service(
            command=f"{self._known['program']} --config={self.config} {_GATES}",
            environment=tuple(environment),
            documentation="https://opentelemetry.io/docs/collector/",
        )

    def state(self) -> str:
        return ""

    def modules(self, pipeline: Pipeline) -> dict[str, str]:
        return {}

    def validate(self, path: str) -> list[str]:
        return [self._known["program"], "validate", f"--config={path}", _GATES]

    def ready(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [{"unit": UNIT, "http": f"http://{HEALTH}/", "timeout_s": 30}]

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        secrets = [*_escaped_secrets(pipeline), *_credentials(pipeline)]
        return [
            *secrets,
            {
                "path": self.config,
                "content": render(configuration(pipeline)),
                "mode": "0600",
                "validate": self.validate("{staged}"),
                "validate_with": [file["path"] for file in (*own_files(pipeline), *secrets)],
            },
        ]


def _with_keys(pipeline: Pipeline) -> list[t.Any]:
    return [sink for sink in pipeline.sinks if sink.type == "s3" and sink.password is not None]


def _credentials(pipeline: Pipeline) -> list[dict[str, t.Any]]:
    """The AWS SDK reads keys from a file of its own kind."""
    return [
        {
            "path": _AWS,
            "content": f"[default]\naws_access_key_id = {sink.given['username']}\n"
            f"aws_secret_access_key = {sink.password.content}\n",
            "mode": "0600",
            "secret": True,
        }
        for sink in _with_keys(pipeline)[:1]
    ]


def _escaped_secrets(pipeline: Pipeline) -> list[dict[str, t.Any]]:
    """What a configuration fetches from a file is searched for references once more."""
    return [
        {
            "path": _escaped(sink.password),
            "content": sink.password.content.replace("$", "$$"),
            "mode": "0600",
            "secret": True,
        }
        for sink in pipeline.sinks
        if sink.type == "kafka" and sink.password is not None
    ]


def _escaped(secret: Secret) -> str:
    return f"{secret.home}.escaped"


def render(config: Config) -> str:
    return "# Written by the role log_shipper. Changes are lost.\n---\n" + yaml_text(_plain(config))


def _plain(value: t.Any) -> t.Any:
    """Without references in texts: a dollar is written twice."""
    if isinstance(value, Reference):
        return str(value)
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


def configuration(pipeline: Pipeline) -> Config:
    sinks = [sink for sink in pipeline.sinks if pipeline.flows(sink)]
    # Resending is for what no queue took: with a queue that drops, it would be sent for ever.
    retry = all(sink.queue["when_full"] == "block" for sink in sinks)
    journal, files = from_journal(pipeline), from_files(pipeline)
    extensions = {
        PLACES: _storage("places"),
        BUFFERS: {**_storage("buffers"), "compaction": {"on_rebound": True, "directory": f"{SPOOL}/otelcol-buffers"}},
        "health_check": {"endpoint": HEALTH},
    }
    if not any(sink.type != "file" for sink in sinks):
        del extensions[BUFFERS]
    receivers: Config = {}
    processors: Config = {}
    exporters: Config = {}
    pipelines: Config = {}
    if journal:
        receivers["journald"] = {
            "priority": "debug",
            "all": True,
            "convert_message_bytes": True,
            "start_at": "end",
            "storage": PLACES,
            "retry_on_failure": _retry(retry),
        }
        events = any(source.events for source in journal)
        processors["transform/from-journal"] = _transform(_from_entry(events))
        pipelines["logs/from-journal"] = _way(["journald"], ["transform/from-journal"], [LINES])
    for source in files:
        receiver, processor = f"file_log/{source.name}", "transform/from-files"
        receivers[receiver] = {
            "include": list(source.paths),
            "start_at": "end",
            "include_file_name": False,
            "attributes": {"file": source.name, "host": Reference("${env:HOSTNAME}")},
            "storage": PLACES,
            "retry_on_failure": _retry(retry),
        }
        processors[processor] = _transform(_from_line())
        pipelines[f"logs/from-file-{source.name}"] = _way([receiver], [processor], [LINES])
    for sink in sinks:
        extensions |= _extensions(sink)
        steps = _steps(pipeline, sink)
        processors |= steps
        exporter = f"{_EXPORTERS[sink.type]}/{sink.name}"
        exporters[exporter] = _exporter(sink)
        pipelines[f"logs/to-{sink.name}"] = _way([LINES], list(steps), [exporter])
    return {
        "extensions": extensions,
        "receivers": receivers,
        "processors": processors,
        "connectors": {LINES: {}},
        "exporters": exporters,
        "service": {
            "extensions": list(extensions),
            "telemetry": {
                "logs": {"level": "warn"},
                "metrics": {
                    "readers": [
                        {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": METRICS_PORT}}}},
                    ],
                },
            },
            "pipelines": pipelines,
        },
    }


def _storage(what: str) -> Config:
    return {"directory": f"{SPOOL}/otelcol-{what}", "create_directory": True, "timeout": "10s", "recreate": True}


def _retry(enabled: bool) -> Config:
    return {"enabled": True, "max_elapsed_time": "0s"} if enabled else {"enabled": False}


def _way(receivers: list[str], processors: list[str], exporters: list[str]) -> Config:
    return {"receivers": receivers, "processors": processors, "exporters": exporters}


def _transform(statements: list[str], quiet: list[str] | None = None) -> Config:
    """``quiet``: what fails with lines that are none of its kind, for which nobody wants to read a message each."""
    groups = [{"statements": statements}, *([{"error_mode": "silent", "statements": quiet}] if quiet else [])]
    return {"error_mode": "ignore", "log_statements": groups}


def _from_entry(events: bool) -> list[str]:
    """journald vouches for names that begin with an underscore: no program can forge them."""
    body = _body
    of_systemd = f'{body("_PID")} == "1" and {body("UNIT")} != nil'
    return [
        ottl.setting("message", f"String({body('MESSAGE')})"),
        ottl.setting("host", body("_HOSTNAME")),
        ottl.setting("unit", body("_SYSTEMD_UNIT")),
        # What systemd itself says of a unit: started, failed, killed for want of memory.
        ottl.setting("unit", body("UNIT"), of_systemd),
        ottl.setting("transport", body("_TRANSPORT")),
        ottl.setting("container", body("CONTAINER_NAME")),
        ottl.setting("program", body("_COMM")),
        ottl.setting("program", body("SYSLOG_IDENTIFIER")),
        ottl.setting("pid", body("_PID")),
        ottl.setting("facility", "1"),
        ottl.setting("facility", "0", f'{body("_TRANSPORT")} == "kernel"'),
        ottl.setting("facility", f"Int({body('SYSLOG_FACILITY')})"),
        ottl.setting("level", "6"),
        ottl.setting("level", f"Int({body('PRIORITY')})"),
        *ottl.severities(),
        *(_event_fields() if events else []),
    ]


def _event_fields() -> list[str]:
    event = f'{_body("MLOPS_GPU_EVENT")} == "1" and {_body("_SYSTEMD_UNIT")} == "mlops-gpu-events.service"'
    is_event = f"{ottl.attribute('event')} == true"
    return [
        ottl.setting("event", "true", event),
        ottl.setting("fields", "{}", is_event),
        *(
            f"set({ottl.attribute('fields', field.lower())}, {_body(field)}) where {is_event} and {_body(field)} != nil"
            for field in EVENT_FIELDS
        ),
        ottl.setting("gpu_uuid", _body("GPU_UUID"), is_event),
    ]


def _body(field: str) -> str:
    return f"log.body[{ottl.quoted(field)}]"


def _from_line() -> list[str]:
    return [
        ottl.setting("message", "log.body"),
        ottl.setting("facility", "1"),
        ottl.setting("level", "6"),
        *ottl.severities(),
        # A line has no time of its own. Syslog has room for six digits.
        "set(log.time_unix_nano, log.observed_time_unix_nano / 1000 * 1000)",
    ]


def _steps(pipeline: Pipeline, sink: Sink) -> dict[str, Config]:
    """Processors, in their order."""
    flows, name = pipeline.flows(sink), sink.name
    statements = [*ottl.redacting(redactions(pipeline)), *ottl.labelling(flows)]
    parsing = [] if sink.type in ("syslog_tls", "loki") else ottl.parsing(flows)
    steps = {
        f"transform/route-{name}": _transform([_route(flow) for flow in flows]),
        f"filter/{name}": {
            "error_mode": "ignore",
            "log_conditions": [f"{ottl.attribute('source')} == nil"],
        },
        f"transform/text-{name}": _transform(statements, parsing),
        f"transform/record-{name}": _transform(_record(sink, flows)),
    }
    if not statements and not parsing:
        del steps[f"transform/text-{name}"]
    elif not statements:
        steps[f"transform/text-{name}"]["log_statements"] = [{"error_mode": "silent", "statements": parsing}]
    keys = {"otlp": ottl.RESOURCE, "loki": ("service.name", *_loki_labels(flows))}.get(sink.type)
    if keys:
        steps[f"groupbyattrs/{name}"] = {"keys": list(keys)}
    return steps


def _route(flow: Flow) -> str:
    """A line goes to a sink once: as one of the first source that has it and is led there."""
    terms = [f"{ottl.attribute('source')} == nil", _condition(flow.source), ottl.way(flow)]
    return ottl.setting("source", ottl.quoted(flow.source.name), " and ".join(filter(None, terms)))


def _condition(source: Source) -> str:
    if source.paths:
        return f"{ottl.attribute('file')} == {ottl.quoted(source.name)}"
    terms = [f"{ottl.attribute('file')} == nil"]
    if source.transport:
        terms.append(f"{ottl.attribute('transport')} == {ottl.quoted(source.transport)}")
    for attribute, patterns in (
        ("unit", list(map(unit_pattern, source.units))),
        ("container", list(map(wildcards, source.containers))),
    ):
        if patterns:
            terms.append(ottl.matching(attribute, f"^({'|'.join(patterns)})$"))
    if source.events:
        terms.append(f"{ottl.attribute('event')} == true")
    if source.severity < 7:
        terms.append(f"{ottl.attribute('level')} <= {source.severity}")
    return " and ".join(terms)


def _loki_labels(flows: list[Flow]) -> list[str]:
    return [*ottl.LOKI_LABELS, *once(name for flow in flows for name, _value in flow.labels)]


def _record(sink: Sink, flows: list[Flow]) -> list[str]:
    if sink.type == "otlp":
        return [*ottl.otlp_record(), ottl.kept((*ottl.OTLP_ATTRIBUTES, *ottl.RESOURCE))]
    if sink.type == "loki":
        labels = once(name for flow in flows for name, _value in flow.labels)
        return [
            *ottl.otlp_record(),
            *(ottl.setting(name, ottl.attribute("labels", name)) for name in labels),
            ottl.kept(("service.name", *_loki_labels(flows))),
        ]
    if sink.type == "syslog_tls":
        return _syslog_record(flows)
    # Lines of these are texts; Kafka's exporter makes JSON of a map by itself.
    return [*ottl.json_record(), *(["set(log.body, String(log.body))"] if sink.type in ("s3", "file") else [])]


def _syslog_record(flows: list[Flow]) -> list[str]:
    """The exporter puts these attributes into a line as they are. 32473 is the enterprise number for those who have
    none of their own."""
    data = ("mlops@32473",)
    escaped = [ottl.attribute("unit"), ottl.attribute("container")]
    events = any(flow.source.events for flow in flows)
    fields = [field.lower() for field in EVENT_FIELDS] if events else []
    escaped += [ottl.attribute("fields", field) for field in fields]
    names = ("source", "unit", "container")
    labels = once(name for flow in flows for name, _value in flow.labels)
    return [
        *(f"replace_pattern({place}, {ottl.quoted(_TO_ESCAPE)}, {ottl.quoted(_ESCAPED)})" for place in escaped),
        # Neither has blanks, and the name of a program at most 48 characters.
        f"replace_pattern({ottl.attribute('program')}, {ottl.quoted('[^!-~]')}, {ottl.quoted('_')})",
        f"replace_pattern({ottl.attribute('program')}, {ottl.quoted('^(.{48}).*$')}, {ottl.quoted('$1')})",
        ottl.setting("priority", f"{ottl.attribute('facility')} * 8 + {ottl.attribute('level')}"),
        ottl.setting("appname", ottl.attribute("program")),
        ottl.setting("hostname", ottl.attribute("host")),
        ottl.setting("proc_id", ottl.attribute("pid")),
        ottl.setting("structured_data", '{"mlops@32473": {}}'),
        *(f"set({ottl.attribute('structured_data', *data, name)}, {ottl.attribute(name)})" for name in names),
        *(
            f"set({ottl.attribute('structured_data', *data, name)}, {ottl.attribute('labels', name)})"
            for name in labels
        ),
        *(
            [f"set({ottl.attribute('structured_data', 'mlops-gpu@32473')}, {ottl.attribute('fields')})"]
            if events
            else []
        ),
        ottl.kept(("priority", "appname", "hostname", "proc_id", "message", "structured_data")),
    ]


_TO_ESCAPE, _ESCAPED = r'(["\\\]])', r"\$1"


def _extensions(sink: Sink) -> dict[str, Config]:
    found: dict[str, Config] = {}
    if sink.type == "file":
        found["text_encoding"] = {"encoding": "utf8", "marshaling_separator": "\n"}
    if sink.scheme and sink.token is not None:
        found[f"bearertokenauth/{sink.name}"] = {"filename": sink.token.home}
    elif sink.type in _PATHS and sink.password is not None:
        found[f"basicauth/{sink.name}"] = {
            "client_auth": {"username": sink.given["username"], "password_file": sink.password.home},
        }
    return found


def _exporter(sink: Sink) -> Config:
    if sink.type == "file":
        # It has no queue. A write that fails is tried again by the receivers.
        return {"path": sink.given["path"], "append": True, "encoding": "text_encoding", "flush_interval": "200ms"}
    makers = {"otlp": _otlp, "loki": _otlp, "kafka": _kafka, "s3": _s3, "syslog_tls": _syslog}
    return {
        **makers[sink.type](sink),
        "retry_on_failure": {
            "enabled": True,
            "initial_interval": "1s",
            "max_interval": "30s",
            "max_elapsed_time": "0s",
        },
        "sending_queue": {
            "enabled": True,
            "storage": BUFFERS,
            "sizer": "bytes",
            "queue_size": int(sink.queue["disk_max_mib"]) * 1024 * 1024,
            "block_on_overflow": sink.queue["when_full"] == "block",
            # Lines stay in their order.
            "num_consumers": 1,
            "batch": _batch(sink),
        },
    }


def _batch(sink: Sink) -> Config:
    """Objects of S3 are worth a longer wait."""
    most = int(sink.queue["memory_max_records"])
    return {
        "flush_timeout": "60s" if sink.type == "s3" else "200ms",
        "sizer": "items",
        "min_size": most if sink.type == "s3" else max(most // 4, 1),
        "max_size": most,
    }


def _otlp(sink: Sink) -> Config:
    url = sink.url.rstrip("/")
    found: Config = {"logs_endpoint": url if sink.url_path else url + _PATHS[sink.type], "timeout": "30s"}
    if sink.tls:
        found["tls"] = _tls(sink)
    if sink.given.get("tenant"):
        found["headers"] = {"X-Scope-OrgID": sink.given["tenant"]}
    authenticators = list(_extensions(sink))
    if authenticators:
        found["auth"] = {"authenticator": authenticators[0]}
    return found


def _kafka(sink: Sink) -> Config:
    found: Config = {
        "brokers": list(sink.given["brokers"]),
        "logs": {"topic": sink.given["topic"], "encoding": "raw"},
        "producer": {"required_acks": -1},
        "timeout": "30s",
    }
    if sink.tls:
        found["tls"] = _tls(sink)
    if sink.password is not None:
        found["auth"] = {
            "sasl": {
                "mechanism": "PLAIN",
                "username": sink.given["username"],
                "password": Reference(f"${{file:{_escaped(sink.password)}}}"),
            },
        }
    return found


def _s3(sink: Sink) -> Config:
    uploader: Config = {"region": sink.given["region"], "s3_bucket": sink.given["bucket"]}
    if sink.given.get("prefix"):
        uploader["s3_prefix"] = str(sink.given["prefix"]).strip("/")
    if sink.url:
        uploader |= {"endpoint": sink.url, "s3_force_path_style": True}
    return {"s3uploader": {**uploader, "compression": "gzip"}, "marshaler": "body", "timeout": "60s"}


def _syslog(sink: Sink) -> Config:
    return {
        "endpoint": sink.host,
        "port": sink.port,
        "network": "tcp",
        "protocol": "rfc5424",
        "enable_octet_counting": True,
        "tls": {**_tls(sink), "server_name_override": (*sink.peers, sink.host)[0]},
        "timeout": "30s",
    }


def _tls(sink: Sink) -> Config:
    """The name in the certificate is checked unless one says otherwise."""
    places = {"ca_file": sink.ca.place, "cert_file": sink.cert.place, "key_file": sink.key.place}
    return {"insecure": False, **{option: place for option, place in places.items() if place is not None}}
