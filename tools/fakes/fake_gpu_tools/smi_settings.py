# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of nvidia-smi that change a GPU. Each yields what is printed about one GPU, and raises Refused to end."""

from __future__ import annotations

import typing as t

from .answer import IN_USE, INVALID, NOT_SUPPORTED, OTHER, Refused
from .smi_values import switch, watts
from .state import Gpu, Machine

_EARLY = "Terminating early due to previous errors."
_WARNING = "Treating as warning and moving on."
_COMPUTE_MODES = {"0": "Default", "2": "Prohibited", "3": "Exclusive_Process"}
Lines = t.Iterator[str]


def persistence(machine: Machine, gpu: Gpu, value: str) -> Lines:
    desired = _switch(value)
    if gpu.persistence is desired:
        yield f"Persistence mode is already {switch(desired)} for GPU {gpu.address}."
    else:
        gpu.persistence = desired
        yield f"{switch(desired)} persistence mode for GPU {gpu.address}."


def power_limit(machine: Machine, gpu: Gpu, value: str) -> Lines:
    lowest, _default, highest = gpu.kind.power
    try:
        desired = float(value)
    except ValueError:
        raise Refused(INVALID, f"Invalid power limit: {value}") from None
    if not lowest <= desired <= highest:
        raise Refused(
            INVALID,
            f"Provided power limit {watts(desired)} is not a valid power limit which should be between {watts(lowest)} "
            f"and {watts(highest)} for GPU {gpu.address}",
            _EARLY,
        )
    before, gpu.power_w = gpu.power_w, desired
    yield f"Power limit for GPU {gpu.address} was set to {watts(desired)} from {watts(before)}."
    yield from _volatile(gpu)


def compute_mode(machine: Machine, gpu: Gpu, value: str) -> Lines:
    names = {name.upper(): name for name in _COMPUTE_MODES.values()}
    desired = _COMPUTE_MODES.get(value) or names.get(value.upper())
    if desired is None:
        raise Refused(INVALID, f"Invalid compute mode: {value}")
    if gpu.compute_mode == desired:
        yield f"Compute mode is already set to {desired.upper()} for GPU {gpu.address}."
    else:
        gpu.compute_mode = desired
        yield f"Set compute mode to {desired.upper()} for GPU {gpu.address}."


def ecc(machine: Machine, gpu: Gpu, value: str) -> Lines:
    desired = _switch(value)
    if gpu.ecc_pending is desired:
        yield f"ECC support is already {switch(desired)} for GPU {gpu.address}."
    else:
        gpu.ecc_pending = desired
        yield f"{switch(desired)} ECC support for GPU {gpu.address}."


def lock_clocks(machine: Machine, gpu: Gpu, value: str) -> Lines:
    low, high = _pair(value)
    gpu.clocks = [min(high, gpu.kind.clocks[0]), low]
    yield f'GPU clocks set to "(gpuClkMin {low}, gpuClkMax {high})" for GPU {gpu.address}'
    yield from _volatile(gpu)


def lock_memory_clocks(machine: Machine, gpu: Gpu, value: str) -> Lines:
    low, high = _pair(value)
    if gpu.kind.architecture == "Turing":
        yield f"Setting locked Memory clocks is not supported for GPU {gpu.address}."
        yield _WARNING
        return
    gpu.memory_clocks = [min(high, gpu.kind.clocks[1]), low]
    yield f'Memory clocks set to "(memClkMin {low}, memClkMax {high})" for GPU {gpu.address}'
    yield from _volatile(gpu)


def free_clocks(machine: Machine, gpu: Gpu, value: str) -> Lines:
    gpu.clocks = None
    yield from ()


def free_memory_clocks(machine: Machine, gpu: Gpu, value: str) -> Lines:
    gpu.memory_clocks = None
    yield from ()


def mig_mode(machine: Machine, gpu: Gpu, value: str) -> Lines:
    """Ampere needs an idle GPU and resets it; newer ones switch at once. Busy, both wait for a reset or a reboot."""
    desired = _switch(value)
    verb = "enable" if desired else "disable"
    if not gpu.kind.profiles:
        yield f"Unable to {verb} MIG Mode for GPU {gpu.address}: Not Supported"
        yield _WARNING
        return
    if gpu.instances and not desired:
        raise Refused(IN_USE, f"Unable to {verb} MIG Mode for GPU {gpu.address}: In use by another client", _EARLY)
    gpu.mig_pending = desired
    if gpu.mig is desired:
        yield f"{switch(desired)} MIG Mode for GPU {gpu.address}"
    elif keeps_pending(machine, gpu) or gpu.clients():
        yield f"Warning: MIG mode is in pending {verb} state for GPU {gpu.address}:In use by another client"
        yield (
            f"{gpu.address} is currently being used by one or more other processes (e.g. CUDA application or a "
            "monitoring application such as another instance of nvidia-smi). Please first kill all processes using the "
            "device and retry the command or reboot the system to make MIG mode effective."
        )
    elif gpu.kind.keeps_mig_mode and gpu.virtualization != "None":
        yield f"Warning: MIG mode is in pending {verb} state for GPU {gpu.address}:Not Supported"
        yield f"Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU {gpu.address}"
    else:
        if gpu.kind.keeps_mig_mode:
            was_persistent = gpu.persistence
            gpu.reset()
            gpu.persistence = was_persistent
        gpu.mig = desired
        yield f"{switch(desired)} MIG Mode for GPU {gpu.address}"
        yield from _volatile(gpu)


def reset(machine: Machine, gpu: Gpu) -> Lines:
    if gpu.virtualization != "None":
        raise Refused(NOT_SUPPORTED, f"Resetting GPU {gpu.address} is not supported.")
    if gpu.clients():
        raise Refused(
            OTHER,
            "The following GPUs could not be reset:",
            f"  GPU {gpu.address}: In use by another client",
            "",
            "1 device is currently being used by one or more other processes (e.g., Fabric Manager, CUDA application, "
            "graphics application such as an X server, or a monitoring application such as another instance of "
            "nvidia-smi). Please first kill all processes using this device and all compute applications running in "
            "the system.",
        )
    pending = (gpu.ecc_pending, gpu.mig_pending)
    current = (gpu.ecc, gpu.mig)
    gpu.reset()
    if keeps_pending(machine, gpu):
        (gpu.ecc, gpu.mig), (gpu.ecc_pending, gpu.mig_pending) = current, pending
    yield f"GPU {gpu.address} was successfully reset."


def keeps_pending(machine: Machine, gpu: Gpu) -> bool:
    return any(fault.name == "pending" and fault.gpu in ("", gpu.uuid) for fault in machine.faults)


def unsupported(gpu: Gpu) -> Lines:
    """What a driver says that exits with status 0 and changes nothing."""
    yield f"Changing power management limit is not supported for GPU: {gpu.address}."
    yield _WARNING


def refused(gpu: Gpu) -> Refused:
    return Refused(OTHER, f"Unable to change the state of GPU {gpu.address}: Unknown Error", _EARLY)


def _switch(value: str) -> bool:
    desired = {"0": False, "1": True, "DISABLED": False, "ENABLED": True}.get(value.upper())
    if desired is None:
        raise Refused(INVALID, f"Invalid value: {value}")
    return desired


def _pair(value: str) -> tuple[int, int]:
    low, _comma, high = value.partition(",")
    if not low.isdigit() or not (high or low).isdigit():
        raise Refused(INVALID, f"Invalid clocks: {value}")
    return int(low), int(high or low)


def _volatile(gpu: Gpu) -> Lines:
    if not gpu.persistence:
        yield ""
        yield (
            f"Warning: persistence mode is disabled on device {gpu.address}. See the Known Issues section of the "
            "nvidia-smi(1) man page for more information. Run with [--help | -h] switch to get more information on "
            "how to enable persistence mode."
        )


CHANGES: dict[str, t.Callable[[Machine, Gpu, str], Lines]] = {
    "-pm": persistence,
    "--persistence-mode": persistence,
    "-pl": power_limit,
    "--power-limit": power_limit,
    "-c": compute_mode,
    "--compute-mode": compute_mode,
    "-e": ecc,
    "--ecc-config": ecc,
    "-lgc": lock_clocks,
    "--lock-gpu-clocks": lock_clocks,
    "-lmc": lock_memory_clocks,
    "--lock-memory-clocks": lock_memory_clocks,
    "-rgc": free_clocks,
    "--reset-gpu-clocks": free_clocks,
    "-rmc": free_memory_clocks,
    "--reset-memory-clocks": free_memory_clocks,
    "-mig": mig_mode,
    "--multi-instance-gpu": mig_mode,
}
WITHOUT_VALUE = ("-rgc", "--reset-gpu-clocks", "-rmc", "--reset-memory-clocks")
