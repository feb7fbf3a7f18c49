# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""main() with the real AnsibleModule, and programs on PATH that are started as on a host."""

from __future__ import annotations

import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.modules import gpu_probe
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import synthetic_gpu, synthetic_log

BANDWIDTH = {
    "nvbandwidth": {
        "testcases": [
            {"name": "host_to_device_memcpy_ce", "status": "Passed", "bandwidth_matrix": [["55.10"]]},
            {"name": "device_to_host_memcpy_ce", "status": "Passed", "bandwidth_matrix": [["54.20"]]},
            {"name": "device_to_device_memcpy_read_ce", "status": "Waived"},
        ]
    }
}
DIAGNOSTICS = {"DCGM Diagnostic": {"test_categories": [{"tests": [{"name": "x", "results": [{"status": "Pass"}]}]}]}}


@pytest.fixture
def run_module(tmp_path, monkeypatch, capsys):
    """Runs main(); each program prints this text, after its environment and arguments have been written down."""
    calls = tmp_path / "calls"
    calls.write_text("")

    def run(programs, *, check_mode=False, **options):
        for name, text in programs.items():
            (tmp_path / f"{name}.out").write_text(text)
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f'#!/bin/sh\necho "{name} $CUDA_DEVICE_ORDER $*" >>{calls}\ncat {tmp_path}/{name}.out\n')
            path.chmod(0o755)
        with patch_module_args({"_ansible_check_mode": check_mode, **options}), pytest.raises(SystemExit):
            gpu_probe.main()
        return json.loads(capsys.readouterr().out), calls.read_text().splitlines()

    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}/usr/bin{os.pathsep}/bin")
    return run


@pytest.fixture
def programs():
    return {
        "nvidia-smi": synthetic_log(synthetic_gpu(body="<uuid>GPU-1</uuid>")),
        "nvbandwidth": json.dumps(BANDWIDTH),
        "dcgmi": json.dumps(DIAGNOSTICS),
    }


def test_programs_run_and_are_read(run_module, programs):
    found, calls = run_module(programs)
    assert (found["changed"], found["bandwidth"]["to_gpu"], found["bandwidth"]["from_gpu"]) == (False, [55.1], [54.2])
    assert found["dcgm"]["tests"] == [{"name": "x", "status": "passed", "messages": []}]
    assert [call for call in calls if call.startswith("nvbandwidth PCI_BUS_ID --testcase host_to_device_memcpy_ce")]
    assert "dcgmi  diag -r 2 -j" in calls


def test_check_mode_starts_nothing(run_module, programs):
    found, calls = run_module(programs, check_mode=True)
    assert {found[name]["skipped"] for name in ("container", "bandwidth", "dcgm")} == {"Check mode starts nothing."}
    assert calls == []


def test_gpus_that_cannot_be_read_are_an_error(run_module, programs):
    found, calls = run_module({**programs, "nvidia-smi": "<nvidia_smi_log"})
    assert found["failed"] and "the state of the NVIDIA GPUs could not be read" in found["msg"]
    assert not [call for call in calls if "dcgmi" in call]
