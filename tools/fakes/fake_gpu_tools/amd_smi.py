# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of amd-smi for MI300X: ``list``, ``static``, ``metric``, ``process`` and ``version``, with ``--json``.

ROCm 6 prints bare lists and longer names of keys, ROCm 7 an object with ``gpu_data``, and since 7.2 limits per loop.
The shapes are those of its documentation; there is no capture to hold them against.
"""

from __future__ import annotations

import json
import typing as t

from . import faults, state
from .state import AmdGpu, Machine

_NAME, _DEVICE, _GFX, _MIB, _WATTS = "AMD Instinct MI300X", "0x74a1", "gfx942", 196592, 750
# The driver that goes along with a release.
_DRIVERS = {6: "6.8.5", 7: "6.16.6", 10: "6.18.4"}
Row = dict[str, t.Any]


def main(argv: t.Sequence[str]) -> int:
    state.note_call(["amd-smi", *argv])
    with state.opened() as machine:
        struck = faults.strike(machine, argv)
        text, code = _answer(machine, argv, struck.name if struck else "")
    faults.wait(struck)
    faults.say(text, struck)
    return code


def _answer(machine: Machine, argv: t.Sequence[str], fault: str) -> tuple[str, int]:
    verb = argv[0] if argv else ""
    if fault == "not-loaded" or not machine.amd:
        return "ERROR:root:Unable to get devices, driver not initialized (amdgpu not found in modules)\n", 255
    if verb == "version":
        row = {"tool": "AMDSMI Tool", "version": "26.0.2+fake", "amdsmi_library_version": "26.0.2"}
        said: t.Any = [{**row, "rocm_version": machine.rocm, "amdgpu_version": _driver(machine)}]
    elif verb in _VERBS:
        rows = [{"gpu": index, **_VERBS[verb](machine, gpu)} for index, gpu in enumerate(machine.amd)]
        # Only static and metric have the new shape in all releases of ROCm 7.
        said = {"gpu_data": rows} if _release(machine) >= (7,) and verb in ("static", "metric") else rows
    else:
        return f"amd-smi: error: argument command: invalid choice: {verb!r}\n", 2
    return json.dumps(said, indent=4) + "\n" if "--json" in argv else f"{said}\n", 0


def _list(machine: Machine, gpu: AmdGpu) -> Row:
    return {"bdf": gpu.address, "uuid": gpu.uuid, "kfd_id": 1000 + gpu.bus, "node_id": 2, "partition_id": 0}


def _static(machine: Machine, gpu: AmdGpu) -> Row:
    new = _release(machine) >= (7,)
    driver = {"name": "amdgpu", "version": _driver(machine)}
    vram = {"type": "HBM", "size": _measure(_MIB, "MB"), "bit_width": 8192}
    return {
        "asic": {
            "market_name": _NAME,
            "vendor_id": "0x1002",
            "vendor_name": "Advanced Micro Devices Inc. [AMD/ATI]",
            "device_id": _DEVICE,
            "rev_id": "0x00",
            "asic_serial": f"0x{gpu.bus:016X}",
            "num_compute_units": 304,
            "target_graphics_version": _GFX,
        },
        "bus": {"bdf": gpu.address, "max_pcie_width": 16, "pcie_interface_version": "Gen 5", "slot_type": "OAM"},
        "limit": _limit(machine, gpu),
        "driver": driver if new else {f"driver_{key}": value for key, value in driver.items()},
        "vram": vram if new else {f"vram_{key}": value for key, value in vram.items()},
        "partition": {"compute_partition": "SPX", "memory_partition": "NPS1", "partition_id": 0},
    }


def _limit(machine: Machine, gpu: AmdGpu) -> Row:
    limits = {"max_power": _WATTS, "min_power": 0, "socket_power": gpu.power_w}
    if _release(machine) < (7, 2):
        return {name: _measure(value, "W") for name, value in limits.items()}
    loop = {f"{name}_limit": _measure(value, "W") for name, value in limits.items()}
    return {"ppt0": loop, "ppt1": dict.fromkeys(loop, "N/A")}


def _metric(machine: Machine, gpu: AmdGpu) -> Row:
    return {
        "usage": {"gfx_activity": _measure(0, "%"), "umc_activity": _measure(0, "%"), "mm_activity": "N/A"},
        "power": {"socket_power": _measure(138, "W"), "gfx_voltage": "N/A", "throttle_status": "UNTHROTTLED"},
        "temperature": {"edge": "N/A", "hotspot": _measure(41, "C"), "mem": _measure(33, "C")},
        "ecc": {"total_correctable_count": 0, "total_uncorrectable_count": gpu.uncorrected},
        "mem_usage": {"total_vram": _measure(_MIB, "MB"), "used_vram": _measure(283, "MB")},
    }


def _process(machine: Machine, gpu: AmdGpu) -> Row:
    rows = [
        {
            "process_info": {
                "name": one.name,
                "pid": one.pid,
                "memory_usage": {"vram_mem": _measure(one.memory_mib * 2**20, "B")},
            }
        }
        for one in gpu.holders
    ]
    return {"process_list": rows or [{"process_info": "No running processes detected"}]}


_VERBS: dict[str, t.Callable[[Machine, AmdGpu], Row]] = {
    "list": _list,
    "static": _static,
    "metric": _metric,
    "process": _process,
}


def _release(machine: Machine) -> tuple[int, ...]:
    return tuple(int(part) for part in machine.rocm.split("."))


def _driver(machine: Machine) -> str:
    return _DRIVERS[max(release for release in _DRIVERS if release <= max(_release(machine)[0], min(_DRIVERS)))]


def _measure(value: float, unit: str) -> Row:
    return {"value": value, "unit": unit}
