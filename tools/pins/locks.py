# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of Python packages that are pinned by hash, as pip and uv write and read them."""

from __future__ import annotations

import re
import typing as t

_LINE = re.compile(r"([\w.-]+)(?:\[[\w,.-]+\])?==([^\s;]+)")


class Locked(t.NamedTuple):
    name: str
    version: str
    hashes: tuple[str, ...]


def locked(text: str) -> list[Locked]:
    """``hashes`` are of sha256, sorted. What is not pinned to one version has no entry."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if pinned := _LINE.match(line):
            found.append(Locked(pinned[1], pinned[2], tuple(sorted(re.findall(r"--hash=sha256:(\w+)", line)))))
    return found
