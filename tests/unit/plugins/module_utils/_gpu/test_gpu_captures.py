# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia-smi as captured on real hosts. The expected values were read off the captures by hand."""

from __future__ import annotations

import re

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import nvidia_xml
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.health import check_health
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import Driver, MigDevice, Process
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    CAPTURES,
    capture,
    needs_captures,
    section,
    synthetic_gpu,
    synthetic_log,
)

H100 = {
    "pci_id": "10de:2330",
    "name": "NVIDIA H100 80GB HBM3",
    "architecture": "Hopper",
    "memory_total_mib": 81559,
    "persistence_mode": "enabled",
    "power_limit_w": 700.0,
    "power_limit_min_w": 200.0,
    "power_limit_max_w": 700.0,
    "compute_mode": "default",
    "ecc_mode": "enabled",
    "ecc_pending": "enabled",
    "ecc_uncorrected": 0,
    "remapped_rows_pending": False,
    "utilization_percent": 0,
    "mig_mode": "disabled",
    "mig_pending": "disabled",
    "mig_devices": (),
    "recovery_action": "none",
    "processes": (),
}
T4 = {
    "index": 0,
    "pci_address": "0000:00:1e.0",
    "pci_id": "10de:1eb8",
    "name": "Tesla T4",
    "architecture": "Turing",
    "memory_total_mib": 15360,
    "power_limit_w": 70.0,
    "power_limit_min_w": 60.0,
    "power_limit_max_w": 70.0,
    "compute_mode": "default",
    "ecc_mode": "enabled",
    "ecc_pending": "enabled",
    "ecc_uncorrected": 0,
    "remapped_rows_pending": None,
    "utilization_percent": 0,
    "mig_mode": None,
    "mig_pending": None,
    "mig_devices": (),
}
EXPECTED = {
    "a100-sxm4-40-570.148.08.xml": (
        Driver("570.148.08", "12.8"),
        [
            {
                "index": 0,
                "uuid": "GPU-00000000-0000-0000-0000-000000000000",
                "pci_address": "0000:06:00.0",
                "pci_id": "10de:20b0",
                "name": "NVIDIA A100-SXM4-40GB",
                "architecture": "Ampere",
                "memory_total_mib": 40960,
                "persistence_mode": "enabled",
                "power_limit_w": 400.0,
                "power_limit_min_w": 100.0,
                "power_limit_max_w": 400.0,
                "ecc_mode": "enabled",
                "ecc_uncorrected": 0,
                "remapped_rows_pending": False,
                "temperature_c": 33,
                "utilization_percent": 0,
                "mig_mode": "disabled",
                "mig_devices": (),
                "recovery_action": "none",
                "processes": (),
            }
        ],
    ),
    # This capture was shortened to the second of four GPUs before we got it.
    "a100x4-mig-535.54.03.xml": (
        Driver("535.54.03", "12.2"),
        [
            {
                "uuid": "GPU-513536b6-7d19-9063-b049-1e69664bb298",
                "pci_address": "0000:01:00.0",
                "pci_id": "10de:20b2",
                "name": "NVIDIA A100-SXM4-80GB",
                "memory_total_mib": 81920,
                "persistence_mode": "disabled",
                "power_limit_w": 500.0,
                "power_limit_min_w": 100.0,
                "power_limit_max_w": 500.0,
                "ecc_uncorrected": 0,
                "remapped_rows_pending": None,
                "temperature_c": 27,
                "utilization_percent": None,
                "mig_mode": "enabled",
                "mig_pending": "enabled",
                "mig_devices": tuple(MigDevice(None, None, instance, 0, 19968) for instance in (3, 4, 5, 6)),
                "recovery_action": "none",
            }
        ],
    ),
    "h100x8-580.105.08.xml": (
        Driver("580.105.08", "13.0"),
        [
            {
                **H100,
                "index": index,
                "uuid": f"GPU-0000000{index}-0000-0000-0000-00000000000{index}",
                "pci_address": f"0000:{bus}:00.0",
            }
            for index, bus in enumerate(("53", "64", "75", "86", "97", "a8", "b9", "ca"))
        ],
    ),
    "rtx3080-595.58.03.xml": (
        Driver("595.58.03", "13.2"),
        [
            {
                "uuid": "GPU-19d6d965-2acc-f646-00f8-4c76979aabb4",
                "pci_address": "0000:0c:00.0",
                "pci_id": "10de:2216",
                "name": "NVIDIA GeForce RTX 3080",
                "memory_total_mib": 10240,
                "persistence_mode": "disabled",
                "power_limit_w": 320.0,
                "power_limit_min_w": 100.0,
                "power_limit_max_w": 336.0,
                "ecc_mode": None,
                "ecc_pending": None,
                "ecc_uncorrected": None,
                "temperature_c": 27,
                "utilization_percent": 65,
                "mig_mode": None,
                "recovery_action": "none",
            }
        ],
    ),
    "t4-515.105.xml": (
        Driver("515.105.01", "11.7"),
        [
            {
                **T4,
                "uuid": "GPU-d37e67a5-91dd-3774-a5cb-99096249601a",
                "persistence_mode": "disabled",
                "temperature_c": 40,
                "recovery_action": None,
                "processes": (Process(675, "/usr/lib/xorg/Xorg", 22), Process(5762, "python", 1005)),
            }
        ],
    ),
    "t4-595.91.07.xml": (
        Driver("595.91.07", "13.2"),
        [
            {
                **T4,
                "uuid": "GPU-00000000-0000-0000-0000-000000000000",
                "persistence_mode": "enabled",
                "temperature_c": 33,
                "recovery_action": "none",
                "processes": (),
            }
        ],
    ),
}


@needs_captures
@pytest.mark.parametrize("name", EXPECTED)
def test_captures_of_real_hosts(name):
    log = nvidia_xml.parse_log(capture(f"nvidia-smi/{name}"))
    driver, gpus = EXPECTED[name]
    assert (log.driver, log.notes, len(log.gpus)) == (driver, (), len(gpus))
    for have, want in zip(log.gpus, gpus):
        assert {key: getattr(have, key) for key in want} == want
        assert check_health(have) == ("ok", ())


@needs_captures
def test_no_capture_is_left_out():
    assert set(EXPECTED) == {path.name for path in (CAPTURES / "nvidia-smi").glob("*.xml")}


@needs_captures
def test_mig_devices_get_their_names_from_the_list():
    """The capture has the text form of the query, so its values are put into synthetic XML."""
    path = "nvidia-smi/h200-mig-590.48.01.capture.txt"
    blocks = re.findall(
        r"MIG Device\n\s+Index +: (\d+)\n\s+GPU Instance ID +: (\d+)\n\s+Compute Instance ID +: (\d+)\n"
        r".*?Shared FB Memory Usage\n\s+Total +: (\d+ MiB)",
        section(path, "idle :: query (-q)"),
        re.DOTALL,
    )
    devices = "".join(
        f"<mig_device><index>{index}</index><gpu_instance_id>{gi}</gpu_instance_id>"
        f"<compute_instance_id>{ci}</compute_instance_id><fb_memory_usage><total>{total}</total></fb_memory_usage>"
        "</mig_device>"
        for index, gi, ci, total in blocks
    )
    gpu = synthetic_gpu(body=f"<mig_devices>{devices}</mig_devices>", uuid="GPU-00000000-0000-0000-0000-000000000000")
    names = nvidia_xml.parse_list(section(path, "capabilities :: list (-L)"))
    assert nvidia_xml.parse_log(synthetic_log(gpu), names).gpus[0].mig_devices == (
        MigDevice("1c.3g.71gb", "MIG-00000000-0000-0000-0000-000000000000", 2, 0, 71424),
        MigDevice("2c.3g.71gb", "MIG-00000001-0000-0000-0000-000000000001", 2, 1, 71424),
        MigDevice("2g.35gb", "MIG-00000002-0000-0000-0000-000000000002", 3, 0, 33280),
        MigDevice("1g.18gb", "MIG-00000003-0000-0000-0000-000000000003", 9, 0, 16384),
        MigDevice("1g.18gb", "MIG-00000004-0000-0000-0000-000000000004", 10, 0, 16384),
    )


@needs_captures
def test_a_list_without_mig_devices_has_no_names():
    assert (
        nvidia_xml.parse_list(section("nvidia-smi/rtx2080super-610.57.04.capture.txt", "capabilities :: list (-L)"))
        == {}
    )
