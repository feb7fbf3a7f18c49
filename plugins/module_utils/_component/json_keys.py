# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Keys that a component owns inside a JSON file which others use too."""

from __future__ import annotations

import dataclasses
import typing as t

from . import json_text
from .json_text import Key

Claims = dict[str, dict[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class KeyDrift:
    """``want`` None with ``gone`` true: the key is given up; then ``want`` is the earlier value."""

    pointer: str
    want: t.Any
    have: t.Any


@dataclasses.dataclass(frozen=True)
class Merged:
    """The text with the wanted keys in it, the claims on them, and what differed."""

    text: str
    claims: Claims
    drift: tuple[KeyDrift, ...]


def merge(text: str, wanted: t.Mapping[str, t.Any], owned: Claims, path: str) -> Merged:
    """Put the wanted keys into the text, and give back those that are owned but no longer wanted.

    ``owned`` maps a pointer to ``{"earlier": text of the value before us or null, "container": bool}``. A container is
    an object that we made only to hold our keys.
    """
    json_text.load(text, path)
    leaves = dict(_leaves(wanted))
    claims: Claims = {}
    drift: list[KeyDrift] = []
    kept = {pointer for key in leaves for pointer in _prefixes(key)}
    given_up = [pointer for pointer in owned if pointer not in kept]
    for pointer in sorted(given_up, key=lambda item: item.count("/"), reverse=True):
        key = parse_pointer(pointer)
        have = _value(text, key, path)
        text = _give_back(text, key, owned[pointer], path)
        if not owned[pointer]["container"]:
            drift.append(KeyDrift(pointer, _value(text, key, path), have))
    for key, value in leaves.items():
        for depth in range(1, len(key)):
            text = _open_container(text, key[:depth], owned, claims, path)
        pointer = make_pointer(key)
        raw = json_text.raw(text, key)
        claims[pointer] = {"earlier": owned[pointer]["earlier"] if pointer in owned else raw, "container": False}
        have = _value(text, key, path)
        if raw is None or not json_text.same(have, value):
            drift.append(KeyDrift(pointer, value, have))
            text = json_text.put(text, key, value)
    return Merged(text, claims, tuple(drift))


def conflict(mine: t.Iterable[str], theirs: t.Mapping[str, t.Mapping[str, t.Any]]) -> str | None:
    """The first pointer that two components claim, one of them perhaps as part of a larger value."""
    leaves = [pointer for pointer, claim in theirs.items() if not claim["container"]]
    for pointer in mine:
        for other in leaves:
            if pointer == other or pointer.startswith(other + "/") or other.startswith(pointer + "/"):
                return pointer
    return None


def pointers(wanted: t.Mapping[str, t.Any]) -> list[str]:
    """The pointers (RFC 6901) of all keys that the wanted value owns."""
    return [make_pointer(key) for key, _value in _leaves(wanted)]


def make_pointer(key: Key) -> str:
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in key)


def parse_pointer(pointer: str) -> Key:
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:])


def _leaves(wanted: t.Mapping[str, t.Any], parent: Key = ()) -> t.Iterator[tuple[Key, t.Any]]:
    for name, value in wanted.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*parent, name))
        else:
            yield (*parent, name), value


def _prefixes(key: Key) -> list[str]:
    return [make_pointer(key[: depth + 1]) for depth in range(len(key))]


def _open_container(text: str, key: Key, owned: Claims, claims: Claims, path: str) -> str:
    """Make sure that there is an object at the key; what stood there instead is claimed."""
    pointer = make_pointer(key)
    raw = json_text.raw(text, key)
    if raw is not None and isinstance(_value(text, key, path), dict):
        if pointer in owned:
            claims[pointer] = owned[pointer]
        return text
    claims.setdefault(pointer, owned.get(pointer) or {"earlier": raw, "container": True})
    return json_text.put(text, key, {})


def _give_back(text: str, key: Key, claim: t.Mapping[str, t.Any], path: str) -> str:
    if claim["container"] and _value(text, key, path) not in ({}, None):
        return text  # somebody else put keys into our object: it is theirs now
    if len(key) > 1 and not isinstance(_value(text, key[:-1], path), dict):
        return text  # its object is gone, by hand
    if claim["earlier"] is None:
        return json_text.drop(text, key)
    return json_text.put_raw(text, key, claim["earlier"])


def _value(text: str, key: Key, path: str) -> t.Any:
    value: t.Any = json_text.load(text, path)
    for name in key:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value
