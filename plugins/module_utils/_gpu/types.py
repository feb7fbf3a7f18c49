# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is known about the GPUs of a host. Field names are the keys that ``gpu_info`` returns."""

from __future__ import annotations

import dataclasses
import typing as t

Vendor = t.Literal["nvidia", "amd"]
Health = t.Literal["ok", "degraded", "failed"]


@dataclasses.dataclass(frozen=True)
class PciDevice:
    """A GPU as the PCI bus shows it, with or without a driver.

    ``kernel_driver`` is the driver bound to it, None for none. ``is_virtual_function`` is true for an SR-IOV function
    whose physical function belongs to the same host.
    """

    vendor: Vendor
    pci_address: str
    pci_id: str
    kernel_driver: str | None = None
    is_virtual_function: bool = False


@dataclasses.dataclass(frozen=True)
class MigDevice:
    """A compute instance inside a MIG slice. ``memory_mib`` is shared by the compute instances of one GPU instance."""

    profile: str | None
    uuid: str | None
    gpu_instance_id: int | None
    compute_instance_id: int | None
    memory_mib: int | None


@dataclasses.dataclass(frozen=True)
class Process:
    """A program that uses the GPU, or with ``gpu_instance_id`` a slice of it.

    ``name`` never holds arguments: they can be secrets.
    """

    pid: int
    name: str | None
    memory_mib: int | None
    gpu_instance_id: int | None = None


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing that is wrong: a sentence, whether the GPU must not be used because of it, and whether it is memory."""

    reason: str
    is_fatal: bool = False
    is_memory: bool = False


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU. What nobody told us is None; ``faults`` holds what has no field of its own but counts for the health."""

    vendor: Vendor
    index: int | None = None
    uuid: str | None = None
    pci_address: str | None = None
    pci_id: str | None = None
    name: str | None = None
    architecture: str | None = None
    memory_total_mib: int | None = None
    persistence_mode: str | None = None
    power_limit_w: float | None = None
    power_limit_min_w: float | None = None
    power_limit_max_w: float | None = None
    clock_max_mhz: int | None = None
    memory_clock_max_mhz: int | None = None
    compute_mode: str | None = None
    ecc_mode: str | None = None
    ecc_pending: str | None = None
    ecc_uncorrected: int | None = None
    remapped_rows_pending: bool | None = None
    pcie_width: int | None = None
    pcie_width_max: int | None = None
    pcie_generation: int | None = None
    pcie_generation_max: int | None = None
    temperature_c: int | None = None
    utilization_percent: int | None = None
    mig_mode: str | None = None
    mig_pending: str | None = None
    mig_devices: tuple[MigDevice, ...] = ()
    virtualization_mode: str | None = None
    recovery_action: str | None = None
    processes: tuple[Process, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclasses.dataclass(frozen=True)
class Driver:
    """The driver that is loaded, and the newest CUDA version it serves (NVIDIA only)."""

    version: str | None = None
    cuda_version: str | None = None
