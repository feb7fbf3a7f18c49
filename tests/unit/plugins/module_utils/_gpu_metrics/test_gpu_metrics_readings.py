# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes of GPUs: of NVIDIA's read off captures of real hosts by hand, of AMD's after its documentation."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics import amd, nvidia
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_metrics.reading import Reading
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    capture,
    needs_captures,
    synthetic_gpu,
    synthetic_log,
)

QUIET = {"hw_thermal": False, "sw_thermal": False, "hw_power_brake": False, "sw_power_cap": False}
MIB = 2**20
ADDRESS = "0000:1a:00.0"
T4 = {"slowdown_c": 93, "memory_clock_mhz": 5000, "ecc_corrected": 0, "pcie_width": 8, "pcie_width_max": 16}
RAMS = {"remapped_correctable": 0, "remapped_uncorrectable": 0, "remapping_failed": False}
EXPECTED = {
    # The shape v11, with the older name of the reasons.
    "t4-515.105.xml": {**T4, "memory_used_bytes": 1032 * MIB, "power_w": 26.78, "sm_clock_mhz": 585},
    "t4-595.91.07.xml": {**T4, "memory_used_bytes": 0, "power_w": 33.51, "sm_clock_mhz": 1590},
    # v12, in MIG mode: rows are told of no part of it.
    "a100x4-mig-535.54.03.xml": {
        "memory_used_bytes": 50 * MIB,
        "power_w": 67.03,
        "slowdown_c": 89,
        "sm_clock_mhz": 1275,
        "memory_clock_mhz": 1593,
        "ecc_corrected": 0,
        "pcie_width": 16,
        "pcie_width_max": 16,
    },
    # v13, whose average draw is not told.
    "a100-sxm4-40-570.148.08.xml": {
        "memory_used_bytes": 0,
        "power_w": 49.68,
        "slowdown_c": 89,
        "sm_clock_mhz": 210,
        "memory_clock_mhz": 1215,
        "ecc_corrected": 0,
        "pcie_width": 16,
        "pcie_width_max": 16,
        **RAMS,
    },
    # 29 degrees, 58 left, and -2 left when it slows down.
    "h100x8-580.105.08.xml": {
        "memory_used_bytes": 0,
        "power_w": 68.92,
        "slowdown_c": 89,
        "sm_clock_mhz": 345,
        "memory_clock_mhz": 2619,
        "ecc_corrected": 0,
        "pcie_width": 16,
        "pcie_width_max": 16,
        **RAMS,
    },
    # No ECC.
    "rtx3080-595.58.03.xml": {
        "memory_used_bytes": 9184 * MIB,
        "power_w": 142.33,
        "slowdown_c": 95,
        "sm_clock_mhz": 1950,
        "memory_clock_mhz": 9251,
        "pcie_width": 16,
        "pcie_width_max": 16,
    },
}


@needs_captures
@pytest.mark.parametrize("name", EXPECTED)
def test_a_capture_is_read(name):
    found = nvidia.readings(capture(f"nvidia-smi/{name}"))
    assert len(found) == (8 if "x8" in name else 1)
    assert next(iter(found.values())) == Reading(**EXPECTED[name], throttled=QUIET)


def read(body):
    return nvidia.readings(synthetic_log(synthetic_gpu("00000000:1A:00.0", body)))[ADDRESS]


@pytest.mark.parametrize("block", ["clocks_event_reasons", "clocks_throttle_reasons"])
def test_a_gpu_that_is_slowed_down(block):
    one = block[:-1]
    found = read(
        f"<{block}><{one}_hw_thermal_slowdown>Active</{one}_hw_thermal_slowdown>"
        f"<{one}_sw_power_cap>Not Active</{one}_sw_power_cap>"
        f"<{one}_sw_thermal_slowdown>N/A</{one}_sw_thermal_slowdown></{block}>"
    )
    assert found.throttled == {"hw_thermal": True, "sw_power_cap": False}


# As 615 puts them, after the public description of its shape.
SHAPE_615 = """
<gpu_power_readings><average_power_draw>N/A</average_power_draw><instant_power_draw>801.50 W</instant_power_draw>
<gpu_ceiling_power_limit><current_power_limit>1200.00 W</current_power_limit></gpu_ceiling_power_limit>
</gpu_power_readings><remapped_banks><bank_remapper_pending>No</bank_remapper_pending></remapped_banks>
<ecc_errors><volatile><sram_correctable>1</sram_correctable><sram_uncorrectable_parity>2</sram_uncorrectable_parity>
<sram_uncorrectable_secded>0</sram_uncorrectable_secded><dram_correctable>3</dram_correctable></volatile></ecc_errors>
"""


def test_what_newer_drivers_put_elsewhere():
    found = read(SHAPE_615)
    assert (found.power_w, found.ecc_corrected, found.remapped_correctable) == (801.5, 4, None)


def test_volta_counts_single_bits():
    text = "<single_bit><device_memory>2</device_memory><total>5</total></single_bit>"
    assert read(f"<ecc_errors><volatile>{text}</volatile></ecc_errors>").ecc_corrected == 5


def test_what_is_not_told_is_not_known():
    assert read("<clocks><sm_clock>GPU is lost</sm_clock></clocks>") == Reading()


def answered(part, rows):
    return Completed(("amd-smi", part, "--json"), 0, json.dumps(rows), "")


LISTED = answered("list", [{"gpu": 0, "bdf": "0000:1A:00.0", "uuid": "c4ff74a1"}])
STATIC = {
    "gpu": 0,
    "bus": {"bdf": "0000:1a:00.0", "max_pcie_width": 16},
    "limit": {
        "slowdown_edge_temperature": "N/A",
        "slowdown_hotspot_temperature": {"value": 100, "unit": "C"},
    },
}
METRIC = {
    "gpu": 0,
    "power": {"socket_power": {"value": 138, "unit": "W"}},
    "clock": {
        "gfx_0": {"clk": {"value": 2100, "unit": "MHz"}},
        "mem_0": {"clk": {"value": 1300, "unit": "MHz"}},
    },
    "temperature": {"edge": "N/A", "hotspot": {"value": 41, "unit": "C"}},
    "pcie": {"width": 8},
    "ecc": {"total_correctable_count": 9, "total_uncorrectable_count": 0},
    "mem_usage": {"used_vram": {"value": 283, "unit": "MB"}},
    "throttle": {
        "prochot_violation_status": "NOT ACTIVE",
        "ppt_violation_status": "ACTIVE",
        "socket_thermal_violation_status": "N/A",
    },
}


@pytest.mark.parametrize("shape", [lambda row: [row], lambda row: {"gpu_data": [row]}], ids=["ROCm 6", "ROCm 7"])
def test_what_amd_smi_is_documented_to_print_is_read(shape):
    found = amd.readings(LISTED, answered("static", shape(STATIC)), answered("metric", shape(METRIC)))
    assert found == {
        ADDRESS: Reading(
            memory_used_bytes=283 * MIB,
            power_w=138,
            slowdown_c=100,
            sm_clock_mhz=2100,
            memory_clock_mhz=1300,
            ecc_corrected=9,
            throttled={"hw_thermal": False, "sw_power_cap": True},
            pcie_width=8,
            pcie_width_max=16,
        )
    }


def test_where_amd_smi_tells_nothing_nothing_is_known():
    row = dict.fromkeys(METRIC, "N/A") | {"gpu": 0}
    found = amd.readings(LISTED, answered("static", [{"gpu": 0}]), answered("metric", [row]))
    assert found == {ADDRESS: Reading()}


def test_half_an_answer_of_amd_smi_is_none():
    with pytest.raises(CommandError, match="no whole JSON document"):
        amd.readings(LISTED, answered("static", [STATIC]), Completed(("amd-smi",), 0, '{"gpu_data": [', ""))
