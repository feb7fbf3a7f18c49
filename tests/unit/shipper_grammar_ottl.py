# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads statements and conditions of OTTL, and does what they say: a grammar and a model of ours for the part of the
language that we write, from its documentation. The programs that speak it were never run.

It says which functions, with how many arguments, and which paths a statement uses; a table says which there are.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses
import datetime
import json
import re
import typing as t

from tests.unit.shipper_grammar import Used

# What a path begins with, such as log.attributes, and its value.
Record = dict[str, t.Any]
Value = c.Callable[[Record], t.Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>[0-9]+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"""
    r"""|(?P<sign>==|!=|<=|>=|[-+*/<>()\[\]{},:.]))"""
)
# What RE2, which reads them, does not have.
_NOT_RE2 = re.compile(r"\(\?(?!:|P<)|\\[1-9]")
# Arguments that are regular expressions, by position.
_PATTERNS = {"IsMatch": 1, "replace_pattern": 1}
_EDITORS = ("set", "replace_pattern", "keep_keys")


class Wrong(Exception):
    """It is nothing of the language."""


class Fault(Exception):
    """It is, and fails with this record."""


def used(place: str, text: str, condition: bool = False) -> list[Used]:
    """``condition``: without a function that changes something before it."""
    try:
        return read(text, condition, place)[1]
    except Wrong as err:
        return [Used(place, f"ottl: {err} in {text}")]


def statements(place: str, group: c.Iterable[str]) -> list[Used]:
    return [use for text in group for use in used(place, text)]


def read(text: str, condition: bool = False, place: str = "") -> tuple[Value, list[Used]]:
    """What it does with a record, or says of one."""
    reader = _Reader(_tokens(text), place)
    does = reader.either() if condition else reader.statement()
    if reader.kind != "end":
        raise Wrong(f"{reader.here} after the end")
    return does, reader.found


def pattern_fault(pattern: str) -> str | None:
    if _NOT_RE2.search(pattern):
        return f"{pattern!r} is nothing for RE2"
    try:
        re.compile(pattern)
    except re.error as err:
        return f"{pattern!r}: {err}"
    return None


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise Wrong(f"no token at {text[at : at + 10]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return [*found, ("end", "")]


@dataclasses.dataclass
class _Reader:
    tokens: list[tuple[str, str]]
    place: str
    at: int = 0
    found: list[Used] = dataclasses.field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    @property
    def here(self) -> str:
        return self.tokens[self.at][1]

    def take(self, *desired: str) -> str:
        if desired and self.here not in desired:
            raise Wrong(f"{self.here or 'the end'} instead of {' or '.join(desired)}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def statement(self) -> Value:
        if not re.fullmatch("[a-z][a-z_]*", self.here):
            raise Wrong(f"{self.here} changes nothing")
        does = self.call(self.take())
        if self.here != "where":
            return does
        self.take()
        where = self.either()
        return lambda record: does(record) if where(record) else None

    def call(self, name: str) -> Value:
        self.take("(")
        target = self.place_in_record() if name in _EDITORS and self.kind == "word" else None
        arguments: list[Value] = []
        count = 0 if target is None else 1
        while self.here != ")":
            if count:
                self.take(",")
            arguments.append(self.regex() if _PATTERNS.get(name) == count else self.value())
            count += 1
        self.take(")")
        self.found.append(Used(self.place, f"ottl.{name}", str(count)))
        if target is not None:
            return lambda record: _EDIT[name](record, target, *(argument(record) for argument in arguments))
        return lambda record: _CONVERT[name](*(argument(record) for argument in arguments))

    def regex(self) -> Value:
        if self.kind != "text":
            raise Wrong(f"{self.here} is no pattern")
        pattern = unquoted(self.take())
        if fault := pattern_fault(pattern):
            raise Wrong(fault)
        return lambda _record: pattern

    def either(self) -> Value:
        found = [self.both()]
        while self.here == "or":
            self.take()
            found.append(self.both())
        return lambda record: any(one(record) for one in found)

    def both(self) -> Value:
        found = [self.term()]
        while self.here == "and":
            self.take()
            found.append(self.term())
        return lambda record: all(one(record) for one in found)

    def term(self) -> Value:
        if self.here == "not":
            self.take()
            term = self.term()
            return lambda record: not term(record)
        if self.here == "(":
            self.take()
            found = self.either()
            self.take(")")
            return found
        converter = self.here[:1].isupper()
        left = self.value()
        if self.here not in _COMPARE:
            if not converter:
                raise Wrong(f"{self.here or 'the end'} instead of a comparison")
            return left
        compare = _COMPARE[self.take()]
        right = self.value()
        return lambda record: compare(left(record), right(record))

    def value(self) -> Value:
        """Of the same rank: we write no sums before products."""
        found = self.one()
        while self.here and self.here in _COUNT:
            found = self.counted(found, _COUNT[self.take()], self.one())
        return found

    @staticmethod
    def counted(left: Value, count: c.Callable[[int, int], int], right: Value) -> Value:
        return lambda record: count(left(record), right(record))

    def one(self) -> Value:
        if self.kind == "text":
            text = unquoted(self.take())
            return lambda _record: text
        if self.kind == "number":
            number = int(self.take())
            return lambda _record: number
        if self.here == "[":
            items = [item for _key, item in self.many("]")]
            return lambda record: [item(record) for item in items]
        if self.here == "{":
            members = self.many("}")
            return lambda record: {key: item(record) for key, item in members if item(record) is not None}
        if self.kind != "word":
            raise Wrong(f"{self.here or 'the end'} is no value")
        if self.here in _WORDS:
            word = _WORDS[self.take()]
            return lambda _record: word
        if self.here[:1].isupper():
            return self.call(self.take())
        path = self.place_in_record()
        return lambda record: _get(record, path)

    def many(self, closing: str) -> list[tuple[str, Value]]:
        self.take()
        found: list[tuple[str, Value]] = []
        while self.here != closing:
            if found:
                self.take(",")
            key = ""
            if closing == "}":
                if self.kind != "text":
                    raise Wrong(f"{self.here} is no key")
                key = unquoted(self.take())
                self.take(":")
            found.append((key, self.value()))
        self.take(closing)
        return found

    def place_in_record(self) -> list[str]:
        words = [self.take()]
        while self.here == ".":
            self.take()
            words.append(self.take())
        keys = [".".join(words)]
        while self.here == "[":
            self.take()
            if self.kind != "text":
                raise Wrong(f"{self.here} is no key")
            keys.append(unquoted(self.take()))
            self.take("]")
        self.found.append(Used(self.place, f"ottl.{keys[0]}"))
        return keys


_WORDS = {"true": True, "false": False, "nil": None}
_COUNT: dict[str, c.Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
}


def _ordered(compare: c.Callable[[t.Any, t.Any], bool]) -> c.Callable[[t.Any, t.Any], bool]:
    """Values of different types are not equal, and nothing else."""
    return lambda a, b: type(a) is type(b) and a is not None and compare(a, b)


_COMPARE: dict[str, c.Callable[[t.Any, t.Any], bool]] = {
    "==": lambda a, b: type(a) is type(b) and a == b,
    "!=": lambda a, b: type(a) is not type(b) or a != b,
    "<": _ordered(lambda a, b: a < b),
    ">": _ordered(lambda a, b: a > b),
    "<=": _ordered(lambda a, b: a <= b),
    ">=": _ordered(lambda a, b: a >= b),
}


def _get(record: Record, path: list[str]) -> t.Any:
    found: t.Any = record
    for key in path:
        if found is None:
            return None
        if not isinstance(found, dict):
            raise Fault(f"{path} is no map")
        found = found.get(key)
    return found


def _set(record: Record, path: list[str], value: t.Any) -> None:
    """A value that is nil changes nothing."""
    if value is None:
        return
    above = _get(record, path[:-1])
    if not isinstance(above, dict):
        raise Fault(f"{path[:-1]} is no map")
    # A map is copied, not shared.
    above[path[-1]] = json.loads(json.dumps(value))


def _replace_pattern(record: Record, path: list[str], pattern: str, text: str) -> None:
    old = _get(record, path)
    if isinstance(old, str):
        expanded = re.sub(r"\$(\w+)", r"\\g<\1>", text.replace("\\", "\\\\"))
        _set(record, path, re.sub(pattern, expanded, old))


def _keep_keys(record: Record, path: list[str], keys: list[str]) -> None:
    kept = {key: value for key, value in _get(record, path).items() if key in keys}
    _get(record, path[:-1])[path[-1]] = kept


def _is_match(value: t.Any, pattern: str) -> bool:
    return value is not None and re.search(pattern, str(value)) is not None


def _parse_json(text: t.Any) -> t.Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as err:
        raise Fault("it is no JSON") from err


def _string(value: t.Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _int(value: t.Any) -> int | None:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else None


def _format_time(nanoseconds: int, form: str) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(microsecond=rest // 1000)
    return when.strftime(form)


_EDIT: dict[str, c.Callable[..., None]] = {
    "set": _set,
    "replace_pattern": _replace_pattern,
    "keep_keys": _keep_keys,
}
_CONVERT: dict[str, c.Callable[..., t.Any]] = {
    "IsMatch": _is_match,
    "ParseJSON": _parse_json,
    "String": _string,
    "Int": _int,
    "FormatTime": _format_time,
}
