# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Processes that have a device of the driver open."""

from __future__ import annotations

import os
import re

from . import files
from .types import User, Vendor

_DEVICES: dict[Vendor, re.Pattern[str]] = {
    "nvidia": re.compile(r"/dev/nvidia"),
    "amd": re.compile(r"/dev/kfd$|/dev/dri/render"),
}


def read(root: str, vendor: Vendor | None) -> tuple[User, ...] | None:
    """None without root, to whom alone the kernel shows all processes."""
    if vendor is None:
        return ()
    pids = sorted(int(name) for name in files.names(root, "proc") if name.isdigit())
    try:
        return tuple(User(pid, _name(root, pid)) for pid in pids if _uses(root, pid, _DEVICES[vendor]))
    except PermissionError:
        return None


def _uses(root: str, pid: int, devices: re.Pattern[str]) -> bool:
    folder = os.path.join(root, "proc", str(pid), "fd")
    try:
        for name in os.listdir(folder):
            if devices.match(os.readlink(os.path.join(folder, name))):
                return True
    except PermissionError:
        raise
    except OSError:
        pass  # it ended meanwhile
    return False


def _name(root: str, pid: int) -> str | None:
    return (files.read(root, "proc", str(pid), "comm") or "").strip() or None
