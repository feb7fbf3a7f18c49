# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads the part of YAML that CDI specifications are written in: block mappings and lists, and scalars on one line.

The standard library reads no YAML, and what writes these files uses none of its other forms.
"""

from __future__ import annotations

import json
import re
import typing as t

_KEY = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?![-?:]\s)[^\s"'\[\]{}#&*!|>%@`,].*?)\s*:(?:\s+(?P<rest>.*))?$"""
)
_COMMENT = re.compile(r"(^|\s)#.*$")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Line(t.NamedTuple):
    number: int
    indent: int
    text: str


def load(text: str) -> t.Any:
    """The value in the text. ValueError names the line that is of another form."""
    lines = [
        _Line(number, len(raw) - len(raw.lstrip(" ")), _without_comment(raw).strip())
        for number, raw in enumerate(text.splitlines(), start=1)
        if raw.strip() not in ("---", "...")
    ]
    lines = [line for line in lines if line.text]
    if not lines:
        return None
    value, rest = _block(lines, lines[0].indent)
    if rest:
        raise ValueError(f"line {rest[0].number} is indented otherwise than what it belongs to")
    return value


def _block(lines: list[_Line], indent: int) -> tuple[t.Any, list[_Line]]:
    if lines[0].text == "-" or lines[0].text.startswith("- "):
        return _list(lines, indent)
    return _mapping(lines, indent)


def _list(lines: list[_Line], indent: int) -> tuple[list[t.Any], list[_Line]]:
    found = []
    while lines and lines[0].indent == indent and re.match(r"-( |$)", lines[0].text):
        head, lines = lines[0], lines[1:]
        inner = head.text[1:].lstrip()
        if not inner:
            value, lines = _below(lines, indent + 1)
        elif _KEY.match(inner) or re.match(r"-( |$)", inner):
            # The first line of a block that goes on below, as far in as this begins.
            deeper = indent + len(head.text) - len(inner)
            value, lines = _block([_Line(head.number, deeper, inner), *lines], deeper)
        else:
            value = _scalar(inner, head.number)
        found.append(value)
    return found, lines


def _mapping(lines: list[_Line], indent: int) -> tuple[dict[str, t.Any], list[_Line]]:
    found: dict[str, t.Any] = {}
    while lines and lines[0].indent == indent:
        head, lines = lines[0], lines[1:]
        match = _KEY.match(head.text)
        if not match:
            raise ValueError(f"line {head.number} is no key with a value: {head.text[:60]}")
        key = str(_scalar(match.group("key"), head.number))
        rest = match.group("rest")
        if rest:
            found[key] = _scalar(rest, head.number)
            continue
        # A list may stand as far out as its key.
        is_list = bool(lines) and lines[0].indent == indent and re.match(r"-( |$)", lines[0].text)
        found[key], lines = _below(lines, indent if is_list else indent + 1)
    return found, lines


def _below(lines: list[_Line], least: int) -> tuple[t.Any, list[_Line]]:
    if not lines or lines[0].indent < least:
        return None, lines
    return _block(lines, lines[0].indent)


def _scalar(text: str, number: int) -> t.Any:
    if text in ("[]", "{}"):
        return json.loads(text)
    if text[0] == "[" and text[-1] == "]":
        return [_scalar(item.strip(), number) for item in text[1:-1].split(",")]
    if text[0] in "[{|>&*!%@`":
        raise ValueError(f"line {number} is YAML of a form that is not read here: {text[:60]}")
    if text[0] == '"':
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(f"line {number} has a quoted text that is not read here: {text[:60]}") from None
    if text[0] == "'":
        if len(text) < 2 or text[-1] != "'":
            raise ValueError(f"line {number} has a quoted text without an end: {text[:60]}")
        return text[1:-1].replace("''", "'")
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if re.fullmatch(r"-?(0|[1-9]\d*)", text) else text


def _without_comment(raw: str) -> str:
    # Within quotes it is none; a line with quotes is left as it is unless nothing stands before the sign.
    return raw if re.search(r"[\"']", raw) and not raw.lstrip().startswith("#") else _COMMENT.sub("", raw)
