# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Environment markers of requirements, such as ``python_version < "3.12" and sys_platform == "linux"``.

The subset of PEP 508 that requirement sets are made with, since a host's Python has no module that reads them.
"""

from __future__ import annotations

import operator
import re
import typing as t

from .._errors import HostError

# Of an interpreter, by the names that markers use. ``extra`` is never set in a requirement set.
VARIABLES = (
    "extra",
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
_VERSIONS = {"implementation_version", "python_full_version", "python_version"}
_TOKEN = re.compile(r"""\s*(\(|\)|'[^']*'|"[^"]*"|[a-z_]+|~=|==|!=|[<>]=?)""")
_VERSION = re.compile(r"\d+(?:\.\d+)*")
_Compare = t.Callable[[t.Any, t.Any], bool]
_ORDER: dict[str, _Compare] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT: dict[str, _Compare] = {
    **_ORDER,
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
}


def check(marker: str) -> None:
    """HostError for a marker that cannot be read."""
    applies(marker, dict.fromkeys(VARIABLES, "0"))


def applies(marker: str, variables: t.Mapping[str, str]) -> bool:
    """Whether a requirement with this marker is for an interpreter with these variables."""
    tokens = _tokens(marker)
    found = _any(tokens, variables, marker)
    if tokens:
        raise _unreadable(marker)
    return found


def _unreadable(marker: str) -> HostError:
    return HostError(f"the marker {marker!r} cannot be read; write it as PEP 508 has it")


def _tokens(marker: str) -> list[str]:
    found, place = [], 0
    while place < len(marker.rstrip()):
        match = _TOKEN.match(marker, place)
        if match is None:
            raise _unreadable(marker)
        found.append(match[1])
        place = match.end()
    return found


def _any(tokens: list[str], variables: t.Mapping[str, str], marker: str) -> bool:
    found = _all(tokens, variables, marker)
    while tokens[:1] == ["or"]:
        tokens.pop(0)
        found |= _all(tokens, variables, marker)
    return found


def _all(tokens: list[str], variables: t.Mapping[str, str], marker: str) -> bool:
    found = _one(tokens, variables, marker)
    while tokens[:1] == ["and"]:
        tokens.pop(0)
        found &= _one(tokens, variables, marker)
    return found


def _one(tokens: list[str], variables: t.Mapping[str, str], marker: str) -> bool:
    if tokens[:1] == ["("]:
        tokens.pop(0)
        found = _any(tokens, variables, marker)
        if tokens[:1] != [")"]:
            raise _unreadable(marker)
        tokens.pop(0)
        return found
    if tokens[1:3] == ["not", "in"]:
        tokens[1:3] = ["not in"]
    if len(tokens) < 3:
        raise _unreadable(marker)
    left, comparison, right = tokens[:3]
    del tokens[:3]
    values = []
    for word in (left, right):
        if word not in VARIABLES and word[0] not in "'\"":
            raise _unreadable(marker)
        values.append(variables[word] if word in VARIABLES else word[1:-1])
    if _VERSIONS & {left, right} and comparison in (*_ORDER, "~="):
        return _compare_versions(values[0], comparison, values[1], marker)
    if comparison not in _TEXT:
        raise _unreadable(marker)
    return _TEXT[comparison](*values)


def _compare_versions(left: str, comparison: str, right: str, marker: str) -> bool:
    have, desired = ([int(part) for part in _number(text, marker).split(".")] for text in (left, right))
    if right.endswith(".*") and comparison in ("==", "!="):
        return _ORDER[comparison](_padded(have, desired)[: len(desired)], desired)
    if comparison == "~=":
        most = len(desired) - 1
        return _padded(have, desired) >= _padded(desired, have) and _padded(have, desired)[:most] == desired[:most]
    return _ORDER[comparison](_padded(have, desired), _padded(desired, have))


def _number(text: str, marker: str) -> str:
    match = _VERSION.match(text)
    if match is None:
        raise _unreadable(marker)
    return match[0]


def _padded(version: list[int], other: list[int]) -> list[int]:
    return version + [0] * (len(other) - len(version))
