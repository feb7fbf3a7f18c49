# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads all that there is to know about the driver of a host. Changes nothing."""

from __future__ import annotations

import json
import os
import typing as t

from .._errors import HostError
from .._runner import Runner
from . import boot, device_holders, fabric, files, gpus, kernels, loaded, modules, packages, secure_boot, unattended
from .types import Disruption, Package, State, Vendor


def collect(
    run: Runner, *, vendor: t.Literal["auto", "nvidia", "amd"] = "auto", root: str = "/", timeout_s: float = 30
) -> State:
    """Ask the PCI bus, the kernel, the package manager, DKMS and the firmware; ``timeout_s`` bounds each command."""
    if timeout_s <= 0:
        # To timeout(1), 0 means no limit at all.
        raise HostError(f"timeout_s must be more than 0, and is {timeout_s}", timeout_s=timeout_s)
    devices = gpus.read(root)
    found = packages.read(root, run, timeout_s)
    listed: dict[Vendor, tuple[Package, ...]] = {"nvidia": found.nvidia, "amd": found.amd}
    maker = _vendor(devices, listed) if vendor == "auto" else vendor
    installed, mismatches = (
        packages.compare(listed[maker], maker, modules.chosen(root, maker)) if maker else packages.NOTHING
    )
    releases = kernels.installed(root)
    next_kernel, rule = boot.next_kernel(root, releases)
    secure = secure_boot.read(root, run, timeout_s)
    nvswitches = gpus.nvswitches(root) if maker == "nvidia" else 0
    return State(
        vendor=maker,
        gpus=devices[maker] if maker else (),
        nvswitches=nvswitches,
        installed=installed,
        loaded=loaded.read(root, maker),
        kernels=kernels.read(root, maker, releases, next_kernel, run, timeout_s),
        kernel_packages=found.kernels,
        running_kernel=kernels.running(root),
        next_kernel=next_kernel,
        next_kernel_rule=rule,
        secure_boot=secure,
        mok=secure_boot.mok(root, run, timeout_s, has_uefi=secure != "unsupported"),
        other_drivers=loaded.others(root, maker),
        users=device_holders.read(root, maker),
        excluded_from_unattended=unattended.read(root, installed.packages, run, timeout_s),
        fabric_manager=fabric.read(root, nvswitches, installed.packages, run, timeout_s),
        mismatches=mismatches,
        boot_id=(files.read(root, "proc/sys/kernel/random/boot_id") or "").strip() or None,
        architecture=os.uname().machine,
        disruption=_disruption(root),
    )


def _disruption(root: str) -> Disruption | None:
    text = files.read(root, "var/lib/mlops.hosts/gpu_driver.disruption.json")
    if text is None:
        return None
    try:
        noted = json.loads(text)
        return Disruption(noted["boot_id"], tuple(noted["reasons"]))
    except (ValueError, LookupError, TypeError):
        # Cut off in the middle: that there was one is known, and why is not.
        return Disruption()


def _vendor(devices: t.Mapping[Vendor, t.Sized], listed: t.Mapping[Vendor, t.Sized]) -> Vendor | None:
    """What the PCI bus shows, else what is installed. NVIDIA on a host with both: the other is often a display."""
    vendors: tuple[Vendor, ...] = ("nvidia", "amd")
    return next((maker for seen in (devices, listed) for maker in vendors if seen[maker]), None)
