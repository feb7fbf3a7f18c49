# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import pathlib
import time

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.doc_fragments._commands import ModuleDocFragment
from ansible_collections.mlops.hosts.plugins.modules import gpu_info
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    pci_device,
    synthetic_gpu,
    synthetic_log,
)


@pytest.fixture
def run_module(tmp_path, monkeypatch, capsys):
    """Runs main() with the real AnsibleModule; nvidia-smi is a fake, a script with this body."""

    def run(fake_smi: str | None, *, check_mode: bool = False, **options: object) -> dict:
        programs = tmp_path / "bin"
        programs.mkdir()
        if fake_smi is not None:
            fake = programs / "nvidia-smi-fake"
            fake.write_text(f"#!/bin/sh\n{fake_smi}\n")
            fake.chmod(0o755)
            (programs / "nvidia-smi").symlink_to(fake)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        arguments = {"sysfs_root": str(tmp_path / "sys"), "_ansible_check_mode": check_mode, **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            gpu_info.main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("check_mode", [False, True], ids=["run", "check-mode"])
def test_a_gpu(run_module, tmp_path, check_mode):
    pci_device(tmp_path / "sys", "0000:1a:00.0", "10de", "2330", "030200", driver="nvidia")
    (tmp_path / "answer.xml").write_text(synthetic_log(synthetic_gpu(body="<product_name>NVIDIA H100</product_name>")))
    # The fake answers only when the language is one that we can read.
    result = run_module(f'[ "$LC_ALL" = C ] && exec cat {tmp_path}/answer.xml', check_mode=check_mode)
    assert (result["changed"], result["count"], result["expected_from_pci"]) == (False, 1, 1)
    assert (result["gpus"][0]["name"], result["gpus"][0]["health"]) == ("NVIDIA H100", "ok")
    assert result["driver"] == {"version": "580.105.08", "cuda_version": None}


def test_bytes_that_are_no_text(run_module, tmp_path):
    process = "<processes><process_info><pid>1</pid><process_name>\udcff</process_name></process_info></processes>"
    log = synthetic_log(synthetic_gpu(body=process))
    (tmp_path / "answer.xml").write_bytes(log.encode(errors="surrogateescape"))
    result = run_module(f"exec cat {tmp_path}/answer.xml")
    process = {"pid": 1, "name": "?", "memory_mib": None, "gpu_instance_id": None}
    assert result["gpus"][0]["processes"] == [process]


def test_half_an_answer_is_a_failure_with_evidence(run_module):
    result = run_module("printf '<nvidia_smi_log><gpu id='; echo 'went wrong' >&2; exit 139")
    assert result["failed"] is True
    assert (result["rc"], result["stderr"], result["cmd"]) == (139, "went wrong\n", ["nvidia-smi", "-q", "-x"])
    assert "gpus" not in result


def test_a_tool_that_hangs_is_cut_off(run_module):
    begin = time.monotonic()
    result = run_module("exec sleep 60", timeout_s=1)
    assert result["failed"] is True
    assert "did not end in time" in result["msg"]
    assert time.monotonic() - begin < 20


def test_a_host_without_gpus(run_module):
    result = run_module(None)
    assert (result["gpus"], result["count"], result["changed"]) == ([], 0, False)


def test_returned_keys_are_documented(run_module, tmp_path):
    yaml = pytest.importorskip("yaml")
    pci_device(tmp_path / "sys", "0000:1a:00.0", "10de", "2330", "030200")
    documented = yaml.safe_load(gpu_info.RETURN)
    result = run_module(None)
    assert set(documented) == set(result) - {"changed", "invocation"}
    assert list(documented["gpus"]["contains"]) == list(result["gpus"][0])
    assert set(documented["driver"]["contains"]) == set(result["driver"])
    texts = (gpu_info.DOCUMENTATION, ModuleDocFragment.DOCUMENTATION)
    assert {name for text in texts for name in yaml.safe_load(text)["options"]} == set(gpu_info.INFO)


def test_the_core_needs_no_ansible():
    core = pathlib.Path(gpu_info.__file__).resolve().parents[1] / "module_utils" / "_gpu"
    for path in core.glob("*.py"):
        lines = [line.strip() for line in path.read_text().splitlines()]
        assert not [line for line in lines if line.startswith(("import ansible", "from ansible"))], path
    assert basic  # The import above is the module's, not the core's.
