# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The GPUs and NVSwitches on the PCI bus, with their generation."""

from __future__ import annotations

import os

from .._gpu import pci
from . import files, generations
from .types import Gpu, Vendor

_BUS = "sys/bus/pci/devices"
_NVIDIA = "0x10de"
_BRIDGE = "0x0680"


def read(root: str) -> dict[Vendor, tuple[Gpu, ...]]:
    """The GPUs by vendor, in the order of their addresses."""
    found: dict[Vendor, list[Gpu]] = {"nvidia": [], "amd": []}
    for device in pci.scan(os.path.join(root, "sys")):
        found[device.vendor].append(
            Gpu(
                pci_address=device.pci_address,
                pci_id=device.pci_id,
                generation=generations.generation(device.pci_id) if device.vendor == "nvidia" else None,
                kernel_driver=device.kernel_driver,
                is_virtual_function=device.is_virtual_function,
            )
        )
    return {vendor: tuple(gpus) for vendor, gpus in found.items()}


def nvswitches(root: str) -> int:
    """Up to the fourth generation an NVSwitch is on the PCI bus."""
    bus = os.path.join(root, _BUS)
    return sum(
        (_attribute(bus, name, "vendor"), _attribute(bus, name, "class")[: len(_BRIDGE)]) == (_NVIDIA, _BRIDGE)
        for name in files.names(root, _BUS)
    )


def _attribute(bus: str, device: str, name: str) -> str:
    try:
        with open(os.path.join(bus, device, name), encoding="ascii") as source:
            return source.read().strip().lower()
    except OSError:
        # The device went away while we were reading.
        return ""
