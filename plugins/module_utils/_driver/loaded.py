# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The driver in the running kernel, and what holds it."""

from __future__ import annotations

import re

from . import files
from .types import Flavour, Loaded, Vendor

_MODULES: dict[Vendor, str] = {"nvidia": "nvidia", "amd": "amdgpu"}
# They take NVIDIA's GPUs.
_OTHERS = ("nouveau", "nova_core", "nova_drm")
_NVRM = re.compile(
    r"^NVRM version: NVIDIA UNIX (?:(Open) Kernel Module for \S+|\S+ Kernel Module)\s+([\d.]+)", re.MULTILINE
)


def read(root: str, vendor: Vendor | None) -> Loaded:
    if vendor is None:
        return Loaded()
    name = _MODULES[vendor]
    told = _told(root) if vendor == "nvidia" else None
    if told is None and not _is_loaded(root, name):
        return Loaded()
    flavour: Flavour | None = None
    if told:
        flavour = "open" if told.group(1) else "proprietary"
    version = told.group(2) if told else (files.read(root, "sys/module", name, "version") or "").strip() or None
    dependents = _dependents(root, name)
    return Loaded(name, version, flavour, dependents, _held(root, (*dependents, name)))


def nvidia_version(root: str) -> str | None:
    """Of the driver that answers; None without one."""
    told = _told(root)
    return told.group(2) if told else None


def _told(root: str) -> re.Match[str] | None:
    return _NVRM.search(files.read(root, "proc/driver/nvidia/version") or "")


def others(root: str, vendor: Vendor | None) -> tuple[str, ...]:
    return tuple(name for name in _OTHERS if vendor == "nvidia" and _is_loaded(root, name))


def _is_loaded(root: str, name: str) -> bool:
    """What is built into the kernel has a folder too, and no state."""
    return files.exists(root, "sys/module", name, "initstate") or files.exists(root, "sys/module", name, "refcnt")


def _dependents(root: str, name: str) -> tuple[str, ...]:
    """The modules that need it, at first or second hand: those that nothing needs come first."""
    order: list[str] = []

    def visit(module: str) -> None:
        for holder in files.names(root, "sys/module", module, "holders"):
            if holder not in order:
                visit(holder)
                order.append(holder)

    visit(name)
    return tuple(order)


def _held(root: str, modules: tuple[str, ...]) -> int | None:
    """References that come from no module: each holder has one."""
    total = 0
    for module in modules:
        count = (files.read(root, "sys/module", module, "refcnt") or "").strip()
        if not count.isdigit():
            return None
        total += max(0, int(count) - len(files.names(root, "sys/module", module, "holders")))
    return total
