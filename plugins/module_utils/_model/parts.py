# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether a model that comes in several files has all of them: without one, a server does not load it. Pure."""

from __future__ import annotations

import json
import posixpath
import re
import typing as t

INDEX = ".safetensors.index.json"
# As llama.cpp calls them.
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


def missing_of_gguf(paths: t.Collection[str]) -> list[str]:
    """Parts of split GGUF files of which another part is among ``paths``."""
    splits = {(found["stem"], found["count"]) for found in map(_PART.fullmatch, paths) if found}
    desired = (
        f"{stem}-{number:05}-of-{count}.gguf" for stem, count in sorted(splits) for number in range(1, int(count) + 1)
    )
    return [path for path in desired if path not in paths]


def missing_of_index(path: str, content: bytes, paths: t.Collection[str]) -> list[str]:
    """Shards that an index of safetensors at ``path`` names and ``paths`` has not. None of one that cannot be read."""
    try:
        names = {str(name) for name in json.loads(content)["weight_map"].values()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
    folder = posixpath.dirname(path)
    return sorted({posixpath.join(folder, name) for name in names} - {*paths})
