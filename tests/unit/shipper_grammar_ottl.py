# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads statements and conditions of OTTL: a grammar of ours for the part of the language that we write, never run.

It says which functions, with how many arguments, and which paths a statement uses; a table says which there are.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from tests.unit.shipper_grammar import Used

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>[0-9]+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"""
    r"""|(?P<sign>==|!=|<=|>=|[-+*/<>()\[\]{},:.]))"""
)
# What RE2, which reads them, does not have.
_NOT_RE2 = re.compile(r"\(\?(?!:|P<)|\\[1-9]")
# Arguments that are regular expressions, by position.
_PATTERNS = {"IsMatch": 1, "replace_pattern": 1}


class Wrong(Exception):
    pass


def used(place: str, text: str, condition: bool = False) -> list[Used]:
    """``condition``: without a function that changes something before it."""
    try:
        reader = _Reader(_tokens(text), place)
        if condition:
            reader.either()
        else:
            reader.statement()
        reader.end()
    except Wrong as err:
        return [Used(place, f"ottl: {err} in {text}")]
    return reader.found


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise Wrong(f"no token at {text[at : at + 10]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return [*found, ("end", "")]


def pattern_fault(pattern: str) -> str | None:
    if _NOT_RE2.search(pattern):
        return f"{pattern!r} is nothing for RE2"
    try:
        re.compile(pattern)
    except re.error as err:
        return f"{pattern!r}: {err}"
    return None


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

    def take(self, *wanted: str) -> str:
        if wanted and self.here not in wanted:
            raise Wrong(f"{self.here or 'the end'} instead of {' or '.join(wanted)}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def end(self) -> None:
        if self.kind != "end":
            raise Wrong(f"{self.here} after the end")

    def statement(self) -> None:
        if not re.fullmatch("[a-z][a-z_]*", self.here):
            raise Wrong(f"{self.here} changes nothing")
        self.call(self.take())
        if self.here == "where":
            self.take()
            self.either()

    def call(self, name: str) -> None:
        self.take("(")
        count = 0
        while self.here != ")":
            if count:
                self.take(",")
            if _PATTERNS.get(name) == count:
                self.regex()
            else:
                self.value()
            count += 1
        self.take(")")
        self.found.append(Used(self.place, f"ottl.{name}", str(count)))

    def regex(self) -> None:
        if self.kind != "text":
            raise Wrong(f"{self.here} is no pattern")
        fault = pattern_fault(unquoted(self.take()))
        if fault:
            raise Wrong(fault)

    def either(self) -> None:
        self.both()
        while self.here == "or":
            self.take()
            self.both()

    def both(self) -> None:
        self.term()
        while self.here == "and":
            self.take()
            self.term()

    def term(self) -> None:
        if self.here == "not":
            self.take()
            self.term()
        elif self.here == "(":
            self.take()
            self.either()
            self.take(")")
        else:
            converter = self.here[:1].isupper()
            self.value()
            if self.here in ("==", "!=", "<", ">", "<=", ">="):
                self.take()
                self.value()
            elif not converter:
                raise Wrong(f"{self.here or 'the end'} instead of a comparison")

    def value(self) -> None:
        self.one()
        while self.here and self.here in "+-*/":
            self.take()
            self.one()

    def one(self) -> None:
        if self.kind in ("text", "number"):
            self.take()
        elif self.here in ("[", "{"):
            self.many("]" if self.take() == "[" else "}")
        elif self.kind != "word":
            raise Wrong(f"{self.here or 'the end'} is no value")
        elif self.here in ("true", "false", "nil"):
            self.take()
        elif self.here[:1].isupper():
            self.call(self.take())
        else:
            self.path()

    def many(self, closing: str) -> None:
        first = True
        while self.here != closing:
            if not first:
                self.take(",")
            if closing == "}":
                if self.kind != "text":
                    raise Wrong(f"{self.here} is no key")
                self.take()
                self.take(":")
            self.value()
            first = False
        self.take(closing)

    def path(self) -> None:
        words = [self.take()]
        while self.here == ".":
            self.take()
            words.append(self.take())
        while self.here == "[":
            self.take()
            if self.kind != "text":
                raise Wrong(f"{self.here} is no key")
            self.take()
            self.take("]")
        self.found.append(Used(self.place, "ottl." + ".".join(words)))


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def statements(place: str, group: t.Any) -> list[Used]:
    return [use for text in group for use in used(place, text)]
