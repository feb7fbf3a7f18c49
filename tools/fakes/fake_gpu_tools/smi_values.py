# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nvidia-smi tells of a GPU, by element path: the one source of its XML, its tables and its queries."""

from __future__ import annotations

import time

from .state import Gpu, Machine

DEPRECATED = "Requested functionality has been deprecated"
# The newest CUDA version that a driver branch serves.
CUDA = {470: "11.4", 510: "11.6", 515: "11.7", 525: "12.0", 535: "12.2", 545: "12.3", 550: "12.4", 555: "12.5"} | {
    560: "12.6", 565: "12.7", 570: "12.8", 575: "12.9", 580: "13.0", 590: "13.1", 595: "13.2", 610: "13.3",
}  # fmt: skip
_ZEROS = (
    "replay_counter", "session_count", "average_fps", "average_latency", "sram_correctable", "sram_uncorrectable",
    "sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_correctable", "dram_uncorrectable", "sram_l2",
    "sram_sm", "sram_microcontroller", "sram_pcie", "sram_other", "remapped_row_corr", "remapped_row_unc",
    "replay_rollover_counter",
)  # fmt: skip
_NO = ("sram_threshold_exceeded", "channel_repair_pending", "tpc_repair_pending", "unrepairable_memory") + (
    "remapped_row_pending", "remapped_row_failure", "multigpu_board",
)  # fmt: skip

Values = dict[str, str]


def cuda_version(machine: Machine) -> str:
    return CUDA[max(branch for branch in CUDA if branch <= max(machine.major, min(CUDA)))]


def now() -> str:
    return time.strftime("%a %b %e %H:%M:%S %Y")


def values(machine: Machine, gpu: Gpu) -> Values:
    """The text of each element that is not ``N/A``; ``*/name`` is for all elements of this name."""
    kind, major = gpu.kind, machine.major
    used = sum(one.memory_mib for one in gpu.clients() if not one.is_hidden)
    total = kind.memory_mib if gpu.ecc or not kind.memory_without_ecc_mib else kind.memory_without_ecc_mib
    busy = bool(used)
    clocks = kind.clocks if busy else kind.idle_clocks
    told: Values = {
        **{f"*/{name}": "0" for name in _ZEROS},
        **{f"*/{name}": "No" for name in _NO},
        **_settings(machine, gpu),
        "product_name": kind.name,
        "product_brand": "NVIDIA",
        "product_architecture": kind.architecture,
        "display_mode": DEPRECATED if major >= 580 else "Enabled" if major >= 535 else "Disabled",
        "display_attached": "Yes",
        "display_active": "Disabled",
        "addressing_mode": "None" if gpu.mig or major < 570 else "HMM",
        "accounting_mode": "Disabled",
        "accounting_mode_buffer_size": "4000",
        "serial": gpu.serial,
        "uuid": gpu.uuid,
        "pdi": f"0x{int(gpu.serial):016x}",
        "minor_number": str(gpu.minor),
        "vbios_version": kind.vbios,
        "board_id": f"0x{gpu.bus:x}00",
        "board_part_number": kind.board_part,
        "gpu_part_number": kind.part if major >= 535 else kind.board_part,
        "gpu_module_id": str(gpu.minor),
        "platformInfo/module_id": str(gpu.minor + 1),
        "inforom_version/img_version": kind.inforom[0],
        "inforom_version/oem_object": kind.inforom[1],
        "inforom_version/ecc_object": kind.inforom[2],
        "c2c_mode": "Disabled" if is_newer_than_ampere(gpu) else "N/A",
        "gsp_firmware_version": machine.driver,
        "pci/pci_bus": f"{gpu.bus:02X}",
        "pci/pci_device": "00",
        "pci/pci_domain": "0000",
        "pci/pci_base_class": "3",
        "pci/pci_sub_class": "2",
        "pci/pci_device_id": f"{kind.device}10DE",
        "pci/pci_bus_id": gpu.address,
        "pci/pci_sub_system_id": kind.subsystem,
        **{
            f"pci/pci_gpu_link_info/pcie_gen/{name}": str(kind.link_generation)
            for name in ("max_link_gen", "current_link_gen", "device_current_link_gen", "max_device_link_gen")
        },
        "pci/pci_gpu_link_info/link_widths/max_link_width": "16x",
        "pci/pci_gpu_link_info/link_widths/current_link_width": f"{gpu.link_width}x",
        "pci/tx_util": "0 KB/s",
        "pci/rx_util": "0 KB/s",
        "performance_state": "P0",
        **_reasons("clocks_event_reasons", busy),
        **_reasons("clocks_throttle_reasons", busy),
        **{
            f"clocks_event_reasons_counters/clocks_event_reasons_counters_{name}": "0 us"
            for name in ("sw_power_cap", "sync_boost", "sw_therm_slowdown", "hw_therm_slowdown", "hw_power_brake")
        },
        "sparse_operation_mode": "Disabled" if is_newer_than_ampere(gpu) else "N/A",
        **_memory("fb_memory_usage", total, used, kind.reserved_mib),
        **_memory("bar1_memory_usage", kind.bar1_mib, 1),
        **_memory("cc_protected_memory_usage", 0, 0),
        **{
            f"utilization/{name}_util": "N/A" if gpu.mig else "0 %"
            for name in ("gpu", "memory", "encoder", "decoder", "jpeg", "ofa")
        },
        "ecc_errors/volatile/dram_uncorrectable": str(gpu.uncorrected),
        "ecc_errors/aggregate/dram_uncorrectable": str(gpu.uncorrected),
        **_retired(gpu),
        **_temperatures(gpu),
        **_power(machine, gpu, kind.power[1] * 0.6 if busy else kind.idle_watts),
        "edpp_multiplier": "100.00%" if is_newer_than_ampere(gpu) else "N/A",
        "clocks/graphics_clock": f"{(gpu.clocks or clocks)[0]} MHz",
        "clocks/sm_clock": f"{(gpu.clocks or clocks)[0]} MHz",
        "clocks/mem_clock": f"{(gpu.memory_clocks or clocks[1:])[0]} MHz",
        "clocks/video_clock": f"{clocks[2]} MHz",
        **_clocks(machine, gpu),
        "capabilities/egm": "disabled",
    }
    row = "remapped_rows/row_remapper_histogram/row_remapper_histogram_"
    told |= {f"{row}{name}": "0 bank(s)" for name in ("high", "partial", "low", "none")}
    told[f"{row}max"] = f"{kind.remap_banks} bank(s)"
    if is_newer_than_ampere(gpu) and kind.is_linked and major >= 535:
        told |= {"fabric/state": "Completed", "fabric/status": "Success"}
        told |= {"fabric/cliqueId": "0", "fabric/clusterUuid": "00000000-0000-0000-0000-000000000000"}
    return told


def _settings(machine: Machine, gpu: Gpu) -> Values:
    has_mig = bool(gpu.kind.profiles)
    recovery = gpu.recovery != "None"
    return {
        "persistence_mode": switch(gpu.persistence),
        "mig_mode/current_mig": switch(gpu.mig) if has_mig else "N/A",
        "mig_mode/pending_mig": switch(gpu.mig_pending) if has_mig else "N/A",
        "compute_mode": gpu.compute_mode,
        "ecc_mode/current_ecc": switch(gpu.ecc),
        "ecc_mode/pending_ecc": switch(gpu.ecc_pending),
        "gpu_virtualization_mode/virtualization_mode": gpu.virtualization,
        "gpu_reset_status/reset_required": DEPRECATED if machine.major >= 570 else "Yes" if recovery else "No",
        "gpu_reset_status/drain_and_reset_recommended": DEPRECATED if machine.major >= 570 else "No",
        "gpu_recovery_action": gpu.recovery,
    }


def _reasons(block: str, busy: bool) -> Values:
    one = block[:-1]
    idle = "Not Active" if busy else "Active"
    names = ("applications_clocks_setting", "sw_power_cap", "hw_slowdown", "hw_thermal_slowdown") + (
        "hw_power_brake_slowdown", "sync_boost", "sw_thermal_slowdown", "display_clocks_setting",
    )  # fmt: skip
    return {f"{block}/{one}_gpu_idle": idle, **{f"{block}/{one}_{name}": "Not Active" for name in names}}


def _memory(block: str, total: int, used: int, reserved: int = 0) -> Values:
    return {
        f"{block}/total": f"{total} MiB",
        f"{block}/reserved": f"{reserved} MiB",
        f"{block}/used": f"{used} MiB",
        f"{block}/free": f"{total - used - reserved} MiB",
    }


def _retired(gpu: Gpu) -> Values:
    """Turing retires pages; newer ones remap rows."""
    if gpu.kind.remap_banks:
        return {}
    kinds = ("multiple_single_bit_retirement", "double_bit_retirement")
    return {
        **{f"retired_pages/{kind}/retired_count": "0" for kind in kinds},
        **{f"retired_pages/{kind}/retired_pagelist": "\n\t\t\t\t" for kind in kinds},
        "retired_pages/pending_blacklist": "No",
        "retired_pages/pending_retirement": "No",
    }


def _temperatures(gpu: Gpu) -> Values:
    old = gpu.kind.architecture == "Turing"
    highest = ("96 C", "93 C", "85 C", "N/A") if old else ("92 C", "89 C", "85 C", "95 C")
    told = dict(
        zip(
            ("gpu_temp_max_threshold", "gpu_temp_slow_threshold", "gpu_temp_max_gpu_threshold")
            + ("gpu_temp_max_mem_threshold",),
            highest,
        )
    )
    told |= {"gpu_temp": "33 C", "memory_temp": "N/A" if old else "34 C"}
    if is_newer_than_ampere(gpu):
        told |= {"gpu_temp_tlimit": "54 C", "gpu_temp_max_tlimit_threshold": "-8 C"}
        told |= {"gpu_temp_slow_tlimit_threshold": "-2 C", "gpu_temp_max_gpu_tlimit_threshold": "0 C"}
        told |= {"gpu_temp_max_mem_tlimit_threshold": "0 C"}
    return {f"temperature/{name}": text for name, text in told.items()}


def _power(machine: Machine, gpu: Gpu, draw: float) -> Values:
    lowest, default, highest = gpu.kind.power
    state = DEPRECATED if machine.major >= 590 else "P0"
    ceiling = "gpu_ceiling_power_limit/" if machine.major >= 610 else ""
    told = {
        "power_state": state,
        "power_management": "Supported",
        "power_draw": watts(draw),
        "instant_power_draw": watts(draw),
        "average_power_draw": watts(draw) if is_newer_than_ampere(gpu) else "N/A",
        "power_limit": watts(gpu.power_w),
        "enforced_power_limit": watts(gpu.power_w),
        f"{ceiling}current_power_limit": watts(gpu.power_w),
        f"{ceiling}requested_power_limit": watts(gpu.power_w),
        f"{ceiling}default_power_limit": watts(default),
        "default_power_limit": watts(default),
        "min_power_limit": watts(lowest),
        "max_power_limit": watts(highest),
    }
    block = power_block(machine)
    memory = watts(draw / 2) if is_newer_than_ampere(gpu) and gpu.kind.is_linked else "N/A"
    return {
        **{f"{block}/{name}": text for name, text in told.items()},
        "module_power_readings/power_state": state,
        "gpu_memory_power_readings/average_power_draw": memory,
    }


def _clocks(machine: Machine, gpu: Gpu) -> Values:
    graphics, memory, video = (f"{clock} MHz" for clock in gpu.kind.clocks)
    told = {
        "max_clocks/graphics_clock": graphics,
        "max_clocks/sm_clock": graphics,
        "max_clocks/mem_clock": memory,
        "max_clocks/video_clock": video,
        "max_customer_boost_clocks/graphics_clock": graphics,
    }
    programs = f"{gpu.kind.application_clock or gpu.kind.clocks[0]} MHz"
    for block in ("applications_clocks", "default_applications_clocks"):
        told[f"{block}/graphics_clock"] = DEPRECATED if machine.major >= 590 else programs
        told[f"{block}/mem_clock"] = DEPRECATED if machine.major >= 590 else memory
    return told


def power_block(machine: Machine) -> str:
    return "gpu_power_readings" if machine.major >= 535 else "power_readings"


def switch(on: bool) -> str:
    return "Enabled" if on else "Disabled"


def watts(value: float) -> str:
    return f"{value:.2f} W"


def is_newer_than_ampere(gpu: Gpu) -> bool:
    return gpu.kind.architecture in ("Ada Lovelace", "Hopper", "Blackwell")
