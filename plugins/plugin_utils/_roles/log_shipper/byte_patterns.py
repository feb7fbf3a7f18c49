# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Regular expressions as programs for a machine that reads each byte of a line once. Pure.

For scripts in languages that have no regular expressions. The machine follows all ways at once, in the order in which
Perl would try them: no expression makes it slow, and it needs no stack. Lines are UTF-8.
"""

from __future__ import annotations

import importlib
import typing as t

from .redaction import Redaction

# Expressions that count to large numbers would be long programs.
MOST_STEPS = 4000

# What is read after the last byte of a line, once.
END = 256

# byte: one of these ranges; split and jump: numbers of steps, from 1; open and close: where the secret begins and ends;
# begins: only at the beginning of the line; found: the end.
Step = tuple[t.Any, ...]
_Items = t.Iterable[tuple[t.Any, t.Any]]

_parser = importlib.import_module("re._parser")
# The first byte of a letter of UTF-8 that has one, two or three more.
_LEADS = ([0xC2, 0xDF], [0xE0, 0xEF], [0xF0, 0xF4])


class Unsupported(ValueError):
    """The expression has what this cannot express, or is too long."""


def program(redaction: Redaction) -> list[Step]:
    steps: list[Step] = []
    for part, before in ((redaction.before, ("open",)), (redaction.secret, ("close",)), (redaction.after, ("found",))):
        _sequence(_parser.parse(part), steps)
        steps.append(before)
    return steps


def first(steps: t.Sequence[Step]) -> list[int]:
    """What a line must have where the expression begins, as ranges."""
    found: set[int] = set()
    seen: set[int] = set()
    waiting = [1]
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        kind, *more = steps[at - 1]
        if kind == "byte":
            found |= {byte for low, high in zip(more[0][::2], more[0][1::2]) for byte in range(low, high + 1)}
        elif kind in ("split", "jump"):
            waiting += more
        elif kind != "found":
            waiting.append(at + 1)
    return _ranges(found)


def _sequence(items: _Items, steps: list[Step]) -> None:
    for kind, value in items:
        if len(steps) > MOST_STEPS:
            raise Unsupported("it is too long")
        name = str(kind)
        if name in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            _class(name, value, steps)
        elif name == "SUBPATTERN":
            if value[1] or value[2]:
                raise Unsupported("it has flags")
            _sequence(value[3], steps)
        elif name == "BRANCH":
            _branch(value[1], steps)
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            _repeat(value, steps, greedy=name == "MAX_REPEAT")
        elif name == "AT" and str(value) == "AT_BEGINNING":
            steps.append(("begins",))
        elif name == "AT" and str(value) == "AT_END":
            steps.append(("byte", [END, END]))
        else:
            raise Unsupported(f"it has {name}")


def _branch(ways: t.Sequence[_Items], steps: list[Step]) -> None:
    ends = []
    for number, way in enumerate(ways):
        last = number == len(ways) - 1
        at = len(steps)
        if not last:
            steps.append(())
        _sequence(way, steps)
        if not last:
            ends.append(len(steps))
            steps.append(())
            steps[at] = ("split", at + 2, len(steps) + 1)
    for end in ends:
        steps[end] = ("jump", len(steps) + 1)


def _repeat(counted: tuple[int, t.Any, _Items], steps: list[Step], *, greedy: bool) -> None:
    least, most, body = counted

    def split(at: int, inside: int, outside: int) -> None:
        steps[at] = ("split", inside, outside) if greedy else ("split", outside, inside)

    for _copy in range(least):
        _sequence(body, steps)
    if str(most) == "MAXREPEAT":
        at = len(steps)
        steps.append(())
        _sequence(body, steps)
        steps.append(("jump", at + 1))
        split(at, at + 2, len(steps) + 1)
        return
    ats = []
    for _copy in range(most - least):
        ats.append(len(steps))
        steps.append(())
        _sequence(body, steps)
    for at in ats:
        split(at, at + 2, len(steps) + 1)


def _class(name: str, value: t.Any, steps: list[Step]) -> None:
    if name == "LITERAL":
        steps.extend(("byte", [byte, byte]) for byte in chr(value).encode())
        return
    found, others = _letters(name, value)
    one = [("byte", _ranges(found))]
    if not others:
        steps += one
        return
    # All letters beyond ASCII, of two to four bytes.
    wide = [[("byte", lead), *[("byte", [0x80, 0xBF])] * more] for more, lead in enumerate(_LEADS, 1)]
    ends = []
    for way in (one, *wide[:-1]):
        at = len(steps)
        steps.append(("split", at + 2, at + len(way) + 3))
        steps += way
        ends.append(len(steps))
        steps.append(())
    steps += wide[-1]
    for end in ends:
        steps[end] = ("jump", len(steps) + 1)


def _letters(name: str, value: t.Any) -> tuple[set[int], bool]:
    """Those of ASCII, and whether all others are in it, too."""
    if name == "ANY":
        return _ascii(0, 127) - {ord("\n")}, True
    if name == "NOT_LITERAL":
        return _ascii(0, 127) - _ascii(value, value), True
    found: set[int] = set()
    negate = False
    for kind, what in value:
        if str(kind) == "NEGATE":
            negate = True
        elif str(kind) == "LITERAL":
            found |= _ascii(what, what)
        elif str(kind) == "RANGE":
            found |= _ascii(*what)
        else:
            raise Unsupported(f"it has {kind}")
    return (_ascii(0, 127) - found, True) if negate else (found, False)


def _ascii(low: int, high: int) -> set[int]:
    if high > 127:
        raise Unsupported("it has a class with other letters than those of ASCII")
    return set(range(low, high + 1))


def _ranges(found: t.AbstractSet[int]) -> list[int]:
    ordered = sorted(found)
    flat: list[int] = []
    for byte in ordered:
        if flat and flat[-1] == byte - 1:
            flat[-1] = byte
        else:
            flat += [byte, byte]
    return flat
