# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""GPUs on the PCI bus, from sysfs. Needs no driver and starts no program."""

from __future__ import annotations

import os
import re

from .types import PciDevice, Vendor

_VENDORS: dict[str, Vendor] = {"10de": "nvidia", "1002": "amd"}
# Base class and subclass: 0300 VGA controller, 0302 3D controller (data-centre boards), 0380 other display controller,
# 1200 processing accelerator (Instinct MI300 and newer). An NVSwitch is 0680, the audio function of a board 0403.
_CLASSES: dict[Vendor, tuple[str, ...]] = {"nvidia": ("0300", "0302"), "amd": ("0300", "0302", "0380", "1200")}
# Under this driver a GPU is of use to programs on the host.
KERNEL_DRIVERS: dict[Vendor, str] = {"nvidia": "nvidia", "amd": "amdgpu"}

ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", re.IGNORECASE)


def normal_address(text: str | None) -> str | None:
    """A PCI address as sysfs writes it, ``0000:1a:00.0``: nvidia-smi has domains of eight digits and capital letters.

    None for what is not a PCI address.
    """
    found = ADDRESS.fullmatch((text or "").strip())
    if not found:
        return None
    domain, bus, device, function = found.groups()
    return f"{int(domain or '0', 16):04x}:{bus}:{device}.{function}".lower()


def scan(sysfs_root: str = "/sys") -> tuple[PciDevice, ...]:
    """The GPUs of known vendors, in the order of their addresses. None where the host has no PCI bus."""
    bus = os.path.join(sysfs_root, "bus", "pci", "devices")
    try:
        names = os.listdir(bus)
    except FileNotFoundError:
        return ()
    found = (_device(os.path.join(bus, name), name) for name in names)
    return tuple(sorted((device for device in found if device), key=lambda device: address_order(device.pci_address)))


def address_order(address: str | None) -> tuple[int, ...]:
    """A key that sorts addresses as numbers, and a GPU without one last."""
    if address is None:
        return (1,)
    return (0, *(int(part, 16) for part in re.split(r"[:.]", address)))


def _device(path: str, name: str) -> PciDevice | None:
    address = normal_address(name)
    vendor = _VENDORS.get(_attribute(path, "vendor"))
    if address is None or vendor is None or _attribute(path, "class")[:4] not in _CLASSES[vendor]:
        return None
    driver = os.path.join(path, "driver")
    return PciDevice(
        vendor=vendor,
        pci_address=address,
        pci_id=f"{_attribute(path, 'vendor')}:{_attribute(path, 'device')}",
        kernel_driver=os.path.basename(os.readlink(driver)) if os.path.islink(driver) else None,
        # A virtual function that was passed into a guest has no such link there: to the guest it is simply its GPU.
        is_virtual_function=os.path.lexists(os.path.join(path, "physfn")),
    )


def _attribute(path: str, name: str) -> str:
    """An attribute such as "0x10de" without its prefix; empty when the device went away while we were reading."""
    try:
        with open(os.path.join(path, name), encoding="ascii") as file:
            text = file.read().strip().lower()
    except FileNotFoundError:
        return ""
    return text[2:] if text.startswith("0x") else text
