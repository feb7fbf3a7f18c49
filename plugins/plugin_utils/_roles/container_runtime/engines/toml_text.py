# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Writes TOML, for which Python has a parser only."""

from __future__ import annotations

import json
import re
import typing as t

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render(tree: t.Mapping[str, t.Any], table: tuple[str, ...] = ()) -> str:
    """The tree as TOML: strings, numbers, booleans, lists of these, and tables."""
    values = {name: value for name, value in tree.items() if not isinstance(value, t.Mapping)}
    text = "".join(f"{_key(name)} = {_value(value)}\n" for name, value in values.items())
    if table and text:
        text = f"[{'.'.join(_key(name) for name in table)}]\n{text}"
    return text + "".join(render(tree[name], (*table, name)) for name in tree if name not in values)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _value(value: t.Any) -> str:
    if isinstance(value, t.Mapping):
        return "{" + ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else _string(str(value))


def _string(text: str) -> str:
    # A basic string of TOML has the escapes of JSON, and one character more that needs one.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
