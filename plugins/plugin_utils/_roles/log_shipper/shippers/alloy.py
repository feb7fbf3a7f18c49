# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Grafana Alloy, version 1.18, with what is generally available in it. Its configurations are checked by a table of
ours (``tests/unit/data/shippers/alloy``), never run.

All that keeps lines on disk is experimental or in preview there (``otelcol.storage.file``, ``wal`` of ``loki.write``),
and so is ``queue_config``. So ``disk_max_mib`` means nothing: while a sink is down, its lines wait in the journal,
which is read no further. What had been read by then is in memory and is lost when Alloy stops before the sink is back:
up to 10 MiB for a sink of type loki, ``memory_max_records`` lines and a batch for one of type otlp. The place in the
journal is written every ten seconds: after a kill, the lines of these seconds arrive twice. What a server refuses (of
Loki all but 429 and 5xx) is dropped and counted.

The first run sends what the journal has of the last week: the same option bounds how far back Alloy goes after it was
stopped, so a smaller one would skip lines.

No sources of type files: a file that appears later is read from its start only when those that are there are sent from
their starts too.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ...built import Data
from .. import ottl
from ..pipeline import CONFIG_DIR, SPOOL, UNIT, Flow, Pipeline, Sink, Source, once, unit_pattern, wildcards
from ..redaction import TEXT, Redaction, redactions
from .base import EVENT_FIELDS, SOURCES, Service, own_files

HTTP = "127.0.0.1:12345"
_WEEK = "168h"
_PATHS = {"otlp": "/v1/logs", "loki": "/loki/api/v1/push"}


@dataclasses.dataclass(frozen=True)
class Expression:
    """What is written without quotation marks, such as a reference to a component."""

    text: str


@dataclasses.dataclass(frozen=True)
class Block:
    """``body``: arguments, and blocks in it."""

    name: str
    body: tuple[tuple[str, t.Any] | Block, ...] = ()
    label: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}.{self.label}"

    def export(self, name: str) -> Expression:
        return Expression(f"{self.id}.{name}")


class Alloy:
    name: t.ClassVar[str] = "alloy"
    sources: t.ClassVar[frozenset[str]] = SOURCES - {"files"}
    receivers: t.ClassVar[frozenset[str]] = frozenset()
    when_full: t.ClassVar[tuple[str, ...]] = ("block",)
    least_mib: t.ClassVar[int] = 1
    complaints: t.ClassVar[str] = "(?i)error creating journal tailer|failed to (build|evaluate) (component|config)"
    reopen: t.ClassVar[str] = ""
    config: t.ClassVar[str] = f"{CONFIG_DIR}/config.alloy"
    receipts: t.ClassVar[bool] = False
    numbers: t.ClassVar[bool] = False
    counts: t.ClassVar[bool] = False

    def __init__(self, known: Data) -> None:
        self._known = known

    @staticmethod
    def refuses(pipeline: Pipeline) -> list[str]:
        return []

    def repositories(self) -> list[dict[str, t.Any]]:
        """None: the fingerprint of its vendor's key is not known here. The site installs it, or has the repository."""
        return []

    def packages(self, pipeline: Pipeline) -> list[str]:
        return list(self._known["packages"])

    def service(self, pipeline: Pipeline) -> Service:
        return Service(
            command=f"{self._known['program']} run --server.http.listen-addr={HTTP} --disable-reporting "
            f"--storage.path={SPOOL}/alloy {self.config}",
            # It has 15 s for what is in its queues.
            stop_s=30,
            documentation="https://grafana.com/docs/alloy/",
        )

    def state(self) -> str:
        return ""

    def modules(self, pipeline: Pipeline) -> dict[str, str]:
        return {}

    def validate(self, path: str) -> list[str]:
        return [self._known["program"], "validate", path]

    def ready(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [{"unit": UNIT, "http": f"http://{HTTP}/-/ready", "timeout_s": 30}]

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        return [
            {
                "path": self.config,
                "content": render(configuration(pipeline)),
                "mode": "0600",
                "validate": self.validate("{staged}"),
                "validate_with": [file["path"] for file in own_files(pipeline)],
            },
        ]


def render(blocks: t.Iterable[Block]) -> str:
    return "// Written by the role log_shipper. Changes are lost.\n" + "\n".join(
        "\n".join([*_block(block, ""), ""]) for block in blocks
    )


def _block(block: Block, indent: str) -> list[str]:
    label = f" {_text(block.label)}" if block.label else ""
    deeper = indent + "  "
    lines = []
    for item in block.body:
        lines += _block(item, deeper) if isinstance(item, Block) else [f"{deeper}{item[0]} = {_value(item[1], deeper)}"]
    return [f"{indent}{block.name}{label} {{", *lines, f"{indent}}}"]


def _value(value: t.Any, indent: str) -> str:
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {_value(item, indent)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        # A list of statements, each in a line of its own.
        if len(value) > 1 and all(isinstance(item, str) for item in value):
            return "[\n" + "".join(f"{indent}  {_text(item)},\n" for item in value) + f"{indent}]"
        return "[" + ", ".join(_value(item, indent) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(text: str) -> str:
    """Its strings have the escapes of Go."""
    return json.dumps(text, ensure_ascii=False)


def configuration(pipeline: Pipeline) -> list[Block]:
    sinks = [sink for sink in pipeline.sinks if pipeline.flows(sink)]
    ways = [_way(pipeline, sink) for sink in sinks]
    found = [Block("logging", (("level", "warn"),))]
    if not ways:
        return found
    events = any(source.events for source in pipeline.read)
    rules = Block("loki.relabel", (("forward_to", []), *_rules(events)), "journal")
    journal = Block(
        "loki.source.journal",
        (
            ("forward_to", [way[0].export("receiver") for way in ways]),
            ("relabel_rules", rules.export("rules")),
            ("max_age", _WEEK),
        ),
        "journal",
    )
    return [*found, rules, journal, *(block for way in ways for block in way)]


def _rules(events: bool) -> t.Iterator[Block]:
    """journald vouches for names that begin with an underscore: no program can forge them."""
    copied = {
        "host": "_hostname",
        "unit": "_systemd_unit",
        "transport": "_transport",
        "container": "container_name",
        "pid": "_pid",
    }
    for label, field in copied.items():
        yield _rule([_field(field)], label)
    # What systemd itself says of a unit: started, failed, killed for want of memory.
    yield _rule([_field("_pid"), _field("unit")], "unit", "1;(.+)")
    for field in ("_comm", "syslog_identifier"):
        yield _rule([_field(field)], "program", "(.+)")
    yield _rule([], "level", replacement="6")
    yield _rule([_field("priority")], "level", "([0-7])")
    yield _rule([], "severity", replacement="info")
    yield _rule([_field("priority_keyword")], "severity", "(.+)")
    yield _rule([_field("priority_keyword")], "severity", "error", "err")
    if events:
        marks = [_field("mlops_gpu_event"), _field("_systemd_unit")]
        yield _rule(marks, "event", "1;mlops-gpu-events[.]service", "1")
        for field in EVENT_FIELDS:
            yield _rule(["event", _field(field.lower())], f"event_{field.lower()}", "1;(.+)")
        yield _rule(["event_gpu_uuid"], "gpu_uuid", "(.+)")


def _field(name: str) -> str:
    return f"__journal_{name}"


def _rule(sources: list[str], target: str, regex: str = "", replacement: str = "") -> Block:
    given = {"source_labels": sources, "regex": regex, "target_label": target, "replacement": replacement}
    return Block("rule", tuple((name, value) for name, value in given.items() if value))


def _way(pipeline: Pipeline, sink: Sink) -> list[Block]:
    """From the first block, which gets the lines, to the last, which sends them."""
    flows, label = pipeline.flows(sink), _label(sink)
    loki = sink.type == "loki"
    sending = _loki(sink, label) if loki else _otlp(sink, flows, label)
    stages = [stage for flow in flows for stage in _routing(flow, labels=loki)]
    stages.append(
        Block(
            "stage.match",
            (("selector", '{source=""}'), ("action", "drop"), ("drop_counter_reason", "not_routed")),
        )
    )
    stages += map(_replacing, redactions(pipeline))
    if loki:
        stages.append(_kept_labels(flows))
    forward = ("forward_to", [sending[0].export("receiver")])
    return [Block("loki.process", (forward, *stages), label), *sending]


def _label(sink: Sink) -> str:
    """An identifier, another one for each name."""
    return "to_" + sink.name.replace("_", "_0").replace("-", "_1")


def _routing(flow: Flow, labels: bool) -> list[Block]:
    """A line goes to a sink once: as one of the first source that has it and is led there."""
    values = {"source": flow.source.name, **(dict(flow.labels) if labels else {})}
    inner = Block("stage.static_labels", (("values", values),))
    return [Block("stage.match", (("selector", selector), inner)) for selector in _selectors(flow)]


def _selectors(flow: Flow) -> list[str]:
    """LogQL. One for each way that a line can take."""
    ways = [("", 7)] if flow.everything else [(_filters(route), route.severity) for route in flow.ways]
    return once(
        "{" + ", ".join(_matchers(flow.source, min(flow.source.severity, severity))) + "}" + filters
        for filters, severity in ways
    )


def _matchers(source: Source, severity: int) -> list[str]:
    found = ['source=""']
    if source.transport:
        found.append(f"transport={_text(source.transport)}")
    for label, patterns in (
        ("unit", list(map(unit_pattern, source.units))),
        ("container", list(map(wildcards, source.containers))),
    ):
        if patterns:
            found.append(f"{label}=~{_text('|'.join(patterns))}")
            # A wildcard takes no line without.
            found.append(f'{label}!=""')
    if source.events:
        found.append('event="1"')
    if severity < 7:
        found.append(f'level=~"[0-{severity}]"')
    return found


def _filters(route: t.Any) -> str:
    found = [f" |~ {_text('|'.join(map(ottl.literal, route.contains)))}"] if route.contains else []
    found += [f" != {_text(text)}" for text in route.excludes]
    return "".join(found)


def _replacing(redaction: Redaction) -> Block:
    """Each group that captures is replaced, so only the secret may be one."""
    before, secret, after = map(_without_groups, (redaction.before, redaction.secret, redaction.after))
    expression = (f"(?:{before})" if before else "") + f"({secret})" + (f"(?:{after})" if after else "")
    return Block("stage.replace", (("expression", expression), ("replace", TEXT)))


def _without_groups(pattern: str) -> str:
    """The same, with groups that capture nothing."""
    found, inside, at = "", False, 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            found += pattern[at : at + 2]
            at += 2
            continue
        if inside:
            inside = sign != "]"
        elif sign == "[":
            inside = True
            # A bracket at the start of a class is one of its members.
            members = 2 if pattern[at + 1 : at + 2] == "^" else 1
            if pattern[at + members : at + members + 1] == "]":
                found += pattern[at : at + members + 1]
                at += members + 1
                continue
        found += "(?:" if sign == "(" and not inside and pattern[at + 1 : at + 2] != "?" else sign
        at += 1
    return found


def _kept_labels(flows: list[Flow]) -> Block:
    labels = once(name for flow in flows for name, _value in flow.labels)
    return Block("stage.label_keep", (("values", [*ottl.LOKI_LABELS, *labels]),))


def _loki(sink: Sink, label: str) -> list[Block]:
    arguments: list[tuple[str, t.Any] | Block] = [
        ("url", _url(sink)),
        ("remote_timeout", "30s"),
        ("min_backoff_period", "1s"),
        ("max_backoff_period", "30s"),
        # Without end.
        ("max_backoff_retries", 0),
    ]
    if sink.given.get("tenant"):
        arguments.append(("tenant_id", sink.given["tenant"]))
    if sink.token is not None:
        arguments.append(("bearer_token_file", sink.token.home))
    elif sink.password is not None:
        login = (("username", sink.given["username"]), ("password_file", sink.password.home))
        arguments.append(Block("basic_auth", login))
    if sink.tls and _tls(sink):
        arguments.append(Block("tls_config", _tls(sink)))
    return [Block("loki.write", (Block("endpoint", tuple(arguments)),), label)]


def _otlp(sink: Sink, flows: list[Flow], label: str) -> list[Block]:
    auth = _auth(sink, label)
    client: list[tuple[str, t.Any] | Block] = [("endpoint", sink.url.rstrip("/")), ("timeout", "30s")]
    if auth:
        client.append(("auth", auth[-1].export("handler")))
    if sink.tls and _tls(sink):
        client.append(Block("tls", _tls(sink)))
    most = int(sink.queue["memory_max_records"])
    batch = (
        ("flush_timeout", "200ms"),
        ("min_size", max(most // 4, 1)),
        ("max_size", most),
        ("sizer", "items"),
    )
    queue = (
        ("enabled", True),
        ("sizer", "items"),
        ("queue_size", most),
        ("block_on_overflow", True),
        # Lines stay in their order.
        ("num_consumers", 1),
        Block("batch", batch),
    )
    retry = (("initial_interval", "1s"), ("max_interval", "30s"), ("max_elapsed_time", "0s"))
    exporter = Block(
        "otelcol.exporter.otlphttp",
        (
            ("logs_endpoint", _url(sink)),
            Block("client", tuple(client)),
            Block("retry_on_failure", retry),
            Block("sending_queue", queue),
        ),
        label,
    )
    events = any(flow.source.events for flow in flows)
    statements = [Block("log_statements", (("context", "log"), ("statements", _attributes(flows, events))))]
    parsing = ottl.parsing(flows)
    if parsing:
        quiet = (("context", "log"), ("error_mode", "silent"), ("statements", parsing))
        statements.append(Block("log_statements", quiet))
    record = [
        *ottl.otlp_record(),
        *(f"set(resource.attributes[{ottl.quoted(name)}], {ottl.attribute(name)})" for name in ottl.RESOURCE),
        ottl.kept(ottl.OTLP_ATTRIBUTES),
    ]
    statements.append(Block("log_statements", (("context", "log"), ("statements", record))))
    transform = Block(
        "otelcol.processor.transform",
        (("error_mode", "ignore"), *statements, _output(exporter)),
        label,
    )
    return [Block("otelcol.receiver.loki", (_output(transform),), label), transform, *auth, exporter]


def _output(to: Block) -> Block:
    return Block("output", (("logs", [to.export("input")]),))


def _attributes(flows: list[Flow], events: bool) -> list[str]:
    """Labels of a line are attributes already."""
    fields = [field.lower() for field in EVENT_FIELDS] if events else []
    return [
        ottl.setting("message", "log.body"),
        ottl.setting("level", f"Int({ottl.attribute('level')})"),
        *ottl.severities(),
        *([ottl.setting("fields", "{}", f'{ottl.attribute("event")} == "1"')] if events else []),
        *(
            f"set({ottl.attribute('fields', field)}, {ottl.attribute(f'event_{field}')}) "
            f"where {ottl.attribute(f'event_{field}')} != nil"
            for field in fields
        ),
        *ottl.labelling(flows),
    ]


def _auth(sink: Sink, label: str) -> list[Block]:
    if sink.token is not None:
        file = Block("local.file", (("filename", sink.token.home), ("is_secret", True)), label)
        return [file, Block("otelcol.auth.bearer", (("token", file.export("content")),), label)]
    if sink.password is not None:
        login = (("username", sink.given["username"]), ("password_file", sink.password.home))
        return [Block("otelcol.auth.basic", (Block("client_auth", login),), label)]
    return []


def _url(sink: Sink) -> str:
    url = sink.url.rstrip("/")
    return url if sink.url_path else url + _PATHS[sink.type]


def _tls(sink: Sink) -> tuple[tuple[str, t.Any], ...]:
    """The name in the certificate is checked unless one says otherwise."""
    places = {"ca_file": sink.ca.place, "cert_file": sink.cert.place, "key_file": sink.key.place}
    return tuple((option, place) for option, place in places.items() if place is not None)
