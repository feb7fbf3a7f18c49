# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The entries of a unit's file, as systemd.syntax(7) has them."""

from __future__ import annotations

import re
import typing as t

SPACE = " \t\r\n"


def entries(text: str) -> t.Iterator[tuple[str, str, str]]:
    """Section, key and value of each entry; lines that are continued are joined, and quotes are kept."""
    section, line = "", ""
    for raw in [*re.split(r"\r\n|[\r\n]", text), ""]:
        if raw.lstrip(SPACE)[:1] in ("#", ";"):
            continue
        # Of two at the end, one guards the other.
        if (len(raw) - len(raw.rstrip("\\"))) % 2:
            line += f"{raw[:-1]} "
            continue
        line = (line + raw).strip(SPACE)
        key, equals, value = line.partition("=")
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif equals:
            yield section, key.rstrip(SPACE), value.lstrip(SPACE)
        line = ""
