# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fakes of GPU tools keep state as a driver does, refuse as one does, and are read as one is."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import amd, nvidia
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import PciDevice
from ansible_collections.mlops.hosts.tests.unit.fake_gpu_host import FakeGpuHost

DRIVERS = ("515.105.01", "535.54.03", "570.148.08", "580.95.05", "595.91.07", "610.57.04")
PENDING = "Warning: MIG mode is in pending enable state for GPU"


@pytest.fixture
def host(tmp_path, monkeypatch):
    return lambda machine="a100x2", driver="580.95.05", *options, **how: FakeGpuHost(
        tmp_path, monkeypatch, machine, driver, *options, **how
    )


def read(host, timeout_s=30):
    return nvidia.read(host, ["0000:10:00.0", "0000:11:00.0"], timeout_s=timeout_s)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("machine", ["mixed", "a100x2", "a100-80x1", "h100x1", "h200x1", "b200x1", "l40sx1", "t4x1"])
def test_each_machine_is_read_with_the_values_of_its_state(host, machine, driver):
    fake = host(machine, driver)
    fake.smi("-pm", "1")
    answer = read(fake)
    assert answer.driver.version == driver
    assert [gpu.uuid for gpu in answer.gpus] == [gpu["uuid"] for gpu in fake.gpus]
    for gpu, kept in zip(answer.gpus, fake.gpus):
        assert gpu.power_limit_w == kept["power_w"]
        assert (gpu.persistence_mode, gpu.compute_mode, gpu.ecc_mode, gpu.faults) == (
            "enabled",
            "default",
            "enabled",
            (),
        )
        assert gpu.mig_mode == (None if kept["model"] in ("t4", "l40s") else "disabled")
        assert gpu.recovery_action == ("none" if driver >= "535" else None)
        assert gpu.memory_total_mib and gpu.pci_id and gpu.pci_address == f"0000:{kept['bus']:02x}:00.0"


def test_settings_are_kept_and_lost_as_a_driver_loses_them(host):
    fake = host()
    assert "persistence mode is disabled" in fake.smi("-i", "0", "-pl", "300").stdout
    assert fake.gpus[0]["power_w"] == 400, "nobody kept the GPU initialised"
    assert "Enabled persistence mode" in fake.smi("-i", "0", "-pm", "1").stdout
    assert "is already Enabled" in fake.smi("-i", "0", "-pm", "1").stdout
    done = fake.smi("-i", "0", "-pl", "300")
    assert (done.rc, "from 400.00 W." in done.stdout) == (0, True)
    fake.smi("-i", "0", "-lgc", "900,1200")
    fake.smi("-i", "0", "-c", "EXCLUSIVE_PROCESS")
    first, second = fake.gpus
    assert (first["power_w"], first["clocks"], first["compute_mode"]) == (300, [1200, 900], "Exclusive_Process")
    assert second["power_w"] == 400
    assert read(fake).gpus[0].power_limit_w == 300
    fake.control("boot")
    first = fake.gpus[0]
    assert (first["power_w"], first["clocks"], first["compute_mode"], first["persistence"]) == (
        400,
        None,
        "Default",
        False,
    )


def test_a_power_limit_out_of_bounds_is_refused(host):
    done = host().smi("-pl", "20")
    assert done.rc == 2
    assert "is not a valid power limit which should be between 100.00 W and 400.00 W for GPU" in done.stdout


def test_ecc_waits_for_a_reset(host):
    fake = host("t4x1")
    assert fake.smi("-e", "0").stdout.endswith("Reboot required.\n")
    gpu = read(fake).gpus[0]
    assert (gpu.ecc_mode, gpu.ecc_pending, gpu.memory_total_mib) == ("enabled", "disabled", 15360)
    assert fake.smi("-r", "-i", "0").rc == 0
    gpu = read(fake).gpus[0]
    assert (gpu.ecc_mode, gpu.ecc_pending, gpu.memory_total_mib) == ("disabled", "disabled", 16384)


def test_ampere_switches_mig_mode_when_idle_and_keeps_it_over_a_boot(host):
    fake = host()
    fake.control("hold", "--gpu", "0", "--name", "python3")
    done = fake.smi("-i", "0", "-mig", "1")
    assert (done.rc, done.stdout.startswith(f"{PENDING} 00000000:10:00.0:In use by another client")) == (0, True)
    gpu = read(fake).gpus[0]
    assert (gpu.mig_mode, gpu.mig_pending, gpu.processes[0].name) == ("disabled", "enabled", "python3")
    assert fake.smi("--gpu-reset", "-i", "0").rc == 255, "it is in use"
    fake.control("release")
    assert fake.smi("--gpu-reset", "-i", "0").rc == 0
    assert fake.gpus[0]["mig"] is True
    assert fake.smi("-i", "1", "-mig", "1").stdout.startswith("Enabled MIG Mode for GPU 00000000:11:00.0")
    fake.control("boot")
    assert [gpu["mig"] for gpu in fake.gpus] == [True, True]


def test_ampere_in_a_virtual_machine_waits_for_a_reboot(host):
    fake = host("a100x1", "580.95.05", "--virtualization", "Pass-Through")
    assert f"{PENDING} 00000000:10:00.0:Not Supported" in fake.smi("-mig", "1").stdout
    assert "is not supported" in fake.smi("-r").stdout
    fake.control("boot")
    assert fake.gpus[0]["mig"] is True


@pytest.mark.parametrize("verb", ["boot", "reload"])
def test_hopper_forgets_mig_mode_when_the_driver_goes(host, verb):
    fake = host("h100x1")
    fake.smi("-mig", "1")
    fake.smi("mig", "-cgi", "9,9", "-C")
    assert len(read(fake).gpus[0].mig_devices) == 2
    fake.control(verb)
    assert (fake.gpus[0]["mig"], fake.gpus[0]["instances"]) == (False, [])


def test_a_gpu_without_mig_treats_it_as_a_warning(host):
    done = host("t4x1").smi("-mig", "1")
    assert (done.rc, "Treating as warning and moving on." in done.stdout) == (0, True)


def test_the_largest_instance_has_to_come_first(host):
    fake = host("a100x1")
    fake.smi("-mig", "1")
    done = fake.smi("mig", "-cgi", "19,19,14,9")
    assert (done.rc, "Insufficient Resources" in done.stdout) == (23, True)
    assert len(fake.gpus[0]["instances"]) == 3, "those before it stay"
    assert fake.smi("mig", "-dgi").rc == 0
    assert fake.smi("mig", "-cgi", "9,19,14,19", "-C").rc == 0
    assert fake.smi("mig", "-cgi", "19").rc == 23, "3g takes four of the eight slots"


def test_instances_are_made_by_name_and_place_and_go_compute_first(host):
    fake = host("h200x1", "590.48.01")
    fake.smi("-mig", "1")
    assert fake.smi("mig", "-cgi", "3g.71gb:0,MIG 1g.18gb:6").rc == 0
    assert fake.smi("mig", "-cci", "0,1", "-gi", "2").rc == 0
    assert "MIG 1c.3g.71gb  Device  0: (UUID: MIG-" in fake.smi("-L").stdout
    assert [device.profile for device in read(fake).gpus[0].mig_devices] == ["1c.3g.71gb", "2c.3g.71gb"]
    done = fake.smi("mig", "-dgi")
    assert (done.rc, "Unable to destroy GPU instance ID  2" in done.stdout) == (19, True)
    fake.control("hold", "--gpu", "0", "--instance", "2")
    assert fake.smi("mig", "-dci").rc == 19
    fake.control("release")
    assert (fake.smi("mig", "-dci").rc, fake.smi("mig", "-dgi").rc, fake.gpus[0]["instances"]) == (0, 0, [])
    assert [fake.smi("mig", option).rc for option in ("-dgi", "-dci", "-lgi", "-lci")] == [6, 6, 6, 6]


def test_every_full_layout_of_an_a100_has_seven_slices(host):
    for layout in (["0"], ["5", "9"], ["9", "9"], ["14"] * 3 + ["19"], ["15"] * 4, ["19"] * 7, ["9", "14", "19", "19"]):
        fake = host("a100x1")
        fake.smi("-mig", "1")
        assert fake.smi("mig", "-cgi", ",".join(layout), "-C").rc == 0, layout
        table = fake.smi("mig", "-lgip").stdout
        free = re.findall(r"MIG 1g\.5gb +19 +(\d)/7", table)
        assert free == (["0"]), layout


def test_a_process_that_has_the_device_open_is_in_the_way_and_not_listed(host, tmp_path):
    fake = host("a100x1")
    descriptors = tmp_path / "proc" / "77" / "fd"
    descriptors.mkdir(parents=True)
    (descriptors / "3").symlink_to("/dev/nvidia0")
    (tmp_path / "proc" / "77" / "comm").write_text("dcgm\n")
    assert PENDING in fake.smi("-mig", "1").stdout
    assert read(fake).gpus[0].processes == ()


def test_tables_have_the_width_that_they_say(host):
    fake = host("h100x1")
    fake.smi("-mig", "1")
    fake.smi("mig", "-cgi", "9,14,19", "-C")
    for argv in (("mig", "-lgip"), ("mig", "-lgi"), ("mig", "-lci")):
        lines = fake.smi(*argv).stdout.splitlines()
        assert {len(line) for line in lines} == {len(lines[0])}, argv
    assert {len(line) for line in fake.smi().stdout.splitlines()[1:] if line} == {91}


FAULTS = {
    "not-loaded": (9, "couldn't communicate with the NVIDIA driver"),
    "mismatch": (18, "Driver/library version mismatch"),
    "no-devices": (6, "No devices were found"),
    "inforom": (14, "WARNING: infoROM is corrupted at gpu 0000:10:00.0"),
    "slow": (0, "</nvidia_smi_log>"),
    "cut": (0, "<nvidia_smi_log>"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_reading(host, fault):
    fake = host()
    fake.control("fault", fault, "--count", "1", "--seconds", "0")
    done = fake.smi("-q", "-x")
    assert (done.rc, FAULTS[fault][1] in done.stdout) == (FAULTS[fault][0], True)
    assert ("</nvidia_smi_log>" in done.stdout) == (fault in ("inforom", "slow"))
    assert fake.smi("-q", "-x").rc == 0, "it struck once"


@pytest.mark.parametrize("fault", ["hang", "crash"])
def test_a_program_that_hangs_or_crashes_is_an_error(host, fault):
    fake = host(apart=True)
    fake.control("fault", fault)
    with pytest.raises(CommandError):
        read(fake, timeout_s=3)
    assert len(fake.gpus) == 2, "the state can still be read"


@pytest.mark.parametrize("fault", ["refuse", "warn", "silent"])
def test_faults_of_changing(host, fault):
    fake = host("h100x2")
    fake.smi("-pm", "1")
    fake.control("fault", fault, "--gpu", "1")
    done = fake.smi("-pl", "500")
    assert done.rc == (255 if fault == "refuse" else 0)
    assert ("Treating as warning" in done.stdout) == (fault == "warn")
    assert [gpu["power_w"] for gpu in fake.gpus] == [500, 700]
    fake.smi("-i", "1", "-mig", "1")
    assert [gpu["mig"] for gpu in fake.gpus] == [False, False]
    assert read(fake).gpus[1].power_limit_w == 700
    fake.control("clear")
    assert fake.smi("-i", "1", "-pl", "500").rc == 0
    assert fake.gpus[1]["power_w"] == 500


@pytest.mark.parametrize("driver", ["515.105.01", "580.95.05"])
def test_a_gpu_that_fell_off_the_bus_does_not_hide_the_others(host, driver):
    fake = host("a100x2", driver)
    fake.control("fault", "lost", "--gpu", "0")
    assert fake.smi("-q", "-x").rc == 15
    answer = read(fake)
    assert [gpu.pci_address for gpu in answer.gpus] == ["0000:11:00.0"]
    assert "0000:10:00.0" in answer.notes
    fake.control("boot")
    assert len(read(fake).gpus) == 2


def test_mig_mode_can_stay_pending_over_resets(host):
    fake = host("h100x1")
    fake.control("fault", "pending")
    assert PENDING in fake.smi("-mig", "1").stdout
    fake.smi("-r")
    assert (fake.gpus[0]["mig"], fake.gpus[0]["mig_pending"]) == (False, True)


def test_new_libraries_need_the_driver_to_be_loaded_again(host):
    fake = host()
    fake.control("install", "--driver", "595.91.07")
    assert fake.smi("-L").rc == 18
    fake.control("reload")
    assert read(fake).driver.version == "595.91.07"


def test_a_gpu_that_wants_a_reset_is_well_after_it(host):
    fake = host("h100x1")
    fake.control("set", "--gpu", "0", "recovery=Reset", "uncorrected=2")
    gpu = read(fake).gpus[0]
    assert (gpu.recovery_action, gpu.ecc_uncorrected) == ("reset", 2)
    fake.smi("-r")
    assert read(fake).gpus[0].recovery_action == "none"


def test_each_call_is_written_down(host):
    fake = host()
    fake.smi("-L")
    fake.smi("mig", "-lgip")
    assert fake.control("calls", "--clear") == '[["nvidia-smi", "-L"], ["nvidia-smi", "mig", "-lgip"]]\n'
    assert fake.control("calls") == "[]\n"


def test_queries_print_values_with_and_without_units(host):
    fake = host("h100x1", "610.57.04")
    fake.control("hold", "--gpu", "0", "--pid", "12", "--name", "vllm", "--memory", "9")
    ask = "--query-gpu=index,name,driver_version,memory.total,fan.speed"
    assert fake.smi(ask, "--format=csv").stdout.splitlines() == [
        "index, name, driver_version, memory.total [MiB], fan.speed",
        "0, NVIDIA H100 80GB HBM3, 610.57.04, 81559 MiB, [N/A]",
    ]
    assert fake.smi("--query-gpu=memory.used", "--format=csv,noheader,nounits").stdout == "9\n"
    assert fake.smi("--query-compute-apps=pid,name,used_memory", "--format=csv,noheader").stdout == "12, vllm, 9 MiB\n"
    assert fake.smi("--query-gpu=shoe_size", "--format=csv").rc == 2
    assert "KMD version         : 610.57.04" in fake.smi("--version").stdout


def spec_of(fake, *options):
    fake.smi("-i", "1", "-mig", "1")
    fake.smi("mig", "-i", "1", "-cgi", "9,9", "-C")
    place = fake.path / "cdi" / "nvidia.yaml"
    assert fake("nvidia-ctk", "cdi", "generate", f"--output={place}", *options).rc == 0
    return yaml.safe_load(place.read_text())


def test_a_cdi_specification_names_gpus_mig_devices_and_the_driver(host):
    fake = host()
    spec = spec_of(fake)
    uuids = [device.uuid for device in read(fake).gpus[1].mig_devices]
    names = ["0", fake.gpus[0]["uuid"], "1:0", uuids[0], "1:1", uuids[1], "all"]
    assert ([device["name"] for device in spec["devices"]], spec["kind"]) == (names, "nvidia.com/gpu")
    assert {mount["hostPath"].rpartition(".so.")[2] for mount in spec["containerEdits"]["mounts"][:-1]} == {"580.95.05"}
    listed = fake("nvidia-ctk", "cdi", "list", f"--spec-dir={fake.path / 'cdi'}").stdout.split()
    assert listed == sorted(f"nvidia.com/gpu={name}" for name in names)


def test_a_cdi_specification_can_have_other_names_and_be_json(host):
    fake = host()
    done = fake("nvidia-ctk", "cdi", "generate", "--format=json", "--device-name-strategy=type-index", "--class=card")
    spec = json.loads(done.stdout)
    assert ([device["name"] for device in spec["devices"]], spec["kind"]) == (
        ["gpu0", "gpu1", "all"],
        "nvidia.com/card",
    )


@pytest.mark.parametrize("fault", ["not-loaded", "mismatch"])
def test_there_is_no_cdi_specification_without_a_driver(host, fault):
    fake = host()
    fake.control("fault", fault)
    assert fake("nvidia-ctk", "cdi", "generate", f"--output={fake.path}/cdi.yaml").rc == 1
    assert not (fake.path / "cdi.yaml").exists()


def test_two_specifications_in_one_directory_take_devices_away_from_each_other(host, tmp_path):
    fake = host("t4x1")
    for name in ("one/a.yaml", "one/b.json", "two/c.yaml"):
        assert fake("nvidia-ctk", "cdi", "generate", f"--output={tmp_path / name}").rc == 0
    assert fake("nvidia-ctk", "cdi", "list", f"--spec-dir={tmp_path}/one").stdout == ""
    assert "nvidia.com/gpu=all" in fake("nvidia-ctk", "cdi", "list", f"--spec-dir={tmp_path}/two").stdout


def test_docker_is_configured_as_the_real_tool_does_it(host, tmp_path):
    path = tmp_path / "daemon.json"
    path.write_text('{"mtu": 1400, "features": {"buildkit": true}}')
    argv = ("nvidia-ctk", "runtime", "configure", "--runtime=docker", f"--config={path}", "--cdi.enabled")
    assert host()(*argv).rc == 0
    nvidia_runtime = {"args": [], "path": "nvidia-container-runtime"}
    assert json.loads(path.read_text()) == {
        "features": {"cdi": True},
        "mtu": 1400,
        "runtimes": {"nvidia": nvidia_runtime},
    }


@pytest.mark.parametrize(("rocm", "driver"), [("6.4.1", "6.8.5"), ("7.0.2", "6.16.6"), ("7.2.0", "6.16.6")])
def test_amd_gpus_are_read_in_the_shape_of_each_rocm(host, rocm, driver):
    fake = host("mi300x8", "580.95.05", "--rocm", rocm)
    fake.control("hold", "--gpu", "1", "--name", "vllm", "--pid", "77", "--memory", "512")
    devices = [PciDevice("amd", f"0000:{bus:02x}:00.0", "1002:74a1", "amdgpu") for bus in range(16, 24)]
    answer = amd.read(fake, devices, timeout_s=30)
    assert (len(answer.gpus), answer.driver.version) == (8, driver)
    first, second = answer.gpus[:2]
    assert (first.pci_address, first.name, first.architecture) == ("0000:10:00.0", "AMD Instinct MI300X", "gfx942")
    assert (first.memory_total_mib, first.power_limit_w, first.power_limit_max_w) == (196592, 750, 750)
    assert [(one.pid, one.name, one.memory_mib) for one in second.processes] == [(77, "vllm", 512)]
    fake.control("fault", "cut", "--on", "metric")
    with pytest.raises(CommandError):
        amd.read(fake, devices, timeout_s=30)
    fake.control("clear")
    fake.control("fault", "not-loaded")
    assert amd.read(fake, [PciDevice("amd", "0000:10:00.0", "1002:74a1")], timeout_s=30).gpus == ()


def test_amd_gpus_have_a_cdi_specification(host, tmp_path):
    fake = host("mi300x8")
    assert fake("amd-ctk", "cdi", "generate", f"--output={tmp_path}/cdi/amd.json").rc == 0
    listed = fake("amd-ctk", "cdi", "list", f"--spec-dir={tmp_path}/cdi").stdout.splitlines()
    assert (len(listed), listed[1], listed[-1]) == (10, "amd.com/gpu=0", "amd.com/gpu=all")
    assert host("a100x1")("amd-ctk", "cdi", "generate", f"--output={tmp_path}/none.json").rc == 1
