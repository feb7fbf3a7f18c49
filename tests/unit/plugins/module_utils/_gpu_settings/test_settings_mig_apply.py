# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings import locked_clocks
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.mig_apply import converge
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.result import Options
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.smi import Smi
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu_settings.support import FakeGpu, FakeSmiHost

ON = ["Enabled", "Enabled"]
LAYOUT = ["1g.5gb", "3g.20gb", "2g.10gb"]


def go(host, tmp_path, *layout, dry_run=False, strict=True, select="all", **options):
    smi = Smi(host, timeout_s=5, root=str(tmp_path))
    entries = [{"select": select, "layout": list(layout)}]
    return converge(smi, entries, Options(root=str(tmp_path), **options), dry_run=dry_run, strict=strict)


def test_mode_and_geometry_from_nothing(tmp_path):
    host = FakeSmiHost(FakeGpu(), units={"nvidia-cdi-refresh.service": True})
    planned = go(host, tmp_path, *LAYOUT, dry_run=True).must()
    assert host.changes() == []
    done = go(host, tmp_path, *LAYOUT).must()
    assert host.changes() == [
        "nvidia-smi -i GPU-1 -mig 1",
        "nvidia-smi mig -i GPU-1 -cgi 9:0,14:4,19:6 -C",
        "systemctl --no-block restart nvidia-cdi-refresh.service",
    ]
    assert planned.commands == done.commands
    assert planned.as_result()["diff"] == done.as_result()["diff"]
    assert done.after[0]["layout"] == sorted(LAYOUT)
    again = go(host, tmp_path, *reversed(LAYOUT))
    assert (again.changed, again.commands, again.drift, len(host.changes())) == (False, (), (), 3)
    assert again.as_result().keys() == done.as_result().keys() == planned.as_result().keys()


def test_a_driver_that_tells_no_profiles_with_the_mode_off(tmp_path):
    host = FakeSmiHost(FakeGpu(), tells_profiles=False)
    planned = go(host, tmp_path, *LAYOUT, dry_run=True).must()
    assert planned.commands[-1] == ("nvidia-smi", "mig", "-i", "GPU-1", "-cgi", "1g.5gb,2g.10gb,3g.20gb", "-C")
    assert go(host, tmp_path, *LAYOUT).must().after[0]["layout"] == sorted(LAYOUT)
    # What it would have told before, it tells now, and the mode goes back.
    host = FakeSmiHost(FakeGpu(), tells_profiles=False)
    with pytest.raises(
        HostError, match="no such profile.*MIG mode was switched off again.*There are now: MIG mode disabled"
    ):
        go(host, tmp_path, "9g.99gb").must()
    assert host.gpus[0].mig == ["Disabled", "Disabled"]


@pytest.mark.parametrize(
    ("layout", "why"),
    [(["9g.99gb"], "the device has no such profile"), (["3g.20gb"] * 3, "do not fit on the device")],
    ids=["unknown-profile", "no-room"],
)
def test_what_cannot_be_is_refused_before_anything_changes(tmp_path, layout, why):
    for dry_run in (True, False):
        host = FakeSmiHost(FakeGpu())
        with pytest.raises(HostError, match=why):
            go(host, tmp_path, *layout, dry_run=dry_run).must()
        assert host.changes() == []


def test_a_device_without_mig(tmp_path):
    host = FakeSmiHost(FakeGpu(name="NVIDIA L4", mig=["N/A", "N/A"]))
    with pytest.raises(HostError, match="the device has no MIG mode"):
        go(host, tmp_path, "1g.5gb").must()
    assert not go(host, tmp_path).must().changed


def test_only_what_differs_is_destroyed_and_only_its_processes_are_in_the_way(tmp_path):
    gpu = FakeGpu(mig=list(ON))
    gpu.add("3g.20gb", 0)
    gone = gpu.add("3g.20gb", 4)
    gpu.processes = [(1, "stays", 1)]
    host = FakeSmiHost(gpu)
    go(host, tmp_path, "3g.20gb", "2g.10gb").must()
    assert host.changes() == [
        f"nvidia-smi mig -i GPU-1 -dci -gi {gone}",
        f"nvidia-smi mig -i GPU-1 -dgi -gi {gone}",
        "nvidia-smi mig -i GPU-1 -cgi 14:4 -C",
    ]


@pytest.mark.parametrize("dry_run", [True, False], ids=["check", "run"])
def test_processes_in_the_way_are_named_and_nothing_changes(tmp_path, dry_run):
    gpu = FakeGpu(mig=list(ON), processes=[(4711, "/usr/bin/python3", 1)])
    gpu.add("7g.40gb", 0)
    host = FakeSmiHost(gpu)
    with pytest.raises(HostError, match=r"is in use by /usr/bin/python3 \(pid 4711\)") as busy:
        go(host, tmp_path, "3g.20gb", dry_run=dry_run).must()
    assert busy.value.details["blockers"] == [{"gpu": "GPU-1", "pid": 4711, "command": "/usr/bin/python3"}]
    assert host.changes() == []


def test_at_boot_a_busy_gpu_does_not_keep_the_others_from_their_geometry(tmp_path):
    busy = FakeGpu(mig=list(ON), processes=[(4711, "python3", None)])
    busy.add("7g.40gb", 0)
    host = FakeSmiHost(busy, FakeGpu("GPU-2", "00000000:08:00.0"))
    result = go(host, tmp_path, "3g.20gb", strict=False)
    assert "is in use by python3 (pid 4711)" in result.problems[0]
    assert [view["layout"] for view in result.after] == [["7g.40gb"], ["3g.20gb"]]


def test_a_cdi_refresh_that_fails_is_told(tmp_path):
    host = FakeSmiHost(FakeGpu(), units={"nvidia-cdi-refresh.service": True})
    host.faults["restart"] = Completed((), 1, "", "Unit not found")
    with pytest.raises(HostError, match="CDI names MIG devices that are gone") as failed:
        go(host, tmp_path, "7g.40gb").must()
    assert failed.value.details["gpus"][0]["layout"] == ["7g.40gb"]


def test_services_in_the_way_are_stopped_and_started_in_reverse(tmp_path):
    host = FakeSmiHost(
        FakeGpu(processes=[(1, "nv-hostengine", None)]),
        units={"frees.service": True, "other.service": True, "off.service": False},
    )
    assert go(host, tmp_path, "7g.40gb", dry_run=True, services=("frees.service",)).must().changed
    locked_clocks.write({"GPU-1": {"locked_clocks_mhz": [1, 2]}}, str(tmp_path))
    done = go(host, tmp_path, "7g.40gb", services=("frees.service", "off.service", "other.service")).must()
    lines = host.changes()
    assert lines[:2] == ["systemctl stop frees.service", "systemctl stop other.service"]
    assert lines[-2:] == ["systemctl start other.service", "systemctl start frees.service"]
    assert done.services == ("frees.service", "other.service")
    # They may have kept the GPU initialised.
    assert locked_clocks.read(str(tmp_path)) == {}


def test_services_run_again_when_it_fails_half_way(tmp_path):
    host = FakeSmiHost(FakeGpu(), units={"a.service": True})
    host.faults["-cgi"] = Completed((), 19, "Failed to create GPU instances: Insufficient Resources\n", "")
    with pytest.raises(HostError, match="Insufficient Resources.*There are now: MIG mode enabled, no instances"):
        go(host, tmp_path, "7g.40gb", services=("a.service",)).must()
    assert host.units["a.service"] is True


@pytest.mark.parametrize(
    ("said", "end"), [("In use by another client", "reset"), ("Not Supported", "reboot")], ids=["busy", "virtual"]
)
def test_a_mode_that_waits(tmp_path, said, end):
    host = FakeSmiHost(FakeGpu())
    host.busy_mode = said
    result = go(host, tmp_path, "7g.40gb").must().as_result()
    assert result["pending"] == [
        {"gpu": "GPU-1", "setting": "mig_mode", "current": "disabled", "pending": "enabled", "ends_with": end}
    ]
    assert (result["reset_required"], result["reboot_required"]) == (end == "reset", end == "reboot")
    again = go(host, tmp_path, "7g.40gb").must()
    assert (again.changed, len(again.pending), len(host.changes())) == (False, 1, 1)


def test_with_consent_a_reset_ends_it(tmp_path):
    host = FakeSmiHost(FakeGpu())
    host.busy_mode = "In use by another client"
    result = go(host, tmp_path, "7g.40gb", reset=True).must()
    assert host.changes()[1] == "nvidia-smi --gpu-reset -i GPU-1"
    assert (result.pending, result.after[0]["layout"]) == ((), ["7g.40gb"])
    # As does that of an earlier run.
    host = FakeSmiHost(FakeGpu(mig=["Disabled", "Enabled"]))
    assert go(host, tmp_path, "7g.40gb", reset=True).must().after[0]["layout"] == ["7g.40gb"]


def test_a_mode_that_was_set_to_go_is_set_back(tmp_path):
    gpu = FakeGpu(mig=["Enabled", "Disabled"])
    gpu.add("7g.40gb", 0)
    host = FakeSmiHost(gpu)
    go(host, tmp_path, "7g.40gb").must()
    assert host.changes() == ["nvidia-smi -i GPU-1 -mig 1"]


def test_a_mode_that_is_not_taken_is_an_error_that_quotes(tmp_path):
    host = FakeSmiHost(FakeGpu())
    host.faults["-mig"] = Completed(
        (), 0, "Unable to enable MIG Mode: Not Supported\nTreating as warning and moving on.\n", ""
    )
    with pytest.raises(HostError, match="exited with status 0, and said: Unable to enable MIG Mode.*There are now"):
        go(host, tmp_path, "7g.40gb").must()


def test_no_profile_is_mode_off(tmp_path):
    gpu = FakeGpu(mig=list(ON))
    gpu.add("3g.20gb", 0)
    host = FakeSmiHost(gpu)
    done = go(host, tmp_path).must()
    assert host.changes()[-1] == "nvidia-smi -i GPU-1 -mig 0"
    assert (done.after[0]["layout"], done.after[0]["mig_mode"]) == ([], "disabled")
    assert not go(host, tmp_path).changed


def test_what_is_not_there_after_exit_0_is_an_error(tmp_path):
    host = FakeSmiHost(FakeGpu(mig=list(ON)))
    host.faults["-cgi"] = "ignored"
    with pytest.raises(
        HostError, match="exited with status 0, and the geometry is another. There are now: MIG mode enabled, no inst"
    ):
        go(host, tmp_path, "7g.40gb").must()


def test_who_is_in_the_way_and_not_listed_is_named_from_proc(tmp_path):
    folder = tmp_path / "proc/42/fd"
    folder.mkdir(parents=True)
    (folder / "3").symlink_to("/dev/nvidia0")
    (tmp_path / "proc/42/comm").write_text("dcgm\n")
    gpu = FakeGpu(mig=list(ON))
    gpu.add("3g.20gb", 0)
    host = FakeSmiHost(gpu)
    host.faults["-dci"] = Completed((), 19, "Unable to destroy compute instance: In use by another client\n", "")
    with pytest.raises(HostError, match=r"Devices of the driver are open in: dcgm \(pid 42\)"):
        go(host, tmp_path, "7g.40gb").must()


def test_tables_that_say_nothing_are_an_error(tmp_path):
    host = FakeSmiHost(FakeGpu(mig=list(ON)))
    host.faults["-lgi"] = Completed((), 0, "Unknown Error\n", "")
    with pytest.raises(HostError, match="lists no GPU instance of .* printed: Unknown Error"):
        go(host, tmp_path, "7g.40gb")
