# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the GPU tests share: captures of real hosts, synthetic output, and a PCI tree."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

# Real captures that lie next to the repository and are not part of it. Without them their tests are skipped.
CAPTURES = pathlib.Path(__file__).resolve().parents[6] / "shared" / "fixtures"
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures of real hosts are not on this machine")

QUERY, LIST = ("nvidia-smi", "-q", "-x"), ("nvidia-smi", "-L")


def capture(name: str) -> str:
    return (CAPTURES / name).read_text()


def section(name: str, title: str) -> str:
    """The output of one command from a ``*.capture.txt``: under titles such as "idle :: query (-q)"."""
    rule = "#" * 80
    heading = rf"^{rule}\n# {re.escape(title)}\n(?:# \$[^\n]*\n)?{rule}\n"
    found = re.search(rf"{heading}(.*?)(?=^{rule}$|\Z)", capture(name), re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r} in {name}"
    return found.group(1).rstrip("\n") + "\n"


def ended(argv: tuple[str, ...], rc: int, stdout: str = "", stderr: str = "", *, timed_out: bool = False) -> Completed:
    return Completed(argv, rc, stdout, stderr, timed_out)


def synthetic_gpu(address: str = "00000000:1A:00.0", body: str = "", uuid: str = "GPU-1") -> str:
    """One <gpu> of no real host: only the elements that a test is about."""
    return (
        f'<gpu id="{address}"><uuid>{uuid}</uuid>{body}'
        f"<pci><pci_bus_id>{address}</pci_bus_id><pci_device_id>233010DE</pci_device_id></pci></gpu>"
    )


def synthetic_log(*gpus: str, head: str = "<driver_version>580.105.08</driver_version>") -> str:
    """The XML of ``nvidia-smi -q -x`` of no real host."""
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>'
        f"{head}<attached_gpus>{len(gpus)}</attached_gpus>{''.join(gpus)}</nvidia_smi_log>\n"
    )


def pci_device(
    root: pathlib.Path, address: str, vendor: str, device: str, pci_class: str, driver: str = "", physfn: str = ""
) -> None:
    """One device in a sysfs tree, with the links that the kernel makes: devices are links, as are driver and physfn."""
    real = root / "devices" / "pci0000:00" / address
    real.mkdir(parents=True)
    for name, value in {"vendor": vendor, "device": device, "class": pci_class}.items():
        (real / name).write_text(f"0x{value}\n")
    if driver:
        module = root / "bus" / "pci" / "drivers" / driver
        module.mkdir(parents=True, exist_ok=True)
        (real / "driver").symlink_to(module)
    if physfn:
        (real / "physfn").symlink_to(f"../{physfn}")
    bus = root / "bus" / "pci" / "devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / address).symlink_to(real)
