# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings import locked_clocks
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.result import Options
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.settings_apply import converge
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.smi import Smi
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu_settings.support import FakeGpu, FakeSmiHost

DESIRED = {
    "select": "all",
    "persistence": True,
    "power_limit_w": 250.0,
    "compute_mode": "exclusive_process",
    "locked_clocks_mhz": [900, 1200],
    "locked_memory_clocks_mhz": [1215, 1215],
}


@pytest.fixture
def root(tmp_path):
    """A host's files: a boot, a loaded module."""
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    (tmp_path / "sys/module/nvidia").mkdir(parents=True)
    return tmp_path


def go(host, root, *entries, dry_run=False, strict=True, **options):
    smi = Smi(host, timeout_s=5, root=str(root))
    return converge(smi, entries, Options(root=str(root), **options), dry_run=dry_run, strict=strict)


def test_what_is_desired_is_planned_applied_and_then_right(root):
    host = FakeSmiHost(FakeGpu(persistence="Disabled"))
    planned = go(host, root, DESIRED, dry_run=True)
    assert host.changes() == []
    done = go(host, root, DESIRED).must()
    assert host.changes() == [
        "nvidia-smi -i GPU-1 -pm 1",
        "nvidia-smi -i GPU-1 -c 3",
        "nvidia-smi -i GPU-1 -pl 250",
        "nvidia-smi -i GPU-1 -lgc 900,1200",
        "nvidia-smi -i GPU-1 -lmc 1215,1215",
    ]
    assert planned.changed and done.changed
    assert planned.commands == done.commands
    assert planned.as_result()["diff"] == done.as_result()["diff"]
    assert [row["attribute"] for row in planned.as_result()["drift"]] == [
        "persistence",
        "compute_mode",
        "power_limit_w",
        "locked_clocks_mhz",
        "locked_memory_clocks_mhz",
    ]
    again = go(host, root, DESIRED)
    assert (again.changed, again.commands, again.drift) == (False, (), ())
    assert again.as_result().keys() == done.as_result().keys() == planned.as_result().keys()


@pytest.mark.parametrize("lost", ["boot", "reload", "persistence"])
def test_locked_clocks_are_locked_again_when_the_driver_has_forgotten_them(root, lost):
    host = FakeSmiHost(FakeGpu())
    desired = {"select": "all", "persistence": True, "locked_clocks_mhz": [900, 1200]}
    go(host, root, desired)
    if lost == "boot":
        (root / "proc/sys/kernel/random/boot_id").write_text("boot-2\n")
    elif lost == "reload":
        (root / "sys/module/nvidia").rename(root / "sys/module/old")
        (root / "sys/module/nvidia").mkdir()
    else:
        host.gpus[0].persistence = "Disabled"
    again = go(host, root, desired)
    assert ("nvidia-smi", "-i", "GPU-1", "-lgc", "900,1200") in again.commands
    assert not go(host, root, desired).changed


def test_clocks_are_let_go(root):
    host = FakeSmiHost(FakeGpu())
    go(host, root, {"select": "all", "locked_clocks_mhz": [900, 1200]})
    free = go(host, root, {"select": "all", "locked_clocks_mhz": []})
    assert free.commands == (("nvidia-smi", "-i", "GPU-1", "-rgc"),)
    assert not go(host, root, {"select": "all", "locked_clocks_mhz": []}).changed


def test_a_damaged_record_is_no_record(root):
    (root / "run/mlops.hosts").mkdir(parents=True)
    (root / locked_clocks.RECORD).write_text("{")
    assert locked_clocks.read(str(root)) == {}


@pytest.mark.parametrize(
    ("desired", "why"),
    [
        pytest.param({"power_limit_w": 500.0}, "500 is out of bounds: the device takes 100 to 400 W", id="power-above"),
        pytest.param({"power_limit_w": 50.0}, "50 is out of bounds: the device takes 100 to 400 W", id="power-below"),
        pytest.param({"locked_clocks_mhz": [900, 1500]}, "the device reaches 1410 MHz", id="clock-above"),
        pytest.param({"locked_clocks_mhz": [1200, 900]}, "the lowest and the highest", id="clocks-turned-round"),
        pytest.param({"locked_clocks_mhz": [900]}, "the lowest and the highest", id="one-clock"),
        pytest.param(
            {"persistence": False, "locked_clocks_mhz": [900, 1200]}, "ask for persistence, too", id="lock-that-is-lost"
        ),
        pytest.param(
            {"persistence": False, "power_limit_w": 300.0}, "ask for persistence, too", id="limit-that-is-lost"
        ),
        pytest.param({"compute_mode": "exclusive_thread"}, "is none of default", id="mode-that-is-gone"),
    ],
)
def test_what_the_device_cannot_have_is_refused_before_anything_changes(root, desired, why):
    host = FakeSmiHost(FakeGpu(), FakeGpu("GPU-2", "00000000:08:00.0"))
    with pytest.raises(HostError, match=why) as refused:
        go(host, root, {"select": "GPU-1", **desired}, {"select": "GPU-2", "power_limit_w": 300.0}).must()
    assert host.changes() == []
    assert (refused.value.details["changed"], refused.value.details["commands"]) == (False, [])


def test_a_device_without_ecc_cannot_have_it(root):
    host = FakeSmiHost(FakeGpu(ecc=["N/A", "N/A"], power="N/A"))
    with pytest.raises(HostError, match="no ECC that can be set.*no power limit that can be set"):
        go(host, root, {"select": "all", "ecc": True, "power_limit_w": 200.0}).must()


def test_exit_0_with_a_warning_is_an_error_that_quotes_it(root):
    host = FakeSmiHost(FakeGpu())
    refused = "Changing power management limit is not supported for GPU: 00000000:07:00.0."
    host.faults["-pl"] = Completed((), 0, f"{refused}\nTreating as warning and moving on.\nAll done.\n", "")
    with pytest.raises(
        HostError, match="exited with status 0, and said: Changing power.*Treating as warning and moving on"
    ):
        go(host, root, {"select": "all", "power_limit_w": 250.0}).must()


def test_exit_0_without_a_word_and_without_effect_is_an_error(root):
    host = FakeSmiHost(FakeGpu())
    host.faults["-pl"] = "ignored"
    with pytest.raises(
        HostError, match="took power_limit_w 250.0 and exited with status 0, and the device still has 400.0"
    ):
        go(host, root, {"select": "all", "power_limit_w": 250.0}).must()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(Completed((), 124, "", "", timed_out=True), "did not end in 5 s", id="hang"),
        pytest.param(
            Completed((), 4, "", "Insufficient permissions"),
            "exited with status 4: Insufficient permissions",
            id="refusal",
        ),
    ],
)
def test_a_command_that_fails_is_an_error_and_the_other_gpus_are_set(root, fault, why):
    host = FakeSmiHost(FakeGpu(), FakeGpu("GPU-2", "00000000:08:00.0"))
    host.faults["GPU-1"] = fault
    with pytest.raises(HostError, match=why) as failed:
        go(host, root, {"select": "all", "power_limit_w": 250.0}).must()
    assert host.gpus[1].power == "250.00 W"
    assert [gpu["power_limit_w"] for gpu in failed.value.details["gpus"]] == [400.0, 250.0]


@pytest.mark.parametrize(
    "answer",
    [
        Completed((), 139, "<nvidia_smi_log><gpu id=", "Segmentation fault"),
        Completed((), 0, "<nvidia_smi_log><gpu id=", ""),
        Completed((), 124, "", "", timed_out=True),
    ],
    ids=["crash", "cut-short", "hang"],
)
def test_a_state_that_cannot_be_read_changes_nothing(root, answer):
    host = FakeSmiHost(FakeGpu())
    host.faults["-q"] = answer
    with pytest.raises(HostError, match="could not be read"):
        go(host, root, DESIRED)
    assert host.changes() == []


def test_ecc_waits_for_a_reset_and_says_so_each_time(root):
    host = FakeSmiHost(FakeGpu(ecc=["Disabled", "Disabled"]))
    for changed in (True, False):
        result = go(host, root, {"select": "all", "ecc": True})
        assert result.changed is changed
        result = result.as_result()
        assert result["pending"] == [
            {"gpu": "GPU-1", "setting": "ecc", "current": "disabled", "pending": "enabled", "ends_with": "reset"}
        ]
        assert (result["reset_required"], result["reboot_required"]) == (True, False)
    assert host.changes() == ["nvidia-smi -i GPU-1 -e 1"]


def test_in_a_virtual_machine_it_waits_for_a_reboot(root):
    host = FakeSmiHost(FakeGpu(ecc=["Disabled", "Enabled"], virtual="Pass-Through"))
    result = go(host, root, {"select": "all", "ecc": True}, reset=True).as_result()
    assert (result["reset_required"], result["reboot_required"], host.changes()) == (False, True, [])


def test_with_consent_an_idle_gpu_is_reset_and_set_again(root):
    host = FakeSmiHost(FakeGpu(ecc=["Disabled", "Disabled"]), units={"dcgm.service": True, "off.service": False})
    desired = {**DESIRED, "ecc": True}
    result = go(host, root, desired, reset=True, services=("dcgm.service", "off.service")).must()
    assert host.changes()[:4] == [
        "nvidia-smi -i GPU-1 -e 1",
        "systemctl stop dcgm.service",
        "nvidia-smi --gpu-reset -i GPU-1",
        "systemctl start dcgm.service",
    ]
    assert (result.pending, result.services, result.disruptive) == ((), ("dcgm.service",), True)
    assert (host.gpus[0].power, host.gpus[0].persistence, host.gpus[0].ecc[0]) == ("250.00 W", "Enabled", "Enabled")
    assert not go(host, root, desired, reset=True).changed


def test_a_busy_gpu_is_not_reset_and_its_processes_are_named(root):
    host = FakeSmiHost(FakeGpu(ecc=["Disabled", "Enabled"], processes=[(4711, "python3", None)]))
    result = go(host, root, {"select": "all", "ecc": True}, reset=True)
    assert result.as_result()["blockers"] == [{"gpu": "GPU-1", "pid": 4711, "command": "python3"}]
    assert (host.changes(), len(result.pending)) == ([], 1)


def test_a_gpu_with_mig_instances_is_not_reset(root):
    gpu = FakeGpu(ecc=["Disabled", "Enabled"], mig=["Enabled", "Enabled"])
    host = FakeSmiHost(gpu)
    xml = gpu.xml.replace(
        "<processes>",
        "<mig_devices><mig_device><index>0</index><gpu_instance_id>1</gpu_instance_id></mig_device></mig_devices><processes>",
    )
    host.faults["-q"] = Completed((), 0, f"<nvidia_smi_log><attached_gpus>1</attached_gpus>{xml}</nvidia_smi_log>", "")
    host.faults["-L"] = Completed((), 0, "GPU 0: x (UUID: GPU-1)\n  MIG 1g.5gb     Device  0: (UUID: MIG-1)\n", "")
    assert len(go(host, root, {"select": "all", "ecc": True}, reset=True).pending) == 1
    assert host.changes() == []


def test_a_refused_reset_is_an_error_and_what_was_stopped_runs_again(root):
    host = FakeSmiHost(FakeGpu(ecc=["Disabled", "Disabled"]), units={"a.service": True, "b.service": True})
    host.faults["--gpu-reset"] = Completed((), 255, "GPU Reset couldn't run: In use by another client\n", "")
    with pytest.raises(HostError, match="was not reset: nvidia-smi exited with status 255: GPU Reset couldn't run"):
        go(host, root, {"select": "all", "ecc": True}, reset=True, services=("a.service", "b.service")).must()
    assert [line for line in host.changes() if "systemctl" in line] == [
        "systemctl stop a.service",
        "systemctl stop b.service",
        "systemctl start b.service",
        "systemctl start a.service",
    ]


def test_a_lost_gpu_is_not_passed_over(root):
    device = root / "sys/bus/pci/devices/0000:09:00.0"
    device.mkdir(parents=True)
    for name, value in {"vendor": "0x10de", "device": "0x20b0", "class": "0x030200"}.items():
        (device / name).write_text(value)
    host = FakeSmiHost(FakeGpu())
    with pytest.raises(HostError, match="does not list the one at 0000:09:00.0"):
        go(host, root, {"select": "all", "power_limit_w": 250.0}).must()
    assert go(host, root, {"select": "GPU-1", "power_limit_w": 250.0}).must().changed


def test_no_entry_asks_nothing(root):
    host = FakeSmiHost()
    assert not go(host, root).changed
    assert host.calls == []
