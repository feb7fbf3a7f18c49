# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration of Vector 0.57 uses, and what its graph is. Checked by a table of ours, never run.

A component names its ``inputs``. Placeholders of secrets are referred to.
"""

from __future__ import annotations

import collections.abc as c
import re
import typing as t

import yaml

from tests.unit import shipper_grammar as grammar
from tests.unit.shipper_grammar import Graph, Node, Used

KINDS: dict[str, t.Literal["input", "middle", "output"]] = {
    "sources": "input",
    "transforms": "middle",
    "sinks": "output",
}
MUST = {
    "transforms": ("drop_on_error", "drop_on_abort", "source", "inputs"),
    "sinks": ("inputs", "acknowledgements.enabled", "buffer.type", "buffer.max_size", "buffer.when_full"),
}


def complaints(text: str, secrets: c.Mapping[str, str]) -> list[str]:
    """``secrets``: what the file of secrets has."""
    config = yaml.safe_load(text)
    found = grammar.wrong_options(_used(config), grammar.table("vector"))
    return found + _missing(config) + grammar.wrong_graph(_graph(config, text, secrets))


def _components(config: t.Any) -> c.Iterator[tuple[str, str, dict[str, t.Any]]]:
    for section in (*KINDS, "secret"):
        for name, item in (config.get(section) or {}).items():
            yield section, name, item


def _flat(value: t.Any, path: str = "") -> c.Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for item in value:
            yield from _flat(item, path)
    else:
        yield path, grammar.written(value)


def _used(config: t.Any) -> c.Iterator[Used]:
    known = grammar.table("vector")
    for name, value in config.items():
        if name not in KINDS and name != "secret":
            for option, text in _flat(value, name):
                yield Used(name, option, text)
    for section, name, item in _components(config):
        for path, text in _flat(item):
            option = f"{section}.{item.get('type')}.{path}"
            # What all sinks have.
            if option not in known and section == "sinks" and item.get("type") != "prometheus_exporter":
                option = f"{section}.{path}"
            yield Used(f"{section}.{name}", option, text)


def _missing(config: t.Any) -> list[str]:
    found = []
    for section, name, item in _components(config):
        there = {path for path, _text in _flat(item)}
        must = list(MUST.get(section, ())) if item.get("type") != "prometheus_exporter" else ["inputs", "address"]
        for place in ("tls", "protocol.tls"):
            if any(path.startswith(f"{place}.") for path in there):
                must += [f"{place}.verify_certificate", f"{place}.verify_hostname"]
        if any(text.startswith("https:") for _path, text in _flat(item)) and item.get("type") != "aws_s3":
            must.append("protocol.tls.verify_hostname" if "protocol" in item else "tls.verify_hostname")
        found += [f"{section}.{name}: {option} is missing" for option in dict.fromkeys(must) if option not in there]
    return found


def _graph(config: t.Any, text: str, secrets: c.Mapping[str, str]) -> Graph:
    nodes, edges = [], []
    for section, name, item in _components(config):
        if section in KINDS:
            nodes.append(Node(name, KINDS[section]))
            edges += [(origin, name) for origin in item.get("inputs", ())]
    referred = re.findall(r"SECRET\[(\w+)[.]([\w./-]+)\]", text)
    backends = list(config.get("secret") or {})
    return Graph(
        tuple(nodes),
        tuple(edges),
        (*(backend for backend, _name in referred), *(name for _backend, name in referred)),
        (*backends, *secrets),
    )
