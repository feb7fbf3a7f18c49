# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The journal: entries as journalctl gives them, and entries that are written to it.

Native protocol: systemd's docs/JOURNAL_NATIVE_PROTOCOL.md. journald takes a datagram from anybody, and adds the fields
that begin with an underscore itself: those can be trusted, ``_UID`` also for a process that has ended since.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import typing as t

from ._errors import HostError

SOCKET = "/run/systemd/journal/socket"
_CURSOR = re.compile(r"s=([0-9a-f]{32});i=([0-9a-f]+);b=[0-9a-f]{32};m=[0-9a-f]+;t=([0-9a-f]+);x=[0-9a-f]+")
Fields = t.Mapping[str, object]


def argv(*more: str) -> tuple[str, ...]:
    return ("journalctl", "--quiet", "--no-pager", "--output=json", *more)


def entry(raw: bytes | str) -> dict[str, t.Any]:
    """One line of ``--output=json``."""
    try:
        found = json.loads(raw)
    except ValueError as exc:
        raise HostError(f"journalctl must print one JSON object in each line, and printed {raw[:80]!r}") from exc
    if not isinstance(found, dict) or "__CURSOR" not in found:
        raise HostError(f"journalctl must print entries with a cursor, and printed {raw[:80]!r}")
    return found


def text(value: t.Any) -> str:
    """journalctl gives bytes that are no text as a list of numbers, and null in the place of what is too long."""
    if isinstance(value, list):
        numbers = [one for one in value if isinstance(one, int) and 0 <= one < 256]
        return bytes(numbers).decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


class Place(t.NamedTuple):
    """What a cursor says: of which series of numbers, which number in it, when (µs since 1970), and which entry.

    The number of an entry changes when journald moves it from /run to /var; ``entry`` does not.
    """

    series: str
    number: int
    time_us: int
    entry: str
    cursor: str


def place(cursor: str) -> Place:
    """HostError for what is no cursor of the journal."""
    found = _CURSOR.fullmatch(cursor)
    if not found:
        raise HostError(f"{cursor[:200]!r} is no cursor of the journal: take one that was returned before")
    return Place(found[1], int(found[2], 16), int(found[3], 16), cursor.split(";", 2)[2], cursor)


def datagram(fields: Fields) -> bytes:
    """An entry; what is None is left out."""
    parts = []
    for name, value in fields.items():
        if value is None:
            continue
        data = str(value).encode("utf-8", "replace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


class Journal:
    """Writes entries, in order. It waits while journald is busy, and raises OSError where there is none."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    def write(self, fields: Fields) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.settimeout(30)
            to.sendto(datagram(fields), self._path)
