# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError, HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.info import collect
from ansible_collections.mlops.hosts.tests.unit.fakes import Told
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    QUERY,
    ended,
    pci_device,
    synthetic_gpu,
    synthetic_log,
)

ONE = synthetic_log(synthetic_gpu("00000000:1A:00.0", "<product_name>NVIDIA H100</product_name>"))
NO_DRIVER = ended(QUERY, 9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
LOST = ended(QUERY, 15, "Unable to determine the device handle for GPU 0000:1A:00.0: GPU is lost.")
GPU_KEYS = {
    "vendor", "index", "uuid", "pci_address", "pci_id", "name", "architecture", "memory_total_mib", "persistence_mode",
    "power_limit_w", "power_limit_min_w", "power_limit_max_w",
    "clock_max_mhz",
    "memory_clock_max_mhz",
    "virtualization_mode", "compute_mode", "ecc_mode", "ecc_pending",
    "ecc_uncorrected", "remapped_rows_pending", "temperature_c", "utilization_percent", "mig_mode", "mig_pending",
    "mig_devices", "recovery_action", "processes", "health", "health_reasons", "memory_reasons",
    "pcie_width", "pcie_width_max", "pcie_generation", "pcie_generation_max",
}  # fmt: skip


def report(root, answers=()):
    return collect(Told(dict(answers)), sysfs_root=str(root), timeout_s=60).as_result()


def h100(root, address="0000:1a:00.0", driver="", physfn=""):
    pci_device(root, address, "10de", "2330", "030200", driver, physfn)


def mi300x(root, address="0000:1b:00.0", driver="", physfn=""):
    pci_device(root, address, "1002", "74a1", "120000", driver, physfn)


def test_a_host_without_gpus(tmp_path):
    assert report(tmp_path) == {
        "gpus": [],
        "driver": {"version": None, "cuda_version": None},
        "count": 0,
        "expected_from_pci": 0,
    }


@pytest.mark.parametrize("rc", [0, 6])
def test_no_devices_where_the_bus_agrees(tmp_path, rc):
    assert report(tmp_path, {QUERY: ended(QUERY, rc, "No devices were found\n")})["count"] == 0


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(ended(QUERY, 255, "Failed to initialize NVML: Unknown Error"), id="unknown-error"),
        pytest.param(ended(QUERY, 4, "Failed to initialize NVML: Insufficient Permissions"), id="no-permission"),
        pytest.param(ended(QUERY, 127, "", "error while loading shared libraries: libz"), id="cannot-start"),
        pytest.param(ended(QUERY, 126, "", "Exec format error"), id="of-another-machine"),
    ],
)
def test_a_tool_that_fails_on_a_host_without_gpus_hides_nothing(tmp_path, asked):
    assert report(tmp_path, {QUERY: asked})["count"] == 0
    h100(tmp_path)
    with pytest.raises(CommandError):
        report(tmp_path, {QUERY: asked})


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(ended(QUERY, 124, timed_out=True), id="hangs"),
        pytest.param(ended(QUERY, 139, ONE[:300], "Segmentation fault"), id="crashes-half-way"),
    ],
)
def test_a_tool_that_hangs_or_is_cut_off_is_an_error_on_any_host(tmp_path, asked):
    with pytest.raises(CommandError):
        report(tmp_path, {QUERY: asked})


def test_a_tool_that_fails_under_a_loaded_driver_is_an_error(tmp_path):
    (tmp_path / "module" / "nvidia").mkdir(parents=True)
    with pytest.raises(CommandError, match="Unknown Error"):
        report(tmp_path, {QUERY: ended(QUERY, 255, "Failed to initialize NVML: Unknown Error")})


def test_a_driver_that_is_not_loaded_on_a_host_without_gpus(tmp_path):
    assert report(tmp_path, {QUERY: NO_DRIVER})["count"] == 0


def test_the_keys_are_the_contract(tmp_path):
    h100(tmp_path)
    mi300x(tmp_path)
    found = report(tmp_path, {QUERY: ONE})
    assert set(found) == {"gpus", "driver", "count", "expected_from_pci"}
    assert [set(gpu) for gpu in found["gpus"]] == [GPU_KEYS, GPU_KEYS]
    assert json.loads(json.dumps(found)) == found


def test_a_gpu_seen_by_both_is_one_gpu(tmp_path):
    h100(tmp_path, driver="nvidia")
    found = report(tmp_path, {QUERY: ONE})
    assert (found["count"], found["expected_from_pci"]) == (1, 1)
    assert (found["gpus"][0]["name"], found["gpus"][0]["health"]) == ("NVIDIA H100", "ok")


@pytest.mark.parametrize(
    ("driver", "answers", "health", "reasons"),
    [
        pytest.param("", {}, "failed", ["nvidia-smi is not installed", "not bound"], id="no-driver-installed"),
        pytest.param("nouveau", {}, "failed", ["not installed", "kernel driver nouveau"], id="nouveau"),
        pytest.param("nvidia", {}, "degraded", ["not known", "kernel driver nvidia"], id="driver-bound-but-no-tool"),
        pytest.param("", {QUERY: NO_DRIVER}, "failed", ["is not loaded"], id="driver-not-loaded"),
        pytest.param("nvidia", {QUERY: ended(QUERY, 6, "No devices were found")}, "failed", ["no devices"], id="none"),
        pytest.param(
            "vfio-pci", {QUERY: synthetic_log()}, "failed", ["not list it", "vfio-pci"], id="given-to-a-guest"
        ),
        pytest.param(
            "nvidia",
            {QUERY: LOST, (*QUERY, "-i", "0000:1a:00.0"): LOST},
            "failed",
            ["GPU is lost"],
            id="lost",
        ),
    ],
)
def test_a_gpu_that_the_driver_does_not_offer(tmp_path, driver, answers, health, reasons):
    h100(tmp_path, driver=driver)
    found = report(tmp_path, answers)
    (gpu,) = found["gpus"]
    assert (found["count"], found["expected_from_pci"]) == (1, 1)
    assert (gpu["pci_address"], gpu["pci_id"], gpu["uuid"], gpu["health"]) == (
        "0000:1a:00.0",
        "10de:2330",
        None,
        health,
    )
    (reason,) = gpu["health_reasons"]
    assert all(part in reason for part in reasons)


def test_one_of_two_gpus_is_missing(tmp_path):
    h100(tmp_path, driver="nvidia")
    h100(tmp_path, "0000:1b:00.0", driver="nvidia")
    found = report(tmp_path, {QUERY: ONE})
    assert [(gpu["pci_address"], gpu["health"]) for gpu in found["gpus"]] == [
        ("0000:1a:00.0", "ok"),
        ("0000:1b:00.0", "failed"),
    ]


def test_virtual_functions_count_only_where_the_driver_lists_them(tmp_path):
    h100(tmp_path, driver="nvidia")
    h100(tmp_path, "0000:1a:00.4", driver="nvidia", physfn="0000:1a:00.0")
    h100(tmp_path, "0000:1a:00.5", driver="nvidia", physfn="0000:1a:00.0")
    listed = synthetic_log(synthetic_gpu(), synthetic_gpu("00000000:1A:00.4", uuid="GPU-2"))
    found = report(tmp_path, {QUERY: listed})
    assert [gpu["pci_address"] for gpu in found["gpus"]] == ["0000:1a:00.0", "0000:1a:00.4"]
    assert (found["count"], found["expected_from_pci"]) == (2, 1)


def test_a_gpu_that_is_not_on_the_bus_is_listed_last(tmp_path):
    """Boards whose GPU is no PCI device have no address."""
    pciless = '<nvidia_smi_log><gpu id="N/A"><product_name>Orin</product_name></gpu></nvidia_smi_log>'
    h100(tmp_path)
    found = report(tmp_path, {QUERY: pciless})
    assert [gpu["pci_address"] for gpu in found["gpus"]] == ["0000:1a:00.0", None]
    assert (found["count"], found["expected_from_pci"]) == (2, 1)


def test_a_host_with_both_vendors(tmp_path):
    h100(tmp_path, driver="nvidia")
    mi300x(tmp_path, driver="amdgpu")
    rocm = '{"card0": {"PCI Bus": "0000:1B:00.0", "Card Series": "MI300X"}, "system": {"Driver version": "6.3.6"}}'
    found = report(tmp_path, {QUERY: ONE, ("rocm-smi",): rocm})
    assert [(gpu["vendor"], gpu["name"]) for gpu in found["gpus"]] == [("nvidia", "NVIDIA H100"), ("amd", "MI300X")]
    assert found["driver"]["version"] == "580.105.08"


def test_the_amd_driver_is_reported_on_a_host_with_amd_gpus_only(tmp_path):
    mi300x(tmp_path, driver="amdgpu")
    rocm = '{"card0": {"PCI Bus": "0000:1B:00.0"}, "system": {"Driver version": "6.3.6"}}'
    assert report(tmp_path, {("rocm-smi",): rocm})["driver"] == {"version": "6.3.6", "cuda_version": None}


@pytest.mark.parametrize("limit", [0, -1])
def test_no_time_is_refused(tmp_path, limit):
    with pytest.raises(HostError, match="more than 0"):
        collect(Told({}), sysfs_root=str(tmp_path), timeout_s=limit)
