# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""CDI specifications as the toolkits write them, read where there is no parser of YAML.

That is JSON, and YAML in blocks without anything but mappings, lists and scalars on a line. Of any other text nobody
says anything here: the module cdi_info reads it.
"""

from __future__ import annotations

import json
import re
import typing as t

from . import spec
from .files import SpecFile

# A list begins at the indent of its key or deeper.
_LINE = re.compile(r"( *)((?:- +)*)(.*)")
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*):(?: +(.*))?")
_PLAIN = re.compile(r"[A-Za-z0-9/._+=@~-](?:[^:#]|:(?=\S)|(?<=\S)#)*")
# Not texts to YAML, or not always; CDI has none where a text is read.
_EMPTY: dict[str, t.Any] = {"{}": {}, "[]": [], "null": None, "~": None, "": None}
_Rows = list[tuple[int, str]]


def parse(file: SpecFile) -> spec.Spec:
    """SpecError for a text that is not of these."""
    if file.problem:
        raise spec.SpecError(file.problem)
    if file.text.lstrip().startswith("{"):
        try:
            return spec.of(file.path, json.loads(file.text, object_pairs_hook=_once))
        except ValueError as exc:
            raise spec.SpecError(f"it is not valid JSON: {exc}") from exc
    return spec.of(file.path, load(file.text))


def load(text: str) -> t.Any:
    """Texts for all scalars but null. SpecError for what is not in blocks."""
    rows = _rows(text)
    if not rows:
        return None
    found, rest = _value(rows, rows[0][0])
    if rest:
        raise spec.SpecError(f"'{rest[0][1]}' is no YAML in blocks")
    return found


def _once(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise spec.SpecError("a key is there twice")
    return found


def _rows(text: str) -> _Rows:
    """Indents and texts of lines; a list item is a line of its own, and what is on its line is another, deeper one."""
    rows: _Rows = []
    for number, line in enumerate(text.split("\n")):
        if (line == "---" and not number) or not line.strip(" ") or line.lstrip(" ").startswith("#"):
            continue
        if line.startswith(("---", "...")) or not line.isprintable():
            raise spec.SpecError(f"line {number + 1} is no YAML in blocks")
        blank, dashes, rest = t.cast("re.Match[str]", _LINE.fullmatch(line)).groups()
        indent = len(blank)
        for dash in re.findall("- +", dashes):
            rows.append((indent, "-"))
            indent += len(dash)
        rows.append((indent, rest.rstrip(" ")))
    return rows


def _value(rows: _Rows, indent: int) -> tuple[t.Any, _Rows]:
    if rows[0][1] == "-":
        return _list(rows, indent)
    if _KEY.fullmatch(rows[0][1]):
        return _mapping(rows, indent)
    return _scalar(rows[0][1]), rows[1:]


def _list(rows: _Rows, indent: int) -> tuple[list[t.Any], _Rows]:
    items = []
    while rows and rows[0] == (indent, "-"):
        rows = rows[1:]
        if not rows or rows[0][0] <= indent:
            raise spec.SpecError("an item of a list is empty")
        item, rows = _value(rows, rows[0][0])
        items.append(item)
    return items, rows


def _mapping(rows: _Rows, indent: int) -> tuple[dict[str, t.Any], _Rows]:
    found: dict[str, t.Any] = {}
    while rows and rows[0][0] == indent and rows[0][1] != "-":
        line = _KEY.fullmatch(rows[0][1])
        if not line or line[1] in found:
            raise spec.SpecError(f"'{rows[0][1]}' is no key of a mapping in blocks, or is there twice")
        rows = rows[1:]
        if line[2] is not None:
            found[line[1]] = _scalar(line[2])
        elif rows and (rows[0][0] > indent or rows[0] == (indent, "-")):
            found[line[1]], rows = _value(rows, rows[0][0])
        else:
            found[line[1]] = None
    return found, rows


def _scalar(text: str) -> t.Any:
    if text in _EMPTY:
        return _EMPTY[text]
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except ValueError as exc:
            raise spec.SpecError(f"{text} is no text on one line") from exc
    if re.fullmatch("'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    if _PLAIN.fullmatch(text) and text != "-":
        return text
    raise spec.SpecError(f"'{text}' is no text on one line")
