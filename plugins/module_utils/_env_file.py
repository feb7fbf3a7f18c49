# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Files of environment variables as systemd reads them: EnvironmentFile= in systemd.exec(5), and os-release(5)."""

from __future__ import annotations

_SPACE = " \t\r\n"
_LINE_END = "\r\n"
# What a backslash takes the meaning from between double quotes.
_ESCAPED = '"\\`$'


def parse(text: str) -> dict[str, str]:
    """Values by name. The last one counts of a name that is there twice; lines without ``=`` are passed over."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        line = text[at:].partition("\n")[0].partition("\r")[0]
        # A name has one character at least.
        begin = len(line) - len(line.lstrip(_SPACE))
        equals = line.find("=", begin + 1)
        if equals > 0 and line[begin] not in "#;":
            found[line[begin:equals].rstrip(_SPACE)], at = _read_value(text, at + equals + 1)
        else:
            at += len(line) + 1
    return found


def assignment(name: str, value: str) -> str:
    """A line that is read as this value, whatever characters are in it."""
    guarded = "".join(f"\\{char}" if char in _ESCAPED else char for char in value)
    return f'{name}="{guarded}"'


def _read_value(text: str, at: int) -> tuple[str, int]:
    """The value that begins at an index, and the index after it."""
    value = ""
    # Spaces at the end are no part of it; those before this length are.
    kept = 0
    unquoted = False
    while at < len(text) and text[at] not in _LINE_END:
        char = text[at]
        at += 1
        if char == "\\":
            value += text[at : at + 1].strip(_LINE_END)
            at += 1
            unquoted = True
        elif not unquoted and char in "'\"":
            quoted, at = _read_quoted(text, at, char)
            value += quoted
        elif unquoted or char not in _SPACE:
            value += char
            unquoted = True
            if char in _SPACE:
                continue
        else:
            continue
        kept = len(value)
    return value[:kept], at


def _read_quoted(text: str, at: int, quote: str) -> tuple[str, int]:
    """What stands up to the closing quote, over several lines too, and the index after that."""
    value = ""
    while at < len(text) and text[at] != quote:
        if quote == '"' and text[at] == "\\":
            escaped = text[at + 1 : at + 2]
            value += escaped if escaped in tuple(_ESCAPED) else "" if escaped == "\n" else f"\\{escaped}"
            at += 2
        else:
            value += text[at]
            at += 1
    return value, at + 1
