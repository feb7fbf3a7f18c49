# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and MIG geometry against the fake of nvidia-smi, which knows by itself what fits and what is lost."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings import mig_apply, settings_apply
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.result import Options
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.smi import Smi
from ansible_collections.mlops.hosts.tests.unit.fake_gpu_host import FakeGpuHost

LAYOUTS = {
    "a100x2": ["1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"],
    "a100-80x1": ["1g.20gb"] * 4,
    "h100x1": ["1g.10gb+me", *["1g.10gb"] * 6],
    "h200x1": ["3g.71gb", "4g.71gb"],
    "b200x1": ["7g.180gb"],
}


@pytest.fixture
def host(tmp_path, monkeypatch):
    return lambda machine, driver="580.95.05", *options: FakeGpuHost(tmp_path, monkeypatch, machine, driver, *options)


def lay(host, layout, **options):
    entries = [{"select": "all", "layout": layout}]
    smi = Smi(host, timeout_s=30, root=str(host.path))
    return mig_apply.converge(smi, entries, Options(root=str(host.path), **options), dry_run=False)


def put(host, *, reset=False, **desired):
    smi = Smi(host, timeout_s=30, root=str(host.path))
    options = Options(reset=reset, root=str(host.path))
    return settings_apply.converge(smi, [{"select": "all", **desired}], options, dry_run=False)


@pytest.mark.parametrize("driver", ["535.54.03", "580.95.05", "610.57.04"])
@pytest.mark.parametrize("machine", LAYOUTS)
def test_a_layout_is_made_once_and_taken_away(host, machine, driver):
    fake = host(machine, driver)
    done = lay(fake, LAYOUTS[machine]).must()
    assert all(gpu["layout"] == sorted(LAYOUTS[machine]) for gpu in done.after)
    assert all(gpu["mig"] and len(gpu["instances"]) == len(LAYOUTS[machine]) for gpu in fake.gpus)
    assert lay(fake, list(reversed(LAYOUTS[machine]))).commands == ()
    assert lay(fake, []).must().changed
    assert not any(gpu["instances"] for gpu in fake.gpus)


def test_a_gpu_in_use_is_left_pending_and_comes_after_a_reset(host):
    fake = host("a100x1")
    fake.control("hold", "--gpu", "0", "--name", "vllm")
    result = lay(fake, ["7g.40gb"], reset=True)
    assert [one.command for one in result.blockers] == ["vllm"]
    assert not fake.gpus[0]["instances"]
    fake.control("release")
    assert lay(fake, ["7g.40gb"], reset=True).must().changed


@pytest.mark.parametrize("fault", ["refuse", "warn", "silent"])
@pytest.mark.parametrize("option", ["-pl", "-c", "-mig", "-cgi"])
def test_a_change_that_was_not_made_is_never_called_made(host, fault, option):
    fake = host("h100x2")
    fake.control("fault", fault, f"--on={option}", "--gpu", "1")
    with pytest.raises(HostError):
        if option in ("-mig", "-cgi"):
            lay(fake, ["3g.40gb"]).must()
        else:
            put(fake, persistence=True, power_limit_w=500.0, compute_mode="exclusive_process").must()
    fake.control("clear")
    if option in ("-mig", "-cgi"):
        assert lay(fake, ["3g.40gb"]).must().after[1]["layout"] == ["3g.40gb"]
    else:
        put(fake, persistence=True, power_limit_w=500.0, compute_mode="exclusive_process").must()
        assert [gpu["power_w"] for gpu in fake.gpus] == [500, 500]


def test_settings_are_right_after_one_run_and_again_after_a_boot(host):
    fake = host("mixed")
    desired = {"persistence": True, "compute_mode": "exclusive_process", "ecc": False}
    assert put(fake, reset=True, **desired).must().changed
    assert put(fake, reset=True, **desired).commands == ()
    fake.control("boot")
    assert [gpu["ecc"] for gpu in fake.gpus] == [False, False, False]
    again = put(fake, reset=True, **desired).must()
    assert {argv[3] for argv in again.commands} == {"-pm", "-c"}
