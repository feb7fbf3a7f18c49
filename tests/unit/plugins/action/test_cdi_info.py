# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host is asked once, and again only about paths that a parser alone finds."""

from __future__ import annotations

import types

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.action.cdi_info import ActionModule
from ansible_collections.mlops.hosts.plugins.module_utils._cdi import files

GPU = {"vendor": "nvidia", "index": 0, "uuid": "GPU-a", "mig_mode": None, "mig_devices": [], "name": "not needed"}


@pytest.fixture
def run():
    """Run the action against a host with one GPU; what it was asked is in run.asked."""

    def act(path="/dev/nvidia0", failed=None, **arguments):
        task = types.SimpleNamespace(args=arguments, async_val=0, check_mode=True, diff=False, action="x")
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
        action = ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
        text = yaml.safe_dump(
            {
                "kind": "nvidia.com/gpu",
                "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": path}]}}],
            }
        )

        def execute(*, module_name, module_args, task_vars):
            act.asked.append((module_name, module_args))
            if failed:
                return {"failed": True, "msg": failed}
            there = {*files.paths_in([text]), *module_args.get("_paths", [])}
            host = {
                "vendor": arguments.get("vendor", "nvidia"),
                "files": [
                    {"path": "/etc/cdi/empty.yaml", "text": "", "problem": None},
                    {"path": "/var/run/cdi/nvidia.yaml", "text": text, "problem": None},
                ],
                "exists": dict.fromkeys(there, True),
                "gpus": [GPU],
                "driver_version": "580.95.05",
                "containers": [
                    {"engine": "docker", "name": "x", "id": "1", "devices": [], "nodes": [], "drivers": ["550.54.15"]}
                ],
            }
            return {"changed": False, "warnings": ["w"], "host": host}

        action._execute_module = execute
        return action.run(task_vars={})

    act.asked = []
    return act


def test_a_host_that_is_right_is_asked_once(run):
    found = run(vendor="nvidia")
    assert run.asked == [("mlops.hosts.cdi_info", {"vendor": "nvidia"})]
    assert found == {
        "changed": False,
        "warnings": ["w"],
        "verdict": "fresh",
        "reasons": [
            "/etc/cdi/empty.yaml is not read by container engines: it is empty. Have it written again, or remove it."
        ],
        "refreshable": True,
        "refresh_command": "systemctl restart nvidia-cdi-refresh.service",
        "driver_version": "580.95.05",
        "specs": [
            {"path": "/var/run/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["0"], "drivers": []},
        ],
        "unreadable": [{"path": "/etc/cdi/empty.yaml", "reason": "it is empty"}],
        "containers_to_recreate": [
            {"engine": "docker", "name": "x", "id": "1", "devices": [], "drivers": ["550.54.15"]}
        ],
    }


def test_a_path_that_only_a_parser_finds_is_asked_about(run):
    found = run(path="/dev/a b")
    assert [args.get("_paths") for _name, args in run.asked] == [None, ["/dev/a b"]]
    assert found["verdict"] == "fresh"


def test_a_failure_is_passed_on(run):
    assert run(failed="nvidia-smi hangs") == {"failed": True, "msg": "nvidia-smi hangs"}
    assert len(run.asked) == 1
