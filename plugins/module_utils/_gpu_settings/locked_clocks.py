# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which clocks we have locked: the one setting that no driver tells back.

A lock lasts as long as the driver keeps the GPU initialised. So a record counts for the same boot and the same load of
the kernel module only; a new load gives /sys/module/nvidia another inode.
"""

from __future__ import annotations

import json
import os
import typing as t

from .. import _text_file

RECORD = "run/mlops.hosts/gpu_clocks.json"

Locks = dict[str, dict[str, list[int]]]


def load(root: str = "/") -> str:
    """What identifies this boot and this load of the module."""
    try:
        with open(os.path.join(root, "proc/sys/kernel/random/boot_id"), encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        boot = ""
    try:
        module = os.stat(os.path.join(root, "sys/module/nvidia")).st_ino
    except OSError:
        module = 0
    return f"{boot}/{module}"


def read(root: str = "/") -> Locks:
    """Clocks that were locked in this boot and load, by UUID and setting. A damaged record is no record."""
    try:
        with open(os.path.join(root, RECORD), encoding="utf-8") as file:
            record = json.load(file)
        if record["load"] == load(root):
            return {str(uuid): dict(clocks) for uuid, clocks in record["gpus"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {}


def write(locks: Locks, root: str = "/") -> None:
    """Keep them; whole or not at all."""
    path = os.path.join(root, RECORD)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    _text_file.write(path, json.dumps({"load": load(root), "gpus": locks}, sort_keys=True), mode=0o600)


def remove(uuids: t.Iterable[str] | None = None, root: str = "/") -> None:
    """The GPUs were reset, or nobody kept them initialised. Without ``uuids``: all of them."""
    locks = read(root)
    if not locks:
        return
    gone = set(locks) if uuids is None else set(uuids)
    write({uuid: clocks for uuid, clocks in locks.items() if uuid not in gone}, root)
