# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools
import json
import pathlib

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.module_utils._driver import info, types
from ansible_collections.mlops.hosts.plugins.modules import driver_info
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._driver.support import kernel_on_disk
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import pci_device

RELEASE = "6.8.0-50-generic"


@pytest.fixture
def run_module(tmp_path, monkeypatch, capsys):
    """Runs main() with the real AnsibleModule on a host that is laid out in a folder."""
    monkeypatch.setattr(driver_info, "collect", functools.partial(info.collect, root=str(tmp_path)))

    def run(**options: object) -> dict:
        with patch_module_args(options), pytest.raises(SystemExit):
            driver_info.main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("check_mode", [False, True], ids=["run", "check-mode"])
def test_a_gpu_without_a_driver(run_module, tmp_path, check_mode):
    pci_device(tmp_path / "sys", "0000:1a:00.0", "10de", "2330", "030200")
    result = run_module(version="580", flavour="open", _ansible_check_mode=check_mode)
    assert (result["changed"], result["verdict"]) == (False, "absent")
    assert result["desired"] == {"version": "580", "flavour": "open"}
    assert result["next_step"] == "Install the NVIDIA driver 580 with the open kernel module."


def test_a_wrong_time_limit_is_a_failure(run_module):
    result = run_module(timeout_s=0)
    assert (result["failed"], result["timeout_s"]) == (True, 0)


def test_returned_keys_are_documented(run_module, tmp_path):
    yaml = pytest.importorskip("yaml")
    documented = yaml.safe_load(driver_info.RETURN)
    pci_device(tmp_path / "sys", "0000:1a:00.0", "10de", "2330", "030200")
    kernel_on_disk(tmp_path, RELEASE)
    result = run_module()
    assert set(documented) == set(result) - {"changed", "invocation"}
    for name in ("gpus", "kernels"):
        assert list(documented[name]["contains"]) == list(result[name][0]), name
    for name in ("desired", "installed", "loaded", "mok", "fabric_manager"):
        assert list(documented[name]["contains"]) == list(result[name]), name
    assert set(yaml.safe_load(driver_info.DOCUMENTATION)["options"]) == set(driver_info.INFO)


def test_parts_that_are_seldom_there_are_documented_too():
    yaml = pytest.importorskip("yaml")
    documented = yaml.safe_load(driver_info.RETURN)

    def fields(cls: type) -> list[str]:
        return list(cls.__dataclass_fields__)

    kernels = documented["kernels"]["contains"]
    assert list(documented["installed"]["contains"]["packages"]["contains"]) == fields(types.Package)
    assert list(kernels["module"]["contains"]) == fields(types.Module)
    assert list(kernels["dkms"]["contains"]) == fields(types.Dkms)
    assert list(documented["users"]["contains"]) == fields(types.User)
    assert list(documented["mismatches"]["contains"]) == fields(types.Mismatch)


def test_the_core_needs_no_ansible():
    core = pathlib.Path(driver_info.__file__).resolve().parents[1] / "module_utils" / "_driver"
    for path in core.glob("*.py"):
        lines = [line.strip() for line in path.read_text().splitlines()]
        assert not [line for line in lines if line.startswith(("import ansible", "from ansible"))], path
