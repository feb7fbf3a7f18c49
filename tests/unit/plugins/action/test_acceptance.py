# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a host that is to be accepted, and what is written of it."""

from __future__ import annotations

import json
import types

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.mlops.hosts.plugins.action import acceptance_info, acceptance_report
from ansible_collections.mlops.hosts.plugins.filter.acceptance import FilterModule

GOOD = {"accepted": True, "level": "quick", "time": "2026-11-30T07:00:00Z", "passed": 0, "failed": 0, "skipped": 0}
OPTIONS = {
    "level": "quick",
    "load": "never",
    "require": [],
    "skip": [],
    "gpu_count": None,
    "pcie_width": None,
    "models": [],
}


def action(kind, args):
    task = types.SimpleNamespace(
        args=args,
        async_val=0,
        delegate_to=None,
        environment=[],
        check_mode=False,
        diff=False,
        action="mlops.hosts.acceptance_info",
    )
    connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
    templar = types.SimpleNamespace(template=lambda value: value)
    return kind(task, connection, types.SimpleNamespace(), None, templar, None)


@pytest.fixture
def asked(monkeypatch):
    """Runs acceptance_info; ``fast`` are answers of one program, ``modules`` those of modules that have to be run."""

    def run(fast, modules):
        one = action(acceptance_info.ActionModule, {})

        def execute(_self, *, module_name, **_more):
            answer = modules[module_name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(acceptance_info.role_component.component.ActionModule, "_execute_module", execute)
        one.fast_checks = lambda questions, _task_vars: [fast.get(module) for module, _args in questions]
        return one.run(task_vars={})

    return run


ALL = {
    question.module: {"changed": False, "name": question.module}
    for question in acceptance_info.QUESTIONS.values()
}  # fmt: skip


def test_all_is_asked_in_one_program(asked):
    found = asked(ALL, {})
    assert found["gpus"] == {"name": "mlops.hosts.gpu_info"} and found["changed"] is False
    assert found.keys() >= acceptance_info.QUESTIONS.keys()


def test_a_module_that_fails_is_an_answer_and_the_others_count(asked):
    failed = {"failed": True, "msg": "nvidia-smi did not end in time", "invocation": {"x": 1}}
    found = asked({**ALL, "mlops.hosts.gpu_info": None}, {"mlops.hosts.gpu_info": failed})
    assert found["gpus"] == {"failed": True, "msg": "nvidia-smi did not end in time"}
    assert found["driver"] == {"name": "mlops.hosts.driver_info"} and not found.get("failed")


def test_a_host_that_is_gone_is_no_answer(asked):
    with pytest.raises(AnsibleConnectionFailure):
        asked({}, {"mlops.hosts.gpu_info": AnsibleConnectionFailure("no route")})


def report(folder, results, not_tested=None):
    one = action(
        acceptance_report.ActionModule, {"dir": str(folder), "results": results, "not_tested": not_tested or []}
    )
    return one.run(task_vars={})


def test_a_report_is_written_where_it_is_asked_for(tmp_path):
    found = report(tmp_path / "new", {"gpu1": {**GOOD, "checks": []}}, ["gpu2"])
    assert found["paths"] == [str(tmp_path / "new" / name) for name in ("acceptance.json", "junit.xml")]
    document = json.loads((tmp_path / "new" / "acceptance.json").read_text())
    assert (document["accepted"], document["not_tested"]) == (False, ["gpu2"])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AnsibleActionFail, match="acceptance_report_dir .* cannot be written"):
        report(tmp_path / "file" / "folder", {})


def test_a_test_that_lost_its_host_has_failed():
    result = FilterModule().filters()["acceptance_result"]
    gpu = {"uuid": "GPU-1", "vendor": "nvidia", "health_reasons": [], "memory_reasons": [], "pci_id": "10de:2330"}
    read = {"gpus": {"gpus": [gpu], "expected_from_pci": 1}}
    options = {**OPTIONS, "level": "standard", "container_image": None, "bandwidth": [], "dcgm_level": None}
    found = result(read, options, probe={"unreachable": True, "msg": "the connection was lost"})
    failed = {one["id"]: one["found"] for one in found["checks"] if one["status"] == "failed"}
    assert "the connection was lost" in failed["dcgm"] and not found["accepted"]
