# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose run it is, and what is known here of another one. The host's side is the real one, on a folder."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import platform
import subprocess
import types

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.action.run_lock import ActionModule, has_ended, kernel, process_start
from ansible_collections.mlops.hosts.plugins.module_utils import _run_lock
from ansible_collections.mlops.hosts.plugins.modules import run_lock

ELSEWHERE = _run_lock.Holder("driver_upgrade", "deploy9", "boot", 5, "1", "2026-11-30T10:00:00Z")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the action, whose module has ``run.folder``."""
    for name in ("lock", "unlock"):
        monkeypatch.setattr(run_lock, name, functools.partial(getattr(_run_lock, name), folder=str(tmp_path)))

    def act(state="locked", **more):
        args = {"purpose": "model_rollout", "state": state, **more}
        task = types.SimpleNamespace(args=args, async_val=0, check_mode=False, diff=False, action="x")
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
        action = ActionModule(task, connection, types.SimpleNamespace(), None, None, None)

        def execute(*, module_name, module_args, task_vars):
            with patch_module_args(module_args), pytest.raises(SystemExit):
                run_lock.main()
            return json.loads(capsys.readouterr().out)

        action._execute_module = execute
        return action.run(task_vars={})

    act.folder = str(tmp_path)
    return act


def of_process(pid):
    here = dataclasses.replace(ELSEWHERE, controller=platform.node(), kernel=kernel())
    return dataclasses.replace(here, pid=pid, process_start=process_start(pid) or "1")


def test_it_is_the_run_of_the_process_above(run):
    found = run()
    assert (found["changed"], found["holder"]["pid"]) == (True, os.getppid())
    assert found["holder"]["process_start"] == process_start(os.getppid())
    assert not run()["changed"]
    unlocked = run(state="unlocked")
    assert (unlocked["changed"], unlocked["holder"]) == (True, None)


def test_a_run_from_elsewhere_is_named_and_taken_from_where_that_is_desired(run):
    _run_lock.lock(ELSEWHERE, folder=run.folder)
    refused = run()
    assert refused["failed"]
    assert refused["msg"] == (
        "Another run changes this host: driver_upgrade, run from deploy9, pid 5, since 2026-11-30T10:00:00Z; wait for "
        "it, or end it. If it has ended already, set take_over: for a playbook of mlops.hosts, run_lock_take_over=true."
    )
    taken = run(take_over=True)
    assert (taken["changed"], taken["holder"]["pid"]) == (True, os.getppid())


def test_a_run_from_here_that_works_is_named(run):
    _run_lock.lock(of_process(os.getpid()), folder=run.folder)
    assert run()["msg"].endswith("; wait for it, or end it.")
    assert not run(state="unlocked")["changed"]


def test_a_run_from_here_that_has_ended_is_replaced(run):
    process = subprocess.Popen(["sleep", "60"])
    works = of_process(process.pid)
    _run_lock.lock(works, folder=run.folder)
    assert run()["failed"]
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    # It is there in name only until somebody waits for it.
    assert has_ended(works)
    process.wait()
    assert run()["changed"]


def test_of_a_controller_of_the_same_name_nothing_is_known():
    gone = dataclasses.replace(of_process(os.getpid()), process_start="1")
    assert has_ended(gone)
    assert not has_ended(dataclasses.replace(gone, kernel="another boot, or container"))


def test_another_process_of_its_id_is_not_it():
    assert has_ended(dataclasses.replace(of_process(os.getpid()), process_start="1"))
    assert not has_ended(dataclasses.replace(of_process(os.getpid()), process_start=""))


def test_without_its_action_plugin_it_says_so(capsys):
    with patch_module_args({"purpose": "x", "state": "locked"}), pytest.raises(SystemExit):
        run_lock.main()
    assert "needs its action plugin" in json.loads(capsys.readouterr().out)["msg"]
