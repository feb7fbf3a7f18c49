# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a configuration of Grafana Alloy: what it uses, and its graph. A grammar and a table of ours, never run."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from tests.unit import shipper_grammar_ottl as ottl
from tests.unit.shipper_grammar import Graph, Node, Used, written

_TOKEN = re.compile(
    r"""(?:\s|//[^\n]*)*(?:(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<number>[0-9]+)"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)|(?P<sign>[{}\[\]=,])|(?P<end>\Z))"""
)
# Maps whose keys are the user's.
_FREE = "stage.static_labels.values"
_INPUTS, _OUTPUTS = ("loki.source.journal",), ("loki.write", "otelcol.exporter.otlphttp")
# Components that no line goes through.
_ASIDE = ("loki.relabel", "local.file", "otelcol.auth.bearer", "otelcol.auth.basic")
# Names of exports that lines go to.
_LINES = ("receiver", "input")
_MATCHER = r'[a-z_]+(=|!=|=~|!~)"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf'\{{{_MATCHER}(, {_MATCHER})*\}}( (\|~|\|=|!=|!~) "(?:[^"\\]|\\.)*")*')
_LOGQL_PATTERN = re.compile(r'(?:=~|!~|\|~) ?("(?:[^"\\]|\\.)*")')


class Wrong(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Ref:
    name: str


@dataclasses.dataclass
class Read:
    """A block; ``body`` has arguments by name, and ``blocks`` those in it."""

    name: str
    label: str
    body: dict[str, t.Any]
    blocks: list[Read]

    @property
    def id(self) -> str:
        return f"{self.name}.{self.label}"


def read(text: str) -> list[Read]:
    return _Reader(text).blocks("")


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = []
        at = 0
        while not self._tokens or self._tokens[-1][0] != "end":
            match = _TOKEN.match(text, at)
            if match is None:
                raise Wrong(f"no token at {text[at : at + 20]!r}")
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[0]

    def _take(self, kind: str, value: str | None = None) -> str:
        found = self._tokens[0]
        if found[0] != kind or value not in (None, found[1]):
            raise Wrong(f"{found[1] or 'the end'} instead of {value or kind}")
        return self._tokens.pop(0)[1]

    def blocks(self, end: str) -> list[Read]:
        found = []
        while self._peek() != (("sign", end) if end else ("end", "")):
            found.append(self._block(self._take("word")))
        return found

    def _block(self, name: str) -> Read:
        label = json.loads(self._take("text")) if self._peek()[0] == "text" else ""
        self._take("sign", "{")
        body: dict[str, t.Any] = {}
        blocks = []
        while self._peek() != ("sign", "}"):
            word = self._take("word")
            if self._peek() != ("sign", "="):
                blocks.append(self._block(word))
                continue
            self._take("sign", "=")
            if word in body:
                raise Wrong(f"{name} has {word} twice")
            body[word] = self._value()
        self._take("sign", "}")
        return Read(name, label, body, blocks)

    def _value(self) -> t.Any:
        kind, value = self._peek()
        if kind == "text":
            return json.loads(self._take("text"))
        if kind == "number":
            return int(self._take("number"))
        if kind == "word":
            word = self._take("word")
            return {"true": True, "false": False}.get(word, Ref(word))
        if value == "[":
            return self._many("]", self._value)
        if value == "{":
            return dict(self._many("}", self._member))
        raise Wrong(f"{value or 'the end'} is no value")

    def _member(self) -> tuple[str, t.Any]:
        key = json.loads(self._take("text"))
        self._take("sign", "=")
        return key, self._value()

    def _many(self, closing: str, one: t.Callable[[], t.Any]) -> list[t.Any]:
        self._take("sign")
        found = []
        while self._peek() != ("sign", closing):
            found.append(one())
            if self._peek() == ("sign", ","):
                self._take("sign", ",")
            elif self._peek() != ("sign", closing):
                raise Wrong(f"{self._peek()[1]} instead of , or {closing}")
        self._take("sign", closing)
        return found


def used(text: str) -> list[Used]:
    try:
        blocks = read(text)
    except Wrong as err:
        return [Used("file", f"syntax: {err}")]
    return [use for block in blocks for use in _of(block, block.id, block.name)]


def _of(block: Read, place: str, option: str) -> t.Iterator[Used]:
    yield Used(place, option)
    for name, value in block.body.items():
        yield from _argument(place, f"{option}.{name}", value)
    for inner in block.blocks:
        # Stages are the same inside a match as outside.
        above = "loki.process" if inner.name.startswith("stage.") else option
        yield from _of(inner, place, f"{above}.{inner.name}")


def _argument(place: str, option: str, value: t.Any) -> t.Iterator[Used]:
    if option.endswith(".statements"):
        yield Used(place, option)
        yield from ottl.statements(place, value)
    elif isinstance(value, dict):
        yield Used(place, option)
        for item in value.values():
            yield Used(place, f"{option}.*" if option.endswith(_FREE) else f"{option}: a map", written(item))
    elif isinstance(value, list):
        yield Used(place, option)
        yield from (Used(place, f"{option}[]", item) for item in value if isinstance(item, str))
    elif isinstance(value, Ref):
        yield Used(place, option)
    else:
        yield Used(place, option, written(value))
    yield from _faults(place, option, value)
    for ref in _refs(value):
        component, _label, export = _split(ref)
        yield Used(place, f"export {component}.{export}")


def _faults(place: str, option: str, value: t.Any) -> t.Iterator[Used]:
    """Of the languages in a text."""
    patterns = [value] if option.endswith((".regex", ".expression")) else []
    if option.endswith(".selector"):
        if not _SELECTOR.fullmatch(value):
            yield Used(place, f"selector: {value} is none")
        patterns = [ottl.unquoted(text) for text in _LOGQL_PATTERN.findall(value)]
    faults = [fault for fault in map(ottl.pattern_fault, patterns) if fault]
    yield from (Used(place, f"pattern: {fault}") for fault in faults)
    if option.endswith("stage.replace.expression") and not faults and re.compile(value).groups != 1:
        yield Used(place, f"pattern: {value} has not one group")


def _refs(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list):
        for item in value:
            yield from _refs(item)


def _split(ref: str) -> tuple[str, str, str]:
    component, _, export = ref.rpartition(".")
    name, _, label = component.rpartition(".")
    return name, label, export


def graph(text: str) -> Graph:
    try:
        components = [block for block in read(text) if block.label]
    except Wrong:
        return Graph((), ())
    nodes = [Node(block.id, _kind(block.name)) for block in components if block.name not in _ASIDE]
    links = [(block, *ref.rpartition(".")[::2]) for block in components for ref in _all_refs(block)]
    return Graph(
        tuple(nodes),
        tuple((block.id, to) for block, to, export in links if export in _LINES),
        references=tuple(to for _block, to, export in links if export not in _LINES),
        defined=tuple(block.id for block in components if block.name in _ASIDE),
    )


def _kind(name: str) -> t.Literal["input", "middle", "output"]:
    return "input" if name in _INPUTS else "output" if name in _OUTPUTS else "middle"


def _all_refs(block: Read) -> t.Iterator[str]:
    for value in block.body.values():
        yield from _refs(value)
    for inner in block.blocks:
        yield from _all_refs(inner)


def shipped(text: str, fields: dict[str, str], time: int) -> dict[str, ottl.Record]:
    """What an entry of the journal becomes, by the components that send it: a model of ours."""
    blocks = {block.id: block for block in read(text) if block.label}
    labels = {f"__journal_{name.lower()}": value for name, value in fields.items()}
    keyword = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")
    if "PRIORITY" in fields:
        labels["__journal_priority_keyword"] = keyword[int(fields["PRIORITY"])]
    for rule in blocks["loki.relabel.journal"].blocks:
        _relabel(rule.body, labels)
    labels = {name: value for name, value in labels.items() if not name.startswith("__")}
    found = {}
    for ref in _refs(blocks["loki.source.journal.journal"].body["forward_to"]):
        process = blocks[ref.rpartition(".")[0]]
        line = _staged(process.blocks, dict(labels), fields["MESSAGE"])
        if line is None:
            continue
        (to,) = _refs(process.body["forward_to"])
        found |= _sent(blocks, blocks[to.rpartition(".")[0]], *line, time)
    return found


def _relabel(rule: dict[str, t.Any], labels: dict[str, str]) -> None:
    value = ";".join(labels.get(name, "") for name in rule.get("source_labels", []))
    match = re.fullmatch(rule.get("regex", "(.*)"), value)
    if match:
        new = match.expand(re.sub(r"\$(\d)", r"\\g<\1>", rule.get("replacement", "$1")))
        labels.pop(rule["target_label"], None)
        if new:
            labels[rule["target_label"]] = new


def _staged(stages: list[Read], labels: dict[str, str], line: str) -> tuple[dict[str, str], str] | None:
    for stage in stages:
        if stage.name == "stage.match":
            if not _selects(stage.body["selector"], labels, line):
                continue
            if stage.body.get("action") == "drop":
                return None
            inner = _staged(stage.blocks, labels, line)
            if inner is None:
                return None
            labels, line = inner
        elif stage.name == "stage.static_labels":
            labels |= stage.body["values"]
        elif stage.name == "stage.label_keep":
            labels = {name: value for name, value in labels.items() if name in stage.body["values"]}
        else:
            line = _replaced(stage.body["expression"], stage.body["replace"], line)
    return labels, line


def _replaced(expression: str, text: str, line: str) -> str:
    """The one group that captures."""
    found, at = "", 0
    for match in re.finditer(expression, line):
        found += line[at : match.start(1)] + text
        at = match.end(1)
    return found + line[at:]


_LABEL_MATCHER = re.compile(r'([a-z_]+)(=~|!=|=)("(?:[^"\\]|\\.)*")')
_LINE_FILTER = re.compile(r' (\|~|!=) ("(?:[^"\\]|\\.)*")')


def _selects(selector: str, labels: dict[str, str], line: str) -> bool:
    end = selector.rindex("}", 0, re.compile(r'(?:[^"}]|"(?:[^"\\]|\\.)*")*\}').match(selector).end())  # type: ignore[union-attr]
    for name, sign, text in _LABEL_MATCHER.findall(selector[: end + 1]):
        value, desired = labels.get(name, ""), ottl.unquoted(text)
        same = re.fullmatch(desired, value) is not None if sign == "=~" else value == desired
        if same is (sign == "!="):
            return False
    for sign, text in _LINE_FILTER.findall(selector[end + 1 :]):
        desired = ottl.unquoted(text)
        if (re.search(desired, line) is None) if sign == "|~" else (desired in line):
            return False
    return True


def _sent(blocks: dict[str, Read], to: Read, labels: dict[str, str], line: str, time: int) -> dict[str, ottl.Record]:
    if to.name == "loki.write":
        return {to.id: {"labels": labels, "line": line}}
    (transform,) = (blocks[ref.rpartition(".")[0]] for ref in _all_refs(to))
    record: ottl.Record = {
        "log.body": line,
        "log.attributes": dict(labels),
        "log.time": time,
        "resource.attributes": {},
    }
    for group in transform.blocks:
        for statement in group.body.get("statements", []):
            try:
                ottl.read(statement)[0](record)
            except ottl.Fault:
                if group.body.get("error_mode") != "silent":
                    raise
    (exporter,) = (ref.rpartition(".")[0] for block in transform.blocks for ref in _all_refs(block))
    return {exporter: record}
