# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The amd-smi texts here are samples after the upstream documentation and changelog of amd-smi, not captures."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import amd
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.health import check_health
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.tool import Answer
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import Driver, Gpu, PciDevice, Process
from ansible_collections.mlops.hosts.tests.unit.fakes import Told
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    capture,
    ended,
    needs_captures,
)
from hypothesis import given
from hypothesis import strategies as st

LIST_SMI, STATIC, METRIC, PROCESS = (("amd-smi", part, "--json") for part in ("list", "static", "metric", "process"))
BOUND = PciDevice("amd", "0000:1a:00.0", "1002:74a1", kernel_driver="amdgpu")
UNBOUND = PciDevice("amd", "0000:1a:00.0", "1002:74a1")

# Documented for ROCm 6: bare lists, flat limits, sizes as {"value", "unit"}.
DOCUMENTED_ROCM_6 = {
    LIST_SMI: [{"gpu": 0, "bdf": "0000:1A:00.0", "uuid": "c4ff74a1-0000-1000-8084-7a2b2a3b6c4d"}],
    STATIC: [
        {
            "gpu": 0,
            "asic": {"market_name": "MI300X-O", "device_id": "0x74a1", "target_graphics_version": "gfx942"},
            "bus": {"bdf": "0000:1a:00.0"},
            "driver": {"driver_name": "amdgpu", "driver_version": "6.8.5"},
            "vram": {"vram_type": "HBM", "vram_size": {"value": 196592, "unit": "MB"}},
            "limit": {
                "max_power": {"value": 750, "unit": "W"},
                "min_power": {"value": 0, "unit": "W"},
                "socket_power": {"value": 700, "unit": "W"},
            },
        }
    ],
    METRIC: [
        {
            "gpu": 0,
            "usage": {"gfx_activity": {"value": 12, "unit": "%"}},
            "temperature": {"edge": "N/A", "hotspot": {"value": 41, "unit": "C"}},
            "ecc": {"total_correctable_count": 9, "total_uncorrectable_count": 0},
        }
    ],
    PROCESS: [{"gpu": 0, "process_list": [{"process_info": "No running processes detected"}]}],
}
# Documented for ROCm 7: everything under "gpu_data", limits per power loop since 7.2, shorter key names.
DOCUMENTED_ROCM_7 = {
    LIST_SMI: DOCUMENTED_ROCM_6[LIST_SMI],
    STATIC: {
        "gpu_data": [
            {
                **DOCUMENTED_ROCM_6[STATIC][0],
                "driver": {"name": "amdgpu", "version": "6.16.6"},
                "vram": {"type": "HBM", "size": {"value": 192, "unit": "GB"}},
                "limit": {
                    "ppt0": {
                        "max_power_limit": {"value": 750, "unit": "W"},
                        "min_power_limit": {"value": 0, "unit": "W"},
                        "socket_power_limit": {"value": 700, "unit": "W"},
                    },
                    "ppt1": {"max_power_limit": "N/A", "min_power_limit": "N/A", "socket_power_limit": "N/A"},
                },
            }
        ]
    },
    METRIC: {"gpu_data": [{**DOCUMENTED_ROCM_6[METRIC][0], "ecc": {"total_uncorrectable_count": 2}}]},
    PROCESS: [
        {
            "gpu": 0,
            "process_list": [
                {
                    "process_info": {
                        "name": "/usr/bin/python3 serve.py --token secret",
                        "pid": 42,
                        "memory_usage": {"vram_mem": {"value": 1073741824, "unit": "B"}},
                    }
                },
                {"process_info": {"name": "N/A", "pid": 43, "mem_usage": {"value": 512, "unit": "MB"}}},
            ],
        }
    ],
}


def read(answers, devices=(BOUND,)):
    texts = {argv: answer if isinstance(answer, str) else json.dumps(answer) for argv, answer in answers.items()}
    return amd.read(Told(texts), devices, timeout_s=60)


def test_documented_sample_of_rocm_6():
    assert read(DOCUMENTED_ROCM_6) == Answer(
        gpus=(
            Gpu(
                vendor="amd",
                index=0,
                uuid="c4ff74a1-0000-1000-8084-7a2b2a3b6c4d",
                pci_address="0000:1a:00.0",
                pci_id="1002:74a1",
                name="MI300X-O",
                architecture="gfx942",
                memory_total_mib=196592,
                power_limit_w=700.0,
                power_limit_min_w=0.0,
                power_limit_max_w=750.0,
                ecc_uncorrected=0,
                temperature_c=41,
                utilization_percent=12,
            ),
        ),
        driver=Driver("6.8.5"),
        why_unlisted="amd-smi does not list it",
    )


def test_documented_sample_of_rocm_7():
    answer = read(DOCUMENTED_ROCM_7)
    (gpu,) = answer.gpus
    assert answer.driver == Driver("6.16.6")
    assert (gpu.memory_total_mib, gpu.power_limit_w, gpu.power_limit_max_w) == (196608, 700.0, 750.0)
    assert gpu.processes == (Process(42, "/usr/bin/python3", 1024), Process(43, None, 512))
    assert check_health(gpu)[0] == "degraded"


def test_a_limit_of_zero_watts_is_no_limit():
    """Seen in the static output of integrated GPUs."""
    gpu = amd.parse_amd_smi(0, {}, {"limit": {"max_power": {"value": 0}, "socket_power": {"value": 0}}}, {}, {})
    assert (gpu.power_limit_w, gpu.power_limit_max_w) == (None, None)


def test_a_gpu_about_which_nothing_is_given_is_all_none():
    assert amd.parse_amd_smi(3, {}, {"asic": "N/A"}, {"temperature": "N/A"}, {"process_list": "N/A"}) == Gpu("amd", 3)


def test_warnings_before_the_json_are_skipped():
    warned = {
        argv: "[WARNING] old\nWARNING: User is missing the following required groups: render\n"
        + json.dumps(answer, indent=4)
        for argv, answer in DOCUMENTED_ROCM_6.items()
    }
    assert read(warned) == read(DOCUMENTED_ROCM_6)


@given(st.data())
def test_no_part_of_an_answer_is_read_as_an_answer(data):
    argv = data.draw(st.sampled_from(sorted(DOCUMENTED_ROCM_7)))
    whole = json.dumps(DOCUMENTED_ROCM_7[argv], indent=data.draw(st.sampled_from([None, 4])))
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(CommandError):
        read({**DOCUMENTED_ROCM_7, argv: part})


@pytest.mark.parametrize("tool", ["amd-smi", "rocm-smi"])
@pytest.mark.parametrize("rc", [0, 255])
def test_without_its_driver_a_tool_answers_no_json_and_any_code(tool, rc):
    said = ended((tool,), rc, "", "ERROR:root:Driver not initialized (amdgpu not found in modules)")
    run = Told({(tool,): said})
    answer = amd.read(run, [UNBOUND], timeout_s=60)
    assert answer.gpus == ()
    assert "amdgpu not found in modules" in answer.why_unlisted
    with pytest.raises(CommandError, match="amdgpu not found in modules"):
        amd.read(run, [BOUND], timeout_s=60)


@pytest.mark.parametrize("tool", ["amd-smi", "rocm-smi"])
@pytest.mark.parametrize("device", [BOUND, UNBOUND])
@pytest.mark.parametrize("printed", ["", "[]", "{}"])
def test_a_tool_that_hangs_is_an_error(tool, device, printed):
    run = Told({(tool,): ended((tool,), 124, printed, timed_out=True)})
    with pytest.raises(CommandError, match="did not end in time"):
        amd.read(run, [device], timeout_s=60)


@pytest.mark.parametrize("printed", ['{"gpus": []}', '[{"card": 1}]', '{"gpu_data": "N/A"}'])
def test_json_of_another_shape_is_an_error(printed):
    with pytest.raises(CommandError, match="without a row per GPU"):
        read({**DOCUMENTED_ROCM_6, LIST_SMI: printed})


def test_no_tool_is_asked_without_an_amd_gpu():
    run = Told({("amd-smi",): ended(("amd-smi",), 255, "", "Unable to detect any GPU devices")})
    assert amd.read(run, [], timeout_s=60).gpus == ()
    assert run.calls == []


def test_no_tool_installed():
    answer = read({})
    assert (answer.gpus, answer.is_tool_installed) == ((), False)
    assert answer.why_unlisted == "neither amd-smi nor rocm-smi is installed"


@needs_captures
def test_capture_of_four_mi100():
    answer = read({("rocm-smi",): capture("amd/rocm-smi-mi100_rocm602.json")})
    common = {
        "vendor": "amd",
        "pci_id": "1002:738c",
        "name": "Arcturus GL-XL [Instinct MI100]",
        "memory_total_mib": 32752,
        "power_limit_w": 290.0,
        "utilization_percent": 0,
    }
    assert answer.driver == Driver("6.3.6")
    assert answer.gpus == (
        Gpu(index=0, uuid="0x79ccd55167a2124a", pci_address="0000:83:00.0", temperature_c=53, **common),
        Gpu(index=1, uuid="0x4edfb117a17a07d", pci_address="0000:a3:00.0", temperature_c=55, **common),
        Gpu(index=2, uuid="0xd4a9ec48d03d261d", pci_address="0000:c3:00.0", temperature_c=54, **common),
        Gpu(index=3, uuid="0x1b9dd972253c3736", pci_address="0000:e3:00.0", temperature_c=51, **common),
    )


@needs_captures
def test_capture_of_a_radeon():
    answer = read({("rocm-smi",): capture("amd/rocm-smi-rx6700xt_rocm612.json")})
    assert answer.gpus == (
        Gpu(
            vendor="amd",
            index=0,
            uuid=None,
            pci_address="0000:07:00.0",
            pci_id="1002:73df",
            name="Navi 22 [Radeon RX 6700/6700 XT / 6800M]",
            architecture="gfx1031",
            memory_total_mib=12272,
            power_limit_w=211.0,
            temperature_c=45,
            utilization_percent=0,
        ),
    )


@needs_captures
@given(st.data())
def test_no_part_of_a_capture_is_read_as_an_answer(data):
    whole = capture("amd/rocm-smi-rx6700xt_rocm612.json").rstrip()
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(CommandError):
        read({("rocm-smi",): part})
