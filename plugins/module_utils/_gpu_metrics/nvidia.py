# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What changes of NVIDIA GPUs, from the XML of ``nvidia-smi -q -x``. Pure.

Elements are looked up by name, as those of _gpu/nvidia_xml.py are: driver 535 renames what 470 to 530 call
clocks_throttle_reasons, 560 splits the draw of power, 570 the uncorrectable errors.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from .._gpu import nvidia_xml, values
from .._gpu.pci import normal_address
from .reading import Reading, Reason

_MIB = 2**20
_REASONS: dict[Reason, str] = {
    "hw_thermal": "hw_thermal_slowdown",
    "sw_thermal": "sw_thermal_slowdown",
    "hw_power_brake": "hw_power_brake_slowdown",
    "sw_power_cap": "sw_power_cap",
}
_REASON_BLOCKS = ("clocks_event_reasons", "clocks_throttle_reasons")
_DRAWS = ("instant_power_draw", "average_power_draw", "power_draw")


def readings(text: str) -> dict[str, Reading]:
    """By PCI address. Raises nvidia_xml.Incomplete for anything but a whole document."""
    found = {}
    for gpu in nvidia_xml.parse_root(text).findall("gpu"):
        address = normal_address(gpu.findtext("pci/pci_bus_id")) or normal_address(gpu.get("id"))
        if address:
            found[address] = _reading(gpu)
    return found


def _reading(gpu: ET.Element) -> Reading:
    used = _whole(gpu, "fb_memory_usage/used")
    return Reading(
        memory_used_bytes=None if used is None else used * _MIB,
        power_w=_power(gpu),
        slowdown_c=_slowdown(gpu),
        sm_clock_mhz=_number(gpu, "clocks/sm_clock"),
        memory_clock_mhz=_number(gpu, "clocks/mem_clock"),
        ecc_corrected=_corrected(gpu.find("ecc_errors/volatile")),
        remapped_correctable=_whole(gpu, "remapped_rows/remapped_row_corr"),
        remapped_uncorrectable=_whole(gpu, "remapped_rows/remapped_row_unc"),
        remapping_failed=values.yes(gpu.findtext("remapped_rows/remapped_row_failure")),
        throttled=dict(_throttled(gpu)),
        pcie_width=_whole(gpu, "pci/pci_gpu_link_info/link_widths/current_link_width"),
        pcie_width_max=_whole(gpu, "pci/pci_gpu_link_info/link_widths/max_link_width"),
    )


def _power(gpu: ET.Element) -> float | None:
    """Of the GPU: module_power_readings of Grace Hopper is that of CPU and GPU together."""
    paths = (f"{block}/{name}" for block in ("gpu_power_readings", "power_readings") for name in _DRAWS)
    return next((watts for watts in (_number(gpu, path) for path in paths) if watts is not None), None)


def _slowdown(gpu: ET.Element) -> float | None:
    """Where the hardware slows down. Hopper and newer tell how far away that is instead: degrees that are left to a
    limit (gpu_temp_tlimit), and what is left of them when it slows down, such as 58 and -2."""
    told = _number(gpu, "temperature/gpu_temp_slow_threshold")
    if told is not None:
        return told
    now, left, slow = (
        _number(gpu, f"temperature/{name}")
        for name in ("gpu_temp", "gpu_temp_tlimit", "gpu_temp_slow_tlimit_threshold")
    )
    return None if now is None or left is None or slow is None else now + left - slow


def _corrected(volatile: ET.Element | None) -> int | None:
    """Corrected errors since the driver was loaded, as the uncorrected ones of _gpu/nvidia_xml.py."""
    if volatile is None:
        return None
    total = _whole(volatile, "single_bit/total")
    counters = [values.whole(leaf.text) for leaf in volatile if leaf.tag in ("sram_correctable", "dram_correctable")]
    given = [count for count in (total, *counters) if count is not None]
    return sum(given) if given else None


def _throttled(gpu: ET.Element) -> t.Iterator[tuple[Reason, bool]]:
    for reason, name in _REASONS.items():
        for block in _REASON_BLOCKS:
            said = values.word(gpu.findtext(f"{block}/{block[:-1]}_{name}"))
            if said in ("active", "not_active"):
                yield reason, said == "active"
                break


def _number(element: ET.Element, path: str) -> float | None:
    return values.number(element.findtext(path))


def _whole(element: ET.Element, path: str) -> int | None:
    return values.whole(element.findtext(path))
