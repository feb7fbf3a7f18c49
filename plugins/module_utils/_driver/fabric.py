# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The fabric manager, without which GPUs that are joined by NVSwitches do not work."""

from __future__ import annotations

import typing as t

from .._runner import Runner
from . import files, versions
from .packages import FABRIC_MANAGER
from .types import FabricManager, Package

_UNIT = "nvidia-fabricmanager.service"


def read(root: str, nvswitches: int, packages: t.Iterable[Package], run: Runner, timeout_s: float) -> FabricManager:
    """One process, where it is installed."""
    needed = nvswitches > 0 or _has_nvlink5(root)
    for package in packages:
        if FABRIC_MANAGER.match(package.name) and package.state not in ("config_files", "not_installed"):
            said = run("systemctl", "is-active", _UNIT, timeout_s=timeout_s).stdout.strip()
            return FabricManager(needed, versions.upstream(package.version), said == "active" if said else None)
    return FabricManager(needed)


def _has_nvlink5(root: str) -> bool:
    """From the fifth generation on the switches are reached over InfiniBand, by devices that say so in their VPD."""
    devices = files.names(root, "sys/class/infiniband")
    return any("SW_MNG" in (files.read(root, "sys/class/infiniband", name, "device/vpd") or "") for name in devices)
