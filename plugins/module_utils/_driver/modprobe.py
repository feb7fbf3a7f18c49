# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""How modprobe is configured, by modprobe.d(5). ``modprobe --showconfig`` would add the aliases of all modules."""

from __future__ import annotations

import os.path
import typing as t

from . import files

# The first one that has a file of a name counts; the files are then read by their names.
_DIRECTORIES = ("etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")


def instead_of(root: str, module: str, *more: str) -> str | None:
    """The module with a longer name that is loaded when this one is asked for: by an alias, or by an ``install`` that
    calls modprobe.

    ``more`` are directories that are read after modprobe's own.
    """
    for words in _commands(root, more):
        is_alias = words[:2] == ["alias", module]
        calls = words[:2] == ["install", module] and [os.path.basename(word) for word in words[2:3]] == ["modprobe"]
        for word in words[2:] if is_alias or calls else []:
            if word.startswith(f"{module}-"):
                return word
    return None


def _commands(root: str, more: t.Sequence[str]) -> t.Iterator[list[str]]:
    configured: dict[str, str] = {}
    for directory in _DIRECTORIES:
        for name in files.names(root, directory):
            configured.setdefault(name, directory)
    paths = [(configured[name], name) for name in sorted(configured)]
    paths += [(directory, name) for directory in more for name in files.names(root, directory)]
    for directory, name in paths:
        if name.endswith(".conf"):
            text = (files.read(root, directory, name) or "").replace("\\\n", "")
            yield from (line.split() for line in text.splitlines() if line.strip() and line[0] != "#")
