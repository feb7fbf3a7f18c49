# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Differences as text."""

from __future__ import annotations

import json
import typing as t

# What stands in the place of a value that is not there.
NOTHING = "nothing"


def value(found: t.Any) -> str:
    """A desired or found value as a person writes it."""
    if found is None:
        return NOTHING
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True)


def difference(row: t.Mapping[str, t.Any]) -> str:
    """One drift row as a line."""
    kind, attribute = (str(row[key]).replace("_", " ") for key in ("kind", "attribute"))
    return f"{kind} {row['item']}: {attribute} is {value(row['have'])}, desired {value(row['want'])}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def some(names: t.Sequence[str], most: int = 10) -> str:
    """``a, b and 7 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
