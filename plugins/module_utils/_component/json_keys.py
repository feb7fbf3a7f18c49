# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Keys that a component owns inside a JSON file which others use too."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._errors import HostError
from . import json_text
from .json_text import Key

KeyRecords = dict[str, dict[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class KeyDrift:
    """``want`` None with ``gone`` true: the key is given up; then ``want`` is the earlier value."""

    pointer: str
    want: t.Any
    have: t.Any


@dataclasses.dataclass(frozen=True)
class Merged:
    """The text with the desired keys in it, the records on them, what differed, and what could not be given back as it
    was: sentences."""

    text: str
    records: KeyRecords
    drift: tuple[KeyDrift, ...]
    notes: tuple[str, ...] = ()


def merge(
    text: str,
    desired: t.Mapping[str, t.Any],
    owned: KeyRecords,
    path: str,
    only: t.Mapping[str, t.Sequence[str]] | None = None,
) -> Merged:
    """Put the desired keys into the text, and give back those that are owned but no longer desired.

    ``owned`` maps a pointer to ``{"earlier": text of the value before us or null, "container": bool}``. A container is
    an object that we made only to hold our keys. ``only`` names members that an object of strings may have besides the
    desired ones: others are taken away, and their records have ``"string": True`` as those of its desired members.
    """
    json_text.load(text, path)
    leaves = dict(_leaves(desired))
    records: KeyRecords = {}
    drift: list[KeyDrift] = []
    notes: list[str] = []
    unfit = _unfit(text, desired, owned, path, only or {})
    kept = {pointer for key in (*leaves, *unfit) for pointer in _prefixes(key)}
    given_up = [pointer for pointer in owned if pointer not in kept]
    for pointer in sorted(given_up, key=lambda item: item.count("/"), reverse=True):
        key = parse_pointer(pointer)
        have = _value(text, key, path)
        text = _give_back(text, key, owned[pointer], path, notes)
        if not owned[pointer]["container"]:
            drift.append(KeyDrift(pointer, _value(text, key, path), have))
    for key in unfit:
        raw = json_text.raw(text, key)
        pointer = make_pointer(key)
        records[pointer] = {
            "earlier": owned[pointer]["earlier"] if pointer in owned else raw,
            "container": False,
            "string": True,
        }
        if raw is not None:
            drift.append(KeyDrift(pointer, None, _value(text, key, path)))
            text = json_text.drop(text, key)
    for key, value in leaves.items():
        for depth in range(1, len(key)):
            text = _open_container(text, key[:depth], owned, records, path)
        pointer = make_pointer(key)
        raw = json_text.raw(text, key)
        records[pointer] = {"earlier": owned[pointer]["earlier"] if pointer in owned else raw, "container": False}
        if len(key) > 1 and key[0] in (only or {}):
            records[pointer]["string"] = True
        have = _value(text, key, path)
        if raw is None or not json_text.same(have, value):
            drift.append(KeyDrift(pointer, value, have))
            text = json_text.put(text, key, value)
    _refuse_other_than_strings(text, path, only or {})
    return Merged(text, records, tuple(drift), tuple(notes))


def keeps_type(record: t.Mapping[str, t.Any]) -> bool:
    """Whether the earlier value can be given back as it was."""
    return record["earlier"] is None or not record.get("string") or record["earlier"].lstrip().startswith('"')


def conflict(mine: t.Iterable[str], theirs: t.Mapping[str, t.Mapping[str, t.Any]]) -> str | None:
    """The first pointer that two components record, one of them perhaps as part of a larger value."""
    leaves = [pointer for pointer, record in theirs.items() if not record["container"]]
    for pointer in mine:
        for other in leaves:
            if pointer == other or pointer.startswith(other + "/") or other.startswith(pointer + "/"):
                return pointer
    return None


def pointers(desired: t.Mapping[str, t.Any]) -> list[str]:
    """The pointers (RFC 6901) of all keys that the desired value owns."""
    return [make_pointer(key) for key, _value in _leaves(desired)]


def make_pointer(key: Key) -> str:
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in key)


def parse_pointer(pointer: str) -> Key:
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:])


def _leaves(desired: t.Mapping[str, t.Any], parent: Key = ()) -> t.Iterator[tuple[Key, t.Any]]:
    for name, value in desired.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*parent, name))
        else:
            yield (*parent, name), value


def _prefixes(key: Key) -> list[str]:
    return [make_pointer(key[: depth + 1]) for depth in range(len(key))]


def _open_container(text: str, key: Key, owned: KeyRecords, records: KeyRecords, path: str) -> str:
    """Make sure that there is an object at the key; what stood there instead is recorded."""
    pointer = make_pointer(key)
    raw = json_text.raw(text, key)
    if raw is not None and isinstance(_value(text, key, path), dict):
        if pointer in owned:
            records[pointer] = owned[pointer]
        return text
    records.setdefault(pointer, owned.get(pointer) or {"earlier": raw, "container": True})
    return json_text.put(text, key, {})


def _unfit(
    text: str,
    desired: t.Mapping[str, t.Any],
    owned: KeyRecords,
    path: str,
    only: t.Mapping[str, t.Sequence[str]],
) -> list[Key]:
    """Members that are there, or were before us, and that their object may not have."""
    found: list[Key] = []
    for name, allowed in only.items():
        members = _value(text, (name,), path)
        held = (parse_pointer(pointer) for pointer in owned)
        names = [
            *(members if isinstance(members, dict) else ()),
            *(key[1] for key in held if key[0] == name and key[1:]),
        ]
        mine = desired.get(name) or {}
        found += [(name, member) for member in dict.fromkeys(names) if member not in allowed and member not in mine]
    return found


def _refuse_other_than_strings(text: str, path: str, only: t.Mapping[str, t.Sequence[str]]) -> None:
    for name in only:
        members = _value(text, (name,), path)
        for member, value in members.items() if isinstance(members, dict) else ():
            if not isinstance(value, str):
                raise HostError(
                    f"{path} has {json.dumps(value)} as {name}.{member}, and only strings can be there: write it as "
                    f'"{_as_text(value)}". Nothing was changed.'
                )


def _as_text(value: t.Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _give_back(text: str, key: Key, record: t.Mapping[str, t.Any], path: str, notes: list[str]) -> str:
    if record["container"] and _value(text, key, path) not in ({}, None):
        return text  # somebody else put keys into our object: it is theirs now
    if len(key) > 1 and not isinstance(_value(text, key[:-1], path), dict):
        return text  # its object is gone, by hand
    if record["earlier"] is None:
        return json_text.drop(text, key)
    if not keeps_type(record):
        value = json.loads(record["earlier"])
        notes.append(
            f"{path} had {record['earlier'].strip()} as {'.'.join(key)} before, which its program refuses, for it is "
            f'no string: "{_as_text(value)}" was given back.'
        )
        return json_text.put(text, key, _as_text(value))
    return json_text.put_raw(text, key, record["earlier"])


def _value(text: str, key: Key, path: str) -> t.Any:
    value: t.Any = json_text.load(text, path)
    for name in key:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value
