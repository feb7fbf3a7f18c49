# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""How large the weights of a model are, from the heads of its safetensors. Reads, never writes; no weight is read."""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import typing as t

_INDEX = "model.safetensors.index.json"
# The same weights once more, as some makers lay them beside those for everybody.
_CONSOLIDATED = "consolidated"
_LARGEST_HEAD = 100 * 1024 * 1024  # as the reference implementation has it
# Servers load these with 16 bits unless they are told otherwise.
_WIDE = {"F64": 8, "F32": 4}


@dataclasses.dataclass(frozen=True)
class Weights:
    """``size_bytes``: as they lie in the files; ``narrow_bytes``: with 16 bits for each number of 32 and 64. None where
    the path has none that can be read."""

    path: str
    size_bytes: int | None = None
    narrow_bytes: int | None = None


def weights(path: str) -> Weights:
    """Of a directory with safetensors. Root may be kept from reading it, as by a server of NFS: that is no trouble of
    those who ask."""
    found = [_of_file(name) for name in _files(path)]
    if not found or None in found:
        return Weights(path)
    whole = t.cast("list[tuple[int, int]]", found)
    return Weights(path, sum(size for size, _narrow in whole), sum(narrow for _size, narrow in whole))


def _files(path: str) -> list[str]:
    """Those that a server loads: the shards of the index, else all."""
    try:
        with open(os.path.join(path, _INDEX), encoding="utf-8") as source:
            return sorted({os.path.join(path, name) for name in json.load(source)["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        found = sorted(glob.glob(os.path.join(glob.escape(path), "*.safetensors")))
        return [name for name in found if not os.path.basename(name).startswith(_CONSOLIDATED)] or found


def _of_file(path: str) -> tuple[int, int] | None:
    try:
        with open(path, "rb") as source:
            length = int.from_bytes(source.read(8), "little")
            if length > _LARGEST_HEAD:
                return None
            head = json.loads(source.read(length))
        tensors = [entry for name, entry in head.items() if name != "__metadata__"]
        sizes = [(entry["dtype"], entry["data_offsets"][1] - entry["data_offsets"][0]) for entry in tensors]
        return sum(size for _kind, size in sizes), sum(size * 2 // _WIDE.get(kind, 2) for kind, size in sizes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
