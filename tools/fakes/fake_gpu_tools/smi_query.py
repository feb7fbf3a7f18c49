# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nvidia-smi --query-gpu`` and ``--query-compute-apps``: comma-separated values."""

from __future__ import annotations

import re
import time
import typing as t

from . import smi_values
from .answer import INVALID, Refused
from .state import Gpu, Holder, Machine

_UNITS = re.compile(r" (MiB|W|MHz|%|us)$")
# Fields of --query-gpu, by the element that tells the same; a unit stands in the heading.
_PATHS = {
    "name": "product_name", "gpu_name": "product_name", "serial": "serial", "gpu_serial": "serial", "uuid": "uuid",
    "gpu_uuid": "uuid", "pci.bus_id": "pci/pci_bus_id", "gpu_bus_id": "pci/pci_bus_id",
    "persistence_mode": "persistence_mode", "addressing_mode": "addressing_mode", "vbios_version": "vbios_version",
    "accounting.mode": "accounting_mode", "gpu_recovery_action": "gpu_recovery_action",
    "fan.speed": "fan_speed", "pstate": "performance_state", "compute_mode": "compute_mode",
    "memory.total": "fb_memory_usage/total", "memory.reserved": "fb_memory_usage/reserved",
    "memory.used": "fb_memory_usage/used", "memory.free": "fb_memory_usage/free",
    "utilization.gpu": "utilization/gpu_util", "utilization.memory": "utilization/memory_util",
    "ecc.mode.current": "ecc_mode/current_ecc", "ecc.mode.pending": "ecc_mode/pending_ecc",
    "ecc.errors.uncorrected.volatile.total": "ecc_errors/volatile/dram_uncorrectable",
    "temperature.gpu": "temperature/gpu_temp", "temperature.memory": "temperature/memory_temp",
    "power.draw": "{power}/instant_power_draw", "power.draw.instant": "{power}/instant_power_draw",
    "power.draw.average": "{power}/average_power_draw", "power.limit": "{power}/power_limit",
    "enforced.power.limit": "{power}/enforced_power_limit", "power.default_limit": "{power}/default_power_limit",
    "power.min_limit": "{power}/min_power_limit", "power.max_limit": "{power}/max_power_limit",
    "clocks.current.graphics": "clocks/graphics_clock", "clocks.gr": "clocks/graphics_clock",
    "clocks.current.sm": "clocks/sm_clock", "clocks.sm": "clocks/sm_clock",
    "clocks.current.memory": "clocks/mem_clock", "clocks.mem": "clocks/mem_clock",
    "clocks.max.graphics": "max_clocks/graphics_clock", "clocks.max.sm": "max_clocks/sm_clock",
    "clocks.max.memory": "max_clocks/mem_clock", "clocks.max.mem": "max_clocks/mem_clock",
    "mig.mode.current": "mig_mode/current_mig", "mig.mode.pending": "mig_mode/pending_mig",
    "gsp.mode.current": "gsp_firmware_version",
}  # fmt: skip
_HEADING_UNITS = (
    ("memory.", "MiB"),
    ("power.", "W"),
    ("enforced.power", "W"),
    ("clocks.", "MHz"),
    ("utilization", "%"),
)
_APP_FIELDS = ("timestamp", "gpu_name", "gpu_bus_id", "gpu_serial", "gpu_uuid", "pid", "process_name", "name") + (
    "used_memory", "used_gpu_memory",
)  # fmt: skip


def is_query(argv: t.Sequence[str]) -> bool:
    return any(word.startswith(("--query-gpu=", "--query-compute-apps=")) for word in argv)


def rows(machine: Machine, gpus: t.Sequence[Gpu], argv: t.Sequence[str]) -> t.Iterator[str]:
    """The heading, and one line per GPU or process."""
    options = dict(word.partition("=")[::2] for word in argv)
    formats = options.get("--format", "").split(",")
    if "csv" not in formats:
        raise Refused(INVALID, "\"--format\" switch is missing. Please run 'nvidia-smi -h' for help.")
    apps = "--query-compute-apps" in options
    fields = [field.strip() for field in options["--query-compute-apps" if apps else "--query-gpu"].split(",")]
    for field in fields:
        if field not in (_APP_FIELDS if apps else (*_PATHS, *_OWN)):
            raise Refused(INVALID, f'Field "{field}" is not a valid field to query.', "")
    if "noheader" not in formats:
        yield ", ".join(_heading(field) for field in fields)
    for gpu in gpus:
        for client in _listed(gpu) if apps else [None]:
            told = [_app(gpu, client, field) if client else _field(machine, gpu, field) for field in fields]
            yield ", ".join(_UNITS.sub("", text) if "nounits" in formats else text for text in told)


def _listed(gpu: Gpu) -> list[Holder | None]:
    return [client for client in gpu.clients() if not client.is_hidden]


def _heading(field: str) -> str:
    if field in ("used_memory", "used_gpu_memory"):
        return f"{field} [MiB]"
    return next((f"{field} [{unit}]" for start, unit in _HEADING_UNITS if field.startswith(start)), field)


def _field(machine: Machine, gpu: Gpu, field: str) -> str:
    if field in _OWN:
        return _OWN[field](machine, gpu)
    told = smi_values.values(machine, gpu).get(_PATHS[field].format(power=smi_values.power_block(machine)), "N/A")
    if field.startswith("temperature"):
        return told.partition(" ")[0]
    return "[N/A]" if told == "N/A" else f"[{told}]" if told == smi_values.DEPRECATED else told


def _app(gpu: Gpu, client: Holder, field: str) -> str:
    told = {
        "timestamp": _timestamp(),
        "gpu_name": gpu.kind.name,
        "gpu_bus_id": gpu.address,
        "gpu_serial": gpu.serial,
        "gpu_uuid": gpu.uuid,
        "pid": str(client.pid),
    }
    return told.get(field) or (client.name if field.endswith("name") else f"{client.memory_mib} MiB")


def _timestamp() -> str:
    return time.strftime("%Y/%m/%d %H:%M:%S.000")


_OWN: dict[str, t.Callable[[Machine, Gpu], str]] = {
    "timestamp": lambda machine, gpu: _timestamp(),
    "driver_version": lambda machine, gpu: machine.driver,
    "kmd_version": lambda machine, gpu: machine.driver,
    "count": lambda machine, gpu: str(len(machine.gpus)),
    "index": lambda machine, gpu: str(machine.index(gpu)),
    "compute_cap": lambda machine, gpu: gpu.kind.compute_capability,
    "pci.device_id": lambda machine, gpu: f"0x{gpu.kind.device}10DE",
    "pci.sub_device_id": lambda machine, gpu: f"0x{gpu.kind.subsystem}",
    "pci.domain": lambda machine, gpu: "0x0000",
    "pci.bus": lambda machine, gpu: f"0x{gpu.bus:02X}",
    "pci.device": lambda machine, gpu: "0x00",
}
