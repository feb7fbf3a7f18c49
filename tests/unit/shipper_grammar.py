# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks configurations of shippers that no package registry has: by a table of ours, never run.

``data/shippers/<name>/options.yml`` lists each option that a configuration may have, with the version and the source
of the fact. ``shipper_grammar_<name>.py`` says which options a configuration uses and what its graph is. Here is what
is the same for all of them: an option must be in the table and have a value that the table allows, and the graph must
be closed.

``data/shippers/<name>/<source>-<sink>.<ext>`` is what each type of source on its way to each type of sink becomes, and
``all-<sink>.<ext>`` the same with everything on. ``MLOPS_FREEZE=1`` writes them anew, for ``git diff``.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses
import os
import pathlib
import re
import typing as t

import yaml

DATA = pathlib.Path(__file__).parent / "data" / "shippers"


@dataclasses.dataclass(frozen=True)
class Option:
    """``values``: those that it may have, empty for any; ``pattern``: a regular expression for all of its value."""

    name: str
    version: str
    source: str
    values: tuple[str, ...] = ()
    pattern: str = ""

    def allows(self, value: str) -> bool:
        return (not self.values or value in self.values) and re.fullmatch(self.pattern or "(?s).*", value) is not None


@dataclasses.dataclass(frozen=True)
class Used:
    """An option where it is used: ``place`` is for people, ``option`` the name in the table."""

    place: str
    option: str
    value: str = ""


@dataclasses.dataclass(frozen=True)
class Node:
    """``kind``: an input has nothing before it, an output nothing behind it, the rest has both."""

    name: str
    kind: t.Literal["input", "middle", "output"]


@dataclasses.dataclass(frozen=True)
class Graph:
    """``edges``: from, to. ``references``: of something defined elsewhere, such as a parser, and ``defined`` those."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    references: tuple[str, ...] = ()
    defined: tuple[str, ...] = ()


def table(program: str) -> dict[str, Option]:
    """The file is a list of groups that share version and source: ``{version, source, options: {name: what}}``.

    ``what`` is nothing (any value), a list of values, or a regular expression.
    """
    found: dict[str, Option] = {}
    for group in yaml.safe_load((DATA / program / "options.yml").read_text()):
        assert set(group) == {"version", "source", "options"}, f"{program}: a group has no other keys: {set(group)}"
        assert group["version"] and group["source"], f"{program}: a fact has a version and a source"
        for name, what in group["options"].items():
            assert name not in found, f"{program}: {name} is there twice"
            values = tuple(map(written, what)) if isinstance(what, list) else ()
            pattern = "" if what is None or values else str(what)
            found[name] = Option(name, str(group["version"]), str(group["source"]), values, pattern)
    return found


def written(value: object) -> str:
    """As YAML and JSON write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def wrong_options(used: c.Iterable[Used], known: c.Mapping[str, Option]) -> list[str]:
    found = []
    for use in used:
        option = known.get(use.option)
        if option is None:
            found.append(f"{use.place}: unknown option {use.option}")
        elif not option.allows(use.value):
            found.append(f"{use.place}: {use.option} cannot be {use.value!r}")
    return found


def wrong_graph(graph: Graph) -> list[str]:
    names = [node.name for node in graph.nodes]
    found = [f"{name} is defined twice" for name in sorted({name for name in names if names.count(name) > 1})]
    found += [f"{name} is referred to and not defined" for edge in graph.edges for name in edge if name not in names]
    found += [f"{name} is referred to and not defined" for name in graph.references if name not in graph.defined]
    found += [f"{name} is defined and not used" for name in graph.defined if name not in graph.references]
    starts, ends = {edge[0] for edge in graph.edges}, {edge[1] for edge in graph.edges}
    for node in graph.nodes:
        if node.kind != "output" and node.name not in starts:
            found.append(f"{node.kind} {node.name} leads nowhere")
        if node.kind != "input" and node.name not in ends:
            found.append(f"{node.kind} {node.name} gets nothing")
    outputs = {node.name for node in graph.nodes if node.kind == "output"}
    inputs = [node.name for node in graph.nodes if node.kind == "input"]
    found += [f"input {name} reaches no output" for name in inputs if not outputs & _reached(name, graph.edges)]
    fed = {reached for name in inputs for reached in _reached(name, graph.edges)}
    found += [f"no input reaches {node.name}" for node in graph.nodes if node.name in ends - fed]
    if not inputs or not outputs:
        found.append("there is no input or no output")
    return list(dict.fromkeys(found))


def _reached(start: str, edges: c.Collection[tuple[str, str]]) -> set[str]:
    found, fresh = {start}, {start}
    while fresh:
        fresh = {to for origin, to in edges if origin in fresh} - found
        found |= fresh
    return found


# What is built for the golden files: each type of source and of sink once, as options of the role.

SOURCES: dict[str, dict[str, t.Any]] = {
    "journald": {"units": ["vllm@*", "ray.service", "gpu?"], "priority": "info"},
    "kernel": {"priority": "warning"},
    "model_servers": {"instances": ["llama", "qwen*"], "json": True},
    "containers": {"containers": ["vllm-*", "tei"]},
    "gpu_events": {},
    "files": {"paths": ["/var/log/ray/worker-*.log", "/srv/triton/server.log"], "json": True},
}
CA = "/etc/ssl/logs/ca.pem"
PEMS = {"ca": CA, "cert": "/etc/ssl/logs/host.pem", "private_key": "/etc/ssl/logs/host.key"}
# None of these words may be in a configuration, whatever the program.
PASSWORD, TOKEN = "S3cr3t-passw0rd", "S3cr3t-t0ken"
SINKS: dict[str, dict[str, t.Any]] = {
    "syslog_tls": {"host": "logs.example.org", **PEMS},
    "relp_tls": {"host": "logs.example.org", **PEMS},
    "loki": {"url": "https://loki.example.org:3100", "tenant": "gpu", **PEMS, "token": TOKEN},
    "opensearch": {
        "url": "https://search.example.org:9200",
        "index": "gpu-logs",
        **PEMS,
        "username": "ship",
        "password": PASSWORD,
    },
    "otlp": {"url": "https://otlp.example.org:4318", **PEMS, "token": TOKEN},
    "http": {"url": "https://logs.example.org/in", **PEMS, "token": TOKEN},
    "kafka": {
        "brokers": ["k1.example.org:9093", "k2.example.org:9093"],
        "topic": "logs",
        **PEMS,
        "username": "ship",
        "password": PASSWORD,
    },
    "s3": {
        "bucket": "logs",
        "region": "eu-central-1",
        "prefix": "gpu/",
        "username": "AKIAEXAMPLE",
        "password": PASSWORD,
    },
    "file": {"path": "/var/log/mlops-shipped.jsonl"},
}


def options(sources: c.Iterable[str], sink: str, **queue: t.Any) -> dict[str, t.Any]:
    """Options of the role for one sink, without its name of provider."""
    names = list(sources)
    return {
        "sources": [{"name": name, "type": name, **SOURCES[name]} for name in names],
        "sinks": [{"name": "central", "type": sink, **SINKS[sink], **({"queue": queue} if queue else {})}],
        "routes": [{"name": "all", "from": names, "to": ["central"]}],
        "redact": False,
    }


def everything(sources: c.Iterable[str], sink: str, when_full: str) -> dict[str, t.Any]:
    """Redaction, labels, filters, two ways to one sink, a second sink of the same type, and another policy of the
    buffer."""
    plain = options(sources, sink, disk_max_mib=512, when_full=when_full)
    names = [source["name"] for source in plain["sources"]]
    second = {**plain["sinks"][0], "name": "second"}
    if "path" in second:
        second["path"] = "/var/log/mlops-second.jsonl"
    if "topic" in second:
        second["topic"] = "faults"
    return {
        "sources": [{**source, "labels": {"site": "eu 1"}} for source in plain["sources"]],
        "sinks": [*plain["sinks"], second],
        "routes": [
            {
                "name": "errors",
                "from": names,
                "to": ["central"],
                "priority": "err",
                "contains": ["CUDA error", "a.b+c"],
                "excludes": ["health check"],
                "labels": {"team": "ml-1"},
            },
            {"name": "oom", "from": names[:1], "to": ["central", "second"], "contains": ["out of memory"]},
            {"name": "rest", "from": names[1:], "to": ["second"], "excludes": ["GET /health"]},
        ],
        "redact": True,
        "redact_patterns": ["customer-[0-9]+"],
    }


def cases(sources: c.Iterable[str], sinks: c.Iterable[str], when_full: c.Sequence[str]) -> dict[str, dict[str, t.Any]]:
    """Options of the role by the name of their golden file, without its end."""
    names = sorted(sources)
    found = {
        f"{source}-{sink}": options([source], sink, when_full=when_full[0])
        for sink in sorted(sinks)
        for source in names
    }
    return found | {f"all-{sink}": everything(names, sink, when_full[-1]) for sink in sorted(sinks)}


def golden(path: pathlib.Path, text: str) -> None:
    """Compares, or writes with ``MLOPS_FREEZE``."""
    if "MLOPS_FREEZE" in os.environ:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path} is missing: run the test with MLOPS_FREEZE=1"
    assert text == path.read_text(), f"{path} is another one now: MLOPS_FREEZE=1 writes it anew"


def strays(program: str, ext: str, names: c.Iterable[str]) -> list[str]:
    """Golden files that no case makes any more."""
    there = {path.stem for path in (DATA / program).glob(f"*.{ext}")} - {"options"}
    return sorted(there - set(names))
