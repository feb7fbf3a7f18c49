# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import nvidia_xml
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.health import check_health
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import Driver, Process
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    synthetic_gpu,
    synthetic_log,
)


def test_names_of_mig_devices_belong_to_their_gpu():
    names = nvidia_xml.parse_list(
        "GPU 0: NVIDIA A100 (40GB) (UUID: GPU-a)\n"
        "  MIG 1g.5gb      Device  0: (UUID: MIG-GPU-a/7/0)\n"
        "GPU 1: NVIDIA RTX PRO 6000 (UUID: GPU-b)\n"
        "  MIG 1g.24gb+me  Device  0: (UUID: MIG-b)\n"
    )
    assert names == {("GPU-a", 0): ("1g.5gb", "MIG-GPU-a/7/0"), ("GPU-b", 0): ("1g.24gb+me", "MIG-b")}


def only_gpu(body):
    (gpu,) = nvidia_xml.parse_log(synthetic_log(synthetic_gpu(body=body))).gpus
    return gpu


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            "<power_readings><power_limit>70.00 W</power_limit><enforced_power_limit>65.00 W</enforced_power_limit>"
            "<min_power_limit>60.00 W</min_power_limit><max_power_limit>75.00 W</max_power_limit></power_readings>",
            (70.0, 60.0, 75.0),
            id="before-535",
        ),
        pytest.param(
            "<gpu_power_readings><current_power_limit>450.00 W</current_power_limit>"
            "<requested_power_limit>500.00 W</requested_power_limit><min_power_limit>100.00 W</min_power_limit>"
            "<max_power_limit>500.00 W</max_power_limit></gpu_power_readings>"
            "<module_power_readings><current_power_limit>900.00 W</current_power_limit></module_power_readings>",
            (500.0, 100.0, 500.0),
            id="since-535-the-requested-limit-counts",
        ),
        pytest.param(
            "<gpu_power_readings><gpu_ceiling_power_limit><current_power_limit>250.00 W</current_power_limit>"
            "<requested_power_limit>250.00 W</requested_power_limit></gpu_ceiling_power_limit>"
            "<min_power_limit>105.00 W</min_power_limit><max_power_limit>350.00 W</max_power_limit>"
            "</gpu_power_readings>",
            (250.0, 105.0, 350.0),
            id="610-puts-them-a-level-deeper",
        ),
        pytest.param(
            "<gpu_power_readings><requested_power_limit>N/A</requested_power_limit></gpu_power_readings>"
            "<module_power_readings><requested_power_limit>900.00 W</requested_power_limit></module_power_readings>",
            (None, None, None),
            id="the-module-is-not-the-gpu",
        ),
    ],
)
def test_power_limits_of_all_generations(body, expected):
    gpu = only_gpu(body)
    assert (gpu.power_limit_w, gpu.power_limit_min_w, gpu.power_limit_max_w) == expected


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        pytest.param(
            "<sram_uncorrectable>1</sram_uncorrectable><dram_uncorrectable>2</dram_uncorrectable>", 3, id="to-v12"
        ),
        pytest.param(
            "<sram_uncorrectable_parity>1</sram_uncorrectable_parity><sram_uncorrectable_secded>2</sram_uncorrectable_secded>"
            "<dram_uncorrectable>4</dram_uncorrectable><dram_correctable>9</dram_correctable>",
            7,
            id="split-sram",
        ),
        pytest.param("<double_bit><device_memory>2</device_memory><total>2</total></double_bit>", 2, id="volta"),
        pytest.param(
            "<sram_uncorrectable>N/A</sram_uncorrectable><dram_uncorrectable>5</dram_uncorrectable>", 5, id="some"
        ),
        pytest.param("<sram_uncorrectable>N/A</sram_uncorrectable>", None, id="not-given-is-not-zero"),
        pytest.param("", None, id="no-counters"),
    ],
)
def test_uncorrectable_errors_of_all_generations(counters, expected):
    gpu = only_gpu(
        f"<ecc_errors><volatile>{counters}</volatile>"
        "<aggregate><dram_uncorrectable>99</dram_uncorrectable></aggregate></ecc_errors>"
    )
    assert gpu.ecc_uncorrected == expected


@pytest.mark.parametrize(
    ("action", "reset", "drain", "expected"),
    [
        ("None", "Requested functionality has been deprecated", "Requested functionality has been deprecated", "none"),
        ("Drain and Reset", None, None, "drain_and_reset"),
        ("N/A", None, None, None),
        (None, "No", "No", "none"),
        (None, "Yes", "Yes", "reset"),
        (None, "No", "Yes", "drain_and_reset"),
        (None, "N/A", "N/A", None),
        (None, None, None, None),
    ],
)
def test_recovery_action(action, reset, drain, expected):
    body = "" if action is None else f"<gpu_recovery_action>{action}</gpu_recovery_action>"
    if reset is not None:
        body += (
            f"<gpu_reset_status><reset_required>{reset}</reset_required>"
            f"<drain_and_reset_recommended>{drain}</drain_and_reset_recommended></gpu_reset_status>"
        )
    assert only_gpu(body).recovery_action == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(
            "<driver_version>615.23</driver_version><!-- use kmd_version --><cuda_version>13.3</cuda_version>"
            "<kmd_version>615.71.09</kmd_version><cuda_umd_version>13.4</cuda_umd_version>",
            Driver("615.71.09", "13.4"),
            id="the-new-names-win",
        ),
        pytest.param("<kmd_version>700.1</kmd_version>", Driver("700.1", None), id="only-the-new-names"),
        pytest.param("<driver_version>440.33.01</driver_version>", Driver("440.33.01", None), id="only-the-old-names"),
        pytest.param(
            "<driver_version>610.57.04 [Deprecated; will be removed in CUDA 14.0.]</driver_version>"
            "<cuda_version>N/A</cuda_version>",
            Driver("610.57.04", None),
            id="deprecation-in-the-value",
        ),
    ],
)
def test_driver_versions(head, expected):
    assert nvidia_xml.parse_log(synthetic_log(head=head)).driver == expected


@pytest.mark.parametrize(
    ("body", "health"),
    [
        pytest.param("<gpu_temp>GPU requires reset</gpu_temp>", "failed", id="requires-reset"),
        pytest.param("<fan_speed>[GPU is lost]</fan_speed>", "failed", id="lost"),
        pytest.param("<fan_speed>Unknown Error</fan_speed>", "degraded", id="unknown-error"),
        pytest.param("<fan_speed>Insufficient Permissions</fan_speed>", "ok", id="no-permission-is-not-a-fault"),
        pytest.param(
            "<remapped_rows><remapped_row_failure>Yes</remapped_row_failure></remapped_rows>", "failed", id="remap"
        ),
        pytest.param(
            "<remapped_banks><bank_remapper_pending>Yes</bank_remapper_pending></remapped_banks>",
            "degraded",
            id="banks",
        ),
        pytest.param(
            "<retired_pages><pending_blacklist>Yes</pending_blacklist><pending_retirement>Yes</pending_retirement>"
            "</retired_pages>",
            "degraded",
            id="pages",
        ),
        pytest.param(
            "<ecc_errors><aggregate><sram_threshold_exceeded>Yes</sram_threshold_exceeded></aggregate></ecc_errors>",
            "failed",
            id="sram-threshold",
        ),
        pytest.param("<ecc_errors><tpc_repair_pending>Yes</tpc_repair_pending></ecc_errors>", "degraded", id="repair"),
        pytest.param(
            "<mig_devices><mig_device><index>1</index><ecc_error_count><volatile_count><sram_uncorrectable>2"
            "</sram_uncorrectable></volatile_count></ecc_error_count></mig_device></mig_devices>",
            "degraded",
            id="mig-device-errors",
        ),
        pytest.param(
            "<remapped_rows>N/A</remapped_rows><retired_pages>N/A</retired_pages>", "ok", id="blocks-not-given"
        ),
        pytest.param("<mig_devices>None</mig_devices>", "ok", id="no-mig-devices"),
    ],
)
def test_signs_of_trouble(body, health):
    found, reasons = check_health(only_gpu(body))
    assert (found, len(reasons)) == (health, 0 if health == "ok" else 1)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        pytest.param("/usr/bin/a&b", "/usr/bin/a&b", id="ampersand-not-escaped"),
        pytest.param("/usr/bin/a&amp;b", "/usr/bin/a&b", id="ampersand-escaped"),
        pytest.param("/tmp/<x>", "/tmp/<x>", id="angle-brackets"),
        pytest.param("\udcff\x01", "??", id="arbitrary-bytes"),
        pytest.param("/usr/bin/python3 --token secret", "/usr/bin/python3", id="no-arguments"),
        pytest.param("[Not Found]", None, id="not-found"),
    ],
)
def test_process_names(printed, expected):
    gpu = only_gpu(
        f"<processes><process_info><pid>7</pid><process_name>{printed}</process_name><used_memory>N/A</used_memory>"
        "</process_info></processes>"
    )
    assert gpu.processes == (Process(7, expected, None),)


def test_lines_around_the_document_are_kept():
    log = nvidia_xml.parse_log(f"first\n{synthetic_log()}WARNING: last\n")
    assert log.notes == ("first", "WARNING: last")


def test_a_gpu_with_nothing_but_an_address_is_all_none():
    (gpu,) = nvidia_xml.parse_log('<nvidia_smi_log><gpu id="00000000:1A:00.0"/></nvidia_smi_log>').gpus
    known = {key: value for key, value in dataclasses.asdict(gpu).items() if value not in (None, ())}
    assert known == {"vendor": "nvidia", "index": 0, "pci_address": "0000:1a:00.0"}
