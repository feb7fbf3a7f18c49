# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Joins what the PCI bus shows with what the tools of the vendors tell."""

from __future__ import annotations

import os

from .._errors import HostError
from .._runner import Runner
from . import amd, nvidia, pci
from .report import Report
from .tool import Answer
from .types import Fault, Gpu, PciDevice


def collect(run: Runner, *, sysfs_root: str = "/sys", timeout_s: float = 60) -> Report:
    """Ask the PCI bus and the tools that are installed; ``timeout_s`` bounds each command.

    Raises CommandError when a tool hangs or its answer is not whole.
    """
    if timeout_s <= 0:
        # To timeout(1), 0 means no limit at all.
        raise HostError(f"timeout_s must be more than 0, and is {timeout_s}", timeout_s=timeout_s)
    devices = pci.scan(sysfs_root)
    physical = [device for device in devices if not device.is_virtual_function]
    addresses = [device.pci_address for device in physical if device.vendor == "nvidia"]
    answers = {
        "nvidia": nvidia.read(
            run, addresses, timeout_s=timeout_s, is_loaded=os.path.isdir(os.path.join(sysfs_root, "module", "nvidia"))
        ),
        "amd": amd.read(run, [device for device in devices if device.vendor == "amd"], timeout_s=timeout_s),
    }
    listed = [gpu for answer in answers.values() for gpu in answer.gpus]
    seen = {gpu.pci_address for gpu in listed}
    unlisted = [_unlisted(device, answers[device.vendor]) for device in physical if device.pci_address not in seen]
    # The sort is stable: GPUs without an address keep the order of the tool.
    gpus = sorted((*listed, *unlisted), key=lambda gpu: pci.address_order(gpu.pci_address))
    # A host with both vendors has two drivers; the one that CUDA needs has more ways to be wrong.
    driver = answers["nvidia"].driver if answers["nvidia"].driver.version else answers["amd"].driver
    return Report(tuple(gpus), driver, len(physical))


def _unlisted(device: PciDevice, answer: Answer) -> Gpu:
    """A GPU of the PCI bus that no tool lists. With its driver bound and no tool to ask, we only do not know."""
    why = answer.notes.get(device.pci_address, answer.why_unlisted)
    is_unknown = not answer.is_tool_installed and device.kernel_driver == pci.KERNEL_DRIVERS[device.vendor]
    bound = (
        f"bound to the kernel driver {device.kernel_driver}" if device.kernel_driver else "not bound to a kernel driver"
    )
    if is_unknown:
        reason = f"The state of the GPU is not known: {why}. The device is {bound}."
    else:
        reason = f"The GPU is on the PCI bus, but its driver does not offer it: {why}. The device is {bound}."
    return Gpu(
        vendor=device.vendor,
        pci_address=device.pci_address,
        pci_id=device.pci_id,
        faults=(Fault(reason, is_fatal=not is_unknown),),
    )
