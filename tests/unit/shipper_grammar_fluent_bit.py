# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration of Fluent Bit 5.1 uses, and what its graph is. Checked by a table of ours, never run.

A source is wired to a sink by its tag and by ``match``, with a wildcard. Variables and the script are referred to.
"""

from __future__ import annotations

import collections.abc as c
import fnmatch
import re
import typing as t

import yaml

from tests.unit import shipper_grammar as grammar
from tests.unit.shipper_grammar import Graph, Node, Used

SCRIPT = "/etc/mlops-log-shipper/fluent-bit.lua"
# Without them it runs, and loses lines or tells them to anybody.
MUST = {
    "service": ("http_server", "http_listen", "storage.path", "hot_reload"),
    "input": ("name", "tag", "db", "storage.type"),
    "filter": ("name", "match", "script", "call"),
    "output": ("name", "match", "retry_limit", "storage.total_limit_size"),
}
MUST_OF = {
    "tail": ("path", "skip_long_lines", "refresh_interval", "buffer_max_size"),
    "systemd": ("read_from_tail",),
    "file": ("path", "file", "format", "mkdir"),
    **{name: ("host", "port") for name in ("loki", "opensearch", "opentelemetry", "http")},
}
SECTIONS = {"env", "service", "pipeline"}
PLURALS = {"inputs": "input", "filters": "filter", "outputs": "output"}


def complaints(text: str, defined: c.Collection[str] = (SCRIPT,)) -> list[str]:
    """``defined``: files that are there."""
    config = yaml.safe_load(text)
    found = [f"unknown section {name}" for name in config if name not in SECTIONS]
    found += [f"unknown section pipeline.{name}" for name in config.get("pipeline", {}) if name not in PLURALS]
    found += grammar.wrong_options(_used(config), grammar.table("fluent_bit"))
    found += _missing(config)
    return found + grammar.wrong_graph(_graph(config, defined))


def _items(config: t.Any) -> c.Iterator[tuple[str, str, dict[str, t.Any]]]:
    """Kind, place and content of each part."""
    yield "service", "service", config.get("service", {})
    for number, item in enumerate(config.get("env", ()), 1):
        yield "env", f"env {number}", item
    for plural, kind in PLURALS.items():
        for item in config.get("pipeline", {}).get(plural, ()):
            yield kind, f"{kind} {item.get('alias', item.get('name'))}", item


def _used(config: t.Any) -> c.Iterator[Used]:
    known = grammar.table("fluent_bit")
    for kind, place, item in _items(config):
        for name, value in item.items():
            option = f"{kind}.{name}" if kind in ("service", "env") else f"{kind}.{item.get('name')}.{name}"
            if kind == "output" and option not in known:
                option = f"{kind}.{name}"
            for one in value if isinstance(value, list) else [value]:
                yield Used(place, option, grammar.written(one))


def _missing(config: t.Any) -> list[str]:
    found = []
    for kind, place, item in _items(config):
        must = [*MUST.get(kind, ()), *MUST_OF.get(str(item.get("name")), ())]
        if "tls" in item:
            must += ["tls.verify", "tls.verify_hostname"]
        elif any(name.startswith("tls.") for name in item):
            must.append("tls")
        found += [f"{place}: {name} is missing" for name in must if name not in item]
    return found


def _graph(config: t.Any, defined: c.Collection[str]) -> Graph:
    parts = {kind: [item for one, _place, item in _items(config) if one == kind] for kind in PLURALS.values()}
    nodes = [Node(f"output {item.get('alias')}", "output") for item in parts["output"]]
    edges, idle = [], set(range(len(parts["filter"])))
    for source in parts["input"]:
        tag = str(source.get("tag"))
        nodes.append(Node(tag, "input"))
        # A filter takes of a tag what goes on under the same tag: it is a step of its own in each of them.
        steps = [tag]
        for number, item in enumerate(parts["filter"]):
            if fnmatch.fnmatchcase(tag, str(item.get("match"))):
                idle.discard(number)
                steps.append(f"filter {number} of {tag}")
        nodes += [Node(step, "middle") for step in steps[1:]]
        edges += list(zip(steps, steps[1:]))
        for sink in parts["output"]:
            if fnmatch.fnmatchcase(tag, str(sink.get("match"))):
                edges.append((steps[-1], f"output {sink.get('alias')}"))
    nodes += [Node(f"filter {number}", "middle") for number in sorted(idle)]
    variables = [str(item.get("name")) for kind, _place, item in _items(config) if kind == "env"]
    named = re.findall(r"[$][{]([^}]*)[}]", yaml.safe_dump(config.get("pipeline", {})))
    scripts = [str(item["script"]) for item in parts["filter"] if "script" in item]
    return Graph(tuple(nodes), tuple(edges), (*named, *scripts), (*variables, *defined))
