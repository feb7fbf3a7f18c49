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
