# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Maps of a running worker, brought to what their files say, at once and without another worker."""

from __future__ import annotations

import re
import typing as t

from .._errors import HostError
from .cli import Cli, silent

# The worker reads a command with its payload into one buffer, of tune.bufsize: 16 KiB unless set.
_PAYLOAD = 8000
_NEW = re.compile(r"New version created: (\d+)")
Entry = tuple[str, str]


def entries(text: str) -> list[Entry]:
    """Of a file, as HAProxy reads it: a key, blanks, and the rest of the line."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return [(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs]


def shown(text: str) -> list[Entry]:
    """Of ``show map``: an address in memory before each."""
    pairs = (line.split(" ", 2) for line in text.splitlines() if line.strip())
    return [(pair[1], pair[2] if len(pair) > 2 else "") for pair in pairs]


def replace(cli: Cli, path: str, desired: t.Sequence[Entry]) -> None:
    """All entries at once: a request sees the old map or the new one."""
    said = cli(f"prepare map {path}")
    match = _NEW.search(said)
    if not match:
        raise HostError(f"HAProxy refuses to prepare the map {path}: {' '.join(said.split())}")
    version = match[1]
    for payload in _payloads(desired, path):
        silent(cli, f"add map @{version} {path}", payload)
    silent(cli, f"commit map @{version} {path}")
    found = shown(cli(f"show map {path}"))
    if sorted(found) != sorted(desired):
        raise HostError(
            f"the map {path} has {len(found)} entries after it was set, not the {len(desired)} of its file: "
            "reload the gateway"
        )


def _payloads(desired: t.Sequence[Entry], path: str) -> t.Iterator[str]:
    lines: list[str] = []
    size = 0
    for key, value in desired:
        line = f"{key} {value}"
        if len(line.encode()) >= _PAYLOAD:
            raise HostError(f"an entry of {path} is longer than {_PAYLOAD} bytes: shorten it")
        if lines and size + len(line.encode()) + 1 > _PAYLOAD:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line.encode()) + 1
    if lines:
        yield "\n".join(lines)
