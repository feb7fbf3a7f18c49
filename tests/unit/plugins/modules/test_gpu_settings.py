# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both modules from end to end: the real AnsibleModule, and a fake of nvidia-smi on PATH."""

from __future__ import annotations

import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings import locked_clocks
from ansible_collections.mlops.hosts.plugins.modules import gpu_settings, mig_layout
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu_settings.support import FakeGpu

KEYS = {
    "changed", "gpus", "commands", "pending", "reset_required", "reboot_required", "blockers", "drift", "services",
    "disruptive", "diff",
}  # fmt: skip
# Answers -q -x from a file, and does -pl on that file.
FAKE = """#!/bin/sh
answer={folder}/answer.xml
case "$*" in
*-x*) cat "$answer" ;;
*-pl*) echo "$*" >>{folder}/calls; sed -i "s/<requested_power_limit>[0-9.]*/<requested_power_limit>$4.00/" "$answer" ;;
*) echo 'No MIG-enabled devices found.'; exit 6 ;;
esac
"""


@pytest.fixture
def run_module(tmp_path, monkeypatch, capsys):
    gpu = FakeGpu()
    (tmp_path / "answer.xml").write_text(f"<nvidia_smi_log><attached_gpus>1</attached_gpus>{gpu.xml}</nvidia_smi_log>")
    fake = tmp_path / "nvidia-smi-fake"
    fake.write_text(FAKE.format(folder=tmp_path))
    fake.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvidia-smi").symlink_to(fake)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(locked_clocks, "RECORD", str(tmp_path / "gpu_clocks.json"))

    def run(module, *, check_mode: bool = False, **options: object) -> dict:
        with patch_module_args({"_ansible_check_mode": check_mode, **options}), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_settings_are_planned_set_and_then_right(run_module, tmp_path):
    devices = [{"select": "all", "power_limit_w": 250}]
    planned = run_module(gpu_settings, check_mode=True, devices=devices)
    assert not (tmp_path / "calls").exists()
    done = run_module(gpu_settings, devices=devices)
    assert (tmp_path / "calls").read_text() == "-i GPU-1 -pl 250\n"
    again = run_module(gpu_settings, devices=devices)
    assert [one["changed"] for one in (planned, done, again)] == [True, True, False]
    assert planned["diff"] == done["diff"]
    for one in (planned, done, again):
        assert set(one) - {"invocation"} == KEYS


def test_a_refusal_has_the_same_keys_and_a_sentence(run_module):
    failed = run_module(gpu_settings, devices=[{"select": "0", "power_limit_w": 250}])
    assert failed["failed"] is True
    assert "an index is not an identity" in failed["msg"]
    assert set(failed) - {"invocation", "failed", "msg"} == KEYS


def test_a_layout_is_planned_without_profiles(run_module):
    planned = run_module(mig_layout, check_mode=True, devices=[{"select": "*A100*", "layout": ["7g.40gb"]}])
    assert planned["commands"][0] == ["nvidia-smi", "-i", "GPU-1", "-mig", "1"]
    assert set(planned) - {"invocation"} == KEYS
    off = run_module(mig_layout, devices=[{"select": "all", "layout": []}])
    assert (off["changed"], off["commands"]) == (False, [])


def test_a_layout_that_cannot_be_set_is_a_failure_with_evidence(run_module):
    failed = run_module(mig_layout, devices=[{"select": "all", "layout": ["7g.40gb"]}])
    assert failed["failed"] is True
    assert "There are now: MIG mode disabled, no instances." in failed["msg"]
