# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration of the OpenTelemetry Collector uses, and its graph. Checked by a table of ours, never run."""

from __future__ import annotations

import copy
import re
import typing as t

import yaml

from tests.unit import shipper_grammar_ottl as ottl
from tests.unit.shipper_grammar import Graph, Node, Used, written

SECTIONS = ("extensions", "receivers", "processors", "connectors", "exporters")
# The same in each component that has them; that it has them is in the table too.
_SHARED = ("sending_queue", "retry_on_failure", "tls")
# Maps whose keys are the user's.
_FREE = ("exporters.otlp_http.headers", "receivers.file_log.attributes")
_STATEMENTS = "processors.transform.log_statements"
_CONDITIONS = "processors.filter.log_conditions"
# Extensions that no component refers to.
_ALONE = ("health_check",)
_REFERRING = ("storage", "authenticator", "encoding")


def used(text: str) -> list[Used]:
    config = yaml.safe_load(text)
    found = [Used(section, section) for section in config if section not in (*SECTIONS, "service")]
    for section in SECTIONS:
        for name, body in config[section].items():
            kind = name.partition("/")[0]
            found.append(Used(name, f"{section}.{kind}"))
            found += _options(name, f"{section}.{kind}", body)
    service = {key: value for key, value in config["service"].items() if key not in ("extensions", "pipelines")}
    found += _options("service", "service", service)
    for name, way in config["service"]["pipelines"].items():
        found += [Used(name, f"service.pipelines.{name.partition('/')[0]}.{key}") for key in way]
    return found


def _options(place: str, option: str, value: t.Any) -> t.Iterator[Used]:
    if option == _CONDITIONS:
        yield Used(place, option)
        for text in value:
            yield from ottl.used(place, _unescaped(text), condition=True)
    elif option == f"{_STATEMENTS}[].statements":
        yield Used(place, option)
        yield from ottl.statements(place, map(_unescaped, value))
    elif isinstance(value, dict):
        if option.count(".") > 1 or not value:
            yield Used(place, option)
        for key, item in value.items():
            shared = option.rpartition(".")[2]
            above = shared if shared in _SHARED else option
            yield from _options(place, f"{option}.*" if option in _FREE else f"{above}.{key}", item)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from _options(place, f"{option}[]", item)
    elif isinstance(value, list):
        yield Used(place, option)
        for item in value:
            yield from _references(place, written(item))
    else:
        text = written(value)
        yield Used(place, option, text)
        yield from _references(place, text)


def _references(place: str, text: str) -> t.Iterator[Used]:
    """The program looks for them in each text."""
    if "$" in text.replace("$$", ""):
        yield Used(place, "reference", text)


def _unescaped(text: str) -> str:
    """A statement must hold no reference: what is left of one is no token of its language."""
    return "${" if "$" in text.replace("$$", "") else text.replace("$$", "$")


def graph(text: str) -> Graph:
    config = yaml.safe_load(text)
    pipelines = config["service"]["pipelines"]
    nodes = [Node(name, "input") for name in config["receivers"]]
    nodes += [Node(name, "middle") for name in (*config["connectors"], *(f"pipeline {name}" for name in pipelines))]
    nodes += [Node(name, "output") for name in config["exporters"]]
    edges = [(name, f"pipeline {way}") for way, body in pipelines.items() for name in body["receivers"]]
    edges += [(f"pipeline {way}", name) for way, body in pipelines.items() for name in body["exporters"]]
    started = config["service"]["extensions"]
    return Graph(
        tuple(nodes),
        tuple(edges),
        references=(
            *(f"processor {name}" for body in pipelines.values() for name in body["processors"]),
            *(f"extension {name}" for name in started),
            *(f"started extension {name}" for section in SECTIONS for name in _named(config[section])),
        ),
        defined=(
            *(f"processor {name}" for name in config["processors"]),
            *(f"extension {name}" for name in config["extensions"]),
            *(f"started extension {name}" for name in started if name.partition("/")[0] not in _ALONE),
        ),
    )


def _named(value: t.Any) -> t.Iterator[str]:
    """Extensions that components refer to; an encoding of another component is no extension."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _REFERRING and isinstance(item, str) and not re.fullmatch("raw|utf8", item):
                yield item
            yield from _named(item)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item)


def shipped(text: str, receiver: str, record: ottl.Record) -> dict[str, ottl.Record]:
    """What a line becomes, by the exporters that get it: a model of ours."""
    config = yaml.safe_load(text)
    found = {}
    for way in config["service"]["pipelines"].values():
        if receiver in way["receivers"]:
            processed = _processed(config, way["processors"], copy.deepcopy(record))
            for name in way["exporters"]:
                if processed is not None:
                    known = name in config["connectors"]
                    found |= shipped(text, name, processed) if known else {name: processed}
    return found


def _processed(config: t.Any, names: list[str], record: ottl.Record) -> ottl.Record | None:
    for name in names:
        kind, body = name.partition("/")[0], config["processors"][name]
        if kind == "filter":
            if any(ottl.read(_unescaped(one), condition=True)[0](record) for one in body["log_conditions"]):
                return None
        elif kind == "groupbyattrs":
            attributes = record["log.attributes"]
            moved = {key: attributes.pop(key) for key in body["keys"] if key in attributes}
            record["resource.attributes"] |= moved
        else:
            run(body["log_statements"], record, _unescaped)
    return record


def run(groups: t.Any, record: ottl.Record, unescaped: t.Callable[[str], str]) -> None:
    """What fails in a group that is not silent would be a message for each line."""
    for group in groups:
        for statement in group["statements"]:
            try:
                ottl.read(unescaped(statement))[0](record)
            except ottl.Fault:
                if group.get("error_mode") != "silent":
                    raise
