# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Statements of OTTL, the language in which the OpenTelemetry Collector and Grafana Alloy change log records. Pure.

On its way a line has what is known of it in attributes of these names: ``message``, ``host``, ``source``, ``unit``,
``container``, ``program``, ``pid``, ``level`` (0 to 7), ``severity``, ``labels`` and ``fields`` (maps).
"""

from __future__ import annotations

import typing as t

from .pipeline import SEVERITIES, Flow
from .redaction import TEXT, Redaction

# What OpenTelemetry's data model has for syslog's severities, by position.
SEVERITY_NUMBERS = (21, 19, 18, 17, 13, 10, 9, 5)

_JSON_OBJECT = "^ *[{]"
_LITERAL = str.maketrans({".": "[.]", "+": "[+]"})


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def attribute(name: str, *below: str) -> str:
    return "log.attributes" + "".join(f"[{quoted(key)}]" for key in (name, *below))


def setting(name: str, value: str, where: str = "") -> str:
    """A value that is nil changes nothing."""
    return f"set({attribute(name)}, {value})" + (f" where {where}" if where else "")


def matching(name: str, pattern: str) -> str:
    """Of an attribute that is not there it is false."""
    return f"IsMatch({attribute(name)}, {quoted(pattern)})"


def literal(text: str) -> str:
    """A text of a route as a regular expression; it has no other characters that mean something."""
    return text.translate(_LITERAL)


def way(flow: Flow) -> str:
    """Whether a route takes a line of the source; "" where one takes each."""
    if flow.everything:
        return ""
    found = []
    for route in flow.ways:
        terms = [f"{attribute('level')} <= {route.severity}"] if route.severity < 7 else []
        if route.contains:
            terms.append(matching("message", "|".join(map(literal, route.contains))))
        terms += [f"not {matching('message', literal(text))}" for text in route.excludes]
        found.append("(" + " and ".join(terms) + ")")
    return "(" + " or ".join(found) + ")"


def redacting(redactions: t.Iterable[Redaction]) -> list[str]:
    return [
        f"replace_pattern({attribute('message')}, {quoted(redaction.pattern)}, "
        f"{quoted(f'$1{TEXT}${redaction.after_group}')})"
        for redaction in redactions
    ]


def labelling(flows: t.Iterable[Flow]) -> list[str]:
    return [setting("labels", text_map(flow.labels), _from(flow.source.name)) for flow in flows if flow.labels]


def text_map(pairs: t.Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{quoted(name)}: {quoted(value)}" for name, value in pairs) + "}"


def parsing(flows: t.Iterable[Flow]) -> list[str]:
    """After redaction: what is left out of a line is not in its fields either."""
    looks_like = matching("message", _JSON_OBJECT)
    return [
        setting("fields", f"ParseJSON({attribute('message')})", f"{_from(flow.source.name)} and {looks_like}")
        for flow in flows
        if flow.source.json
    ]


def _from(source: str) -> str:
    return f"{attribute('source')} == {quoted(source)}"


def severities() -> list[str]:
    """Of ``level``."""
    return [
        statement
        for level, (word, number) in enumerate(zip(SEVERITIES, SEVERITY_NUMBERS, strict=True))
        for statement in (
            setting("severity", quoted(word), f"{attribute('level')} == {level}"),
            f"set(log.severity_number, {number}) where {attribute('level')} == {level}",
        )
    ]


# Members of a record that are attributes of the same name, in the order of base.py.
_MEMBERS = ("host", "source", "unit", "container", "program", "pid", "severity", "message", "labels", "fields")


def json_record() -> list[str]:
    """Makes the body the record that sinks for JSON get."""
    return [
        'set(log.body, {"@timestamp": FormatTime(log.time, "%Y-%m-%dT%H:%M:%S.%fZ")})',
        *(f"set(log.body[{quoted(name)}], {attribute(name)})" for name in _MEMBERS),
    ]


OTLP_ATTRIBUTES = tuple(name for name in _MEMBERS if name != "message")


def otlp_record() -> list[str]:
    """The body is the message; ``service.name`` and ``host.name`` are for the resource, by ``RESOURCE``."""
    return [
        f"set(log.body, {attribute('message')})",
        f"set(log.severity_text, {attribute('severity')})",
        setting("service.name", attribute("source")),
        setting("host.name", attribute("host")),
    ]


RESOURCE = ("service.name", "host.name")
# What becomes labels of Loki, besides those of sources and routes.
LOKI_LABELS = ("host", "source", "unit", "severity", "gpu_uuid")


def kept(names: t.Iterable[str]) -> str:
    return "keep_keys(log.attributes, [" + ", ".join(map(quoted, names)) + "])"
