# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings import desired, replay
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu_settings.support import FakeGpu, FakeSmiHost

DEVICES = [
    {"select": "all", "persistence": True, "power_limit_w": None},
    {"select": "*A100*", "power_limit_w": 250.0, "mig": ["3g.20gb", "3g.20gb"]},
]


@pytest.fixture
def path(tmp_path):
    def write(devices):
        path = tmp_path / "path.json"
        path.write_text(desired.as_file(devices, timeout_s=5))
        return str(path)

    return write


def test_each_module_gets_what_is_its_own():
    assert desired.split(DEVICES) == desired.Entries(
        settings=({"select": "all", "persistence": True}, {"select": "*A100*", "power_limit_w": 250.0}),
        mig=({"select": "*A100*", "layout": ["3g.20gb", "3g.20gb"]},),
    )
    assert desired.split([{"select": "all", "mig": []}]).mig == ({"select": "all", "layout": []},)


def test_check_says_what_differs_and_replay_ends_it(path, tmp_path, capsys):
    host, path = FakeSmiHost(FakeGpu(persistence="Disabled")), path(DEVICES)
    assert replay.main(["--check", "--desired", path], run=host, root=str(tmp_path)) == 1
    assert host.changes() == []
    told = capsys.readouterr().out
    assert "mig is none, and should be 3g.20gb, 3g.20gb." in told
    assert "persistence is disabled, and should be enabled." in told
    assert "power_limit_w is 400.0, and should be 250.0." in told
    assert replay.main(["--desired", path], run=host, root=str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nvidia-smi -i GPU-1 -mig 1",
        "nvidia-smi mig -i GPU-1 -cgi 9:0,9:4 -C",
        "nvidia-smi -i GPU-1 -pm 1",
        "nvidia-smi -i GPU-1 -pl 250",
    ]
    assert replay.main(["--check", "--desired", path], run=host, root=str(tmp_path)) == 0
    assert capsys.readouterr().out == ""


def test_a_gpu_that_is_gone_does_not_keep_the_others_from_their_settings(path, tmp_path, capsys):
    host = FakeSmiHost(FakeGpu())
    path = path([{"select": "GPU-lost", "power_limit_w": 200.0}, {"select": "GPU-1", "power_limit_w": 250.0}])
    assert replay.main(["--desired", path], run=host, root=str(tmp_path)) == 1
    assert host.gpus[0].power == "250.00 W"
    assert "'GPU-lost' matches no GPU" in capsys.readouterr().err


def test_a_geometry_that_fails_does_not_keep_the_settings_away(path, tmp_path):
    host = FakeSmiHost(FakeGpu())
    path = path([{"select": "all", "power_limit_w": 250.0, "mig": ["9g.99gb"]}])
    assert replay.main(["--desired", path], run=host, root=str(tmp_path)) == 1
    assert host.gpus[0].power == "250.00 W"


def test_what_waits_is_told_and_is_a_difference(path, tmp_path, capsys):
    host, path = FakeSmiHost(FakeGpu(ecc=["Disabled", "Enabled"])), path([{"select": "all", "ecc": True}])
    assert replay.main(["--desired", path], run=host, root=str(tmp_path)) == 0
    assert replay.main(["--check", "--desired", path], run=host, root=str(tmp_path)) == 1
    assert "GPU-1: ecc is disabled; enabled waits for a reset." in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 1}', json.dumps({"version": 99, "devices": [], "timeout_s": 1})]
)
def test_a_file_that_is_none(tmp_path, capsys, text):
    path = tmp_path / "path.json"
    path.write_text(text)
    assert replay.main(["--desired", str(path)], run=FakeSmiHost()) == 2
    assert "run the role again" in capsys.readouterr().err
