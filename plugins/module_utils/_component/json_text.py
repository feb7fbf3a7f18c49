# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Edits JSON text key by key and leaves every other byte where it was."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from json.decoder import scanstring  # type: ignore[attr-defined]  # public in CPython since 2.6, missing in typeshed

from .._errors import HostError

Key = tuple[str, ...]
_BLANKS = " \t\r\n"


@dataclasses.dataclass(frozen=True)
class _Member:
    """One ``"key": value`` in the text; offsets into it."""

    key: str
    key_start: int
    key_end: int
    value_start: int
    value_end: int
    value: t.Any


@dataclasses.dataclass(frozen=True)
class _Object:
    """An object in the text, from its ``{`` at ``start`` to just behind its ``}`` at ``end``."""

    start: int
    end: int
    members: tuple[_Member, ...]

    def find(self, key: str) -> _Member | None:
        return next((member for member in self.members if member.key == key), None)


def load(text: str, path: str) -> dict[str, t.Any]:
    """Parse a JSON object. A blank text counts as an empty one. HostError names path, line and column."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as exc:
        raise HostError(
            f"{path} is not valid JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}; "
            "fix it, it was left untouched",
            path=path,
            line=exc.lineno,
            column=exc.colno,
        ) from exc
    if not isinstance(value, dict):
        raise HostError(
            f"{path} must hold a JSON object, it holds {type(value).__name__}; it was left untouched", path=path
        )
    return value


def same(left: t.Any, right: t.Any) -> bool:
    """Equality as JSON sees it: true is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def raw(text: str, key: Key) -> str | None:
    """The text of the value at a key, or None where there is none."""
    member = _locate(text, key)
    return None if member is None else text[member.value_start : member.value_end]


def put(text: str, key: Key, value: t.Any) -> str:
    """Set the value at a key whose parents are objects. A new key goes to the end of its object."""
    return put_raw(text, key, None, value)


def put_raw(text: str, key: Key, value_text: str | None, value: t.Any = None) -> str:
    """Like put, but with the text of the value when it is given."""
    member = _locate(text, key)
    if member is not None:
        lead = _line_lead(text, member.key_start)
        new = _dump(value, lead, text) if value_text is None else value_text
        return text[: member.value_start] + new + text[member.value_end :]
    if not text.strip():
        text = "{}\n"
    parent = _object_at(text, key[:-1])
    if parent.members:
        first, last = parent.members[0], parent.members[-1]
        before_key = text[parent.start + 1 : first.key_start]
        colon = text[first.key_end : first.value_start]
        lead = before_key.rpartition("\n")[2] if "\n" in before_key else ""
        new = _dump(value, lead, text) if value_text is None else value_text
        added = f",{before_key if before_key else ' '}{json.dumps(key[-1])}{colon}{new}"
        return text[: last.value_end] + added + text[last.value_end :]
    outer = _line_lead(text, parent.start)
    lead = outer + _indent(text)
    new = _dump(value, lead, text) if value_text is None else value_text
    return f"{text[: parent.start]}{{\n{lead}{json.dumps(key[-1])}: {new}\n{outer}}}{text[parent.end :]}"


def drop(text: str, key: Key) -> str:
    """Remove a key with its comma; nothing happens when it is not there."""
    member = _locate(text, key)
    if member is None:
        return text
    parent = _object_at(text, key[:-1])
    index = parent.members.index(member)
    if len(parent.members) == 1:
        return text[: parent.start] + "{}" + text[parent.end :]
    if index == 0:
        return text[: member.key_start] + text[parent.members[1].key_start :]
    return text[: parent.members[index - 1].value_end] + text[member.value_end :]


def _locate(text: str, key: Key) -> _Member | None:
    if not text.strip():
        return None
    scope = _scan(text, _skip(text, 0))
    for name in key[:-1]:
        member = scope.find(name)
        if member is None or not isinstance(member.value, dict):
            return None
        scope = _scan(text, member.value_start)
    return scope.find(key[-1])


def _object_at(text: str, key: Key) -> _Object:
    scope = _scan(text, _skip(text, 0))
    for name in key:
        member = scope.find(name)
        if member is None:
            raise KeyError(key)
        scope = _scan(text, member.value_start)
    return scope


def _scan(text: str, start: int) -> _Object:
    """Find the members of the object that starts at ``start``. The text is known to be valid JSON."""
    decoder = json.JSONDecoder()
    members: dict[str, _Member] = {}
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, key_end = scanstring(text, at + 1)
        value_start = _skip(text, _skip(text, key_end) + 1)
        value, value_end = decoder.raw_decode(text, value_start)
        if key in members:
            line = text.count("\n", 0, at) + 1
            raise HostError(f"the JSON text has the key {key!r} twice in one object, again in line {line}; remove one")
        members[key] = _Member(key, at, key_end, value_start, value_end, value)
        at = _skip(text, value_end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return _Object(start, at + 1, tuple(members.values()))


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def _line_lead(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent(text: str) -> str:
    """One step of indentation as the text has it: the lead of its first indented line."""
    for line in text.splitlines()[1:]:
        lead = line[: len(line) - len(line.lstrip(" \t"))]
        if lead and line.strip():
            return lead
    return "    "


def _dump(value: t.Any, lead: str, text: str) -> str:
    one_line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or "\n" not in text.strip():
        return one_line
    return json.dumps(value, ensure_ascii=False, indent=_indent(text)).replace("\n", "\n" + lead)
