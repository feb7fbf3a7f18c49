# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller does while a host fetches models."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import types

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.mlops.hosts.plugins.action import model_artifact as action_module
from ansible_collections.mlops.hosts.plugins.action.model_artifact import ActionModule
from ansible_collections.mlops.hosts.plugins.plugin_utils import _model_progress
from ansible_collections.mlops.hosts.plugins.plugin_utils._fast_check import Answers
from ansible_collections.mlops.hosts.plugins.plugin_utils._marked_output import between_marks

GIB = 1024**3
JOB = {"ansible_job_id": "j1.2", "results_file": "/root/.ansible_async/j1.2", "started": 1, "finished": 0}
DONE = {"changed": True, "downloaded_bytes": 100 * GIB, "deferred_bytes": 0}


class Host:
    """A host whose job says ``polls`` when it is asked, how many GiB are there, or an exception; then it has ended.
    With ``gib_per_s`` it fetches so much of the 100."""

    def __init__(self, polls=(), deferred=100 * GIB, gib_per_s=None):
        self.polls = list(polls)
        self.gib_per_s = gib_per_s
        self.deferred = deferred
        self.asked = []
        self.reset = 0
        self.boot = "boot-1"
        self.clock = [0.0]
        self.noted_at = None

    def execute(self, module_name=None, module_args=None, task_vars=None, wrap_async=False):
        self.asked.append((module_name or "module", wrap_async, (module_args or {}).get("defer_above_mib")))
        if wrap_async:
            assert self.task.async_val > 0
            return dict(JOB)
        if module_name:
            return {**DONE, **JOB, "finished": True} if module_args["mode"] == "status" else {}
        return {**DONE, "deferred_bytes": self.deferred, "downloaded_bytes": 0}

    def command(self, _command):
        self.asked.append("poll")
        there = self.clock[0] * (self.gib_per_s or 100)
        now = self.polls.pop(0) if self.polls else there if self.gib_per_s and there < 100 else "done"
        if isinstance(now, Exception):
            raise now
        if now == "rebooted":
            self.boot, now = "boot-2", 0
        if now == "gone":
            return {"stdout": "cat: no such file"}
        counts = {"of_bytes": 100 * GIB, "files": 1, "of_files": 9}
        # By the host's own clock, and a second ago.
        at_s = self.noted_at or 5000 + self.clock[0] - 1
        processes = {"done": 0, "killed": 0, "unseen": "sh: cat: not found", "no proc": 0}.get(now, 2)
        self.boot = "" if now == "no proc" else self.boot
        now = 0 if now in ("killed", "unseen", "no proc") else now
        noted = "" if now == "done" else json.dumps({"at_s": at_s, "bytes": now * GIB, **counts})
        job = DONE if now == "done" else {"started": True, "finished": False, "ansible_job_id": "j1.2"}
        mark = "\nmlops.hosts:next:\n"
        said = f"{processes}{mark}{noted}{mark}{json.dumps(job)}{mark}{self.boot}\n"
        return {"stdout": f"Welcome\nmlops.hosts:begin:\n{said}mlops.hosts:end:\n"}


@pytest.fixture
def run(monkeypatch):
    """Run the action on such a host; what was shown is in run.shown."""

    def act(host, *, check_mode=False, async_val=0, no_log=False, **arguments):
        clock = host.clock
        shell = types.SimpleNamespace(tmpdir="/tmp/x")
        connection = types.SimpleNamespace(_shell=shell, has_native_async=False, always_pipeline_modules=False)
        connection.reset = lambda: setattr(host, "reset", host.reset + 1)
        host.task = types.SimpleNamespace(
            args={"artifacts": [], **arguments}, async_val=async_val, check_mode=check_mode, diff=False, action="x"
        )
        host.task.no_log = no_log
        action = ActionModule(host.task, connection, types.SimpleNamespace(), None, None, None)
        action._execute_module, action._low_level_execute_command = host.execute, host.command
        action._remote_expand_user = lambda path: path
        monkeypatch.setattr(action_module, "ask", lambda *_: Answers([act.answer]))
        monkeypatch.setattr(action_module.time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(action_module.time, "sleep", lambda s: clock.__setitem__(0, clock[0] + s))
        monkeypatch.setattr(action_module.display, "display", act.shown.append)
        result = action.run(task_vars={"inventory_hostname": "gpu01"})
        assert host.task.async_val == async_val, "the executor would wait for a job of its own"
        return result

    act.answer = None
    act.shown = []
    return act


MODULE = ("module", False, 1024)
JOBS = ("module", True, None)
LAST = [("ansible.legacy.async_status", False, None)] * 2


def test_a_large_download_says_how_far_it_is(run):
    host = Host(gib_per_s=0.125)
    assert run(host, store="/data/models") == DONE
    assert [asked for asked in host.asked if asked != "poll"] == [MODULE, JOBS, *LAST]
    assert host.asked[:2] == [MODULE, JOBS] and host.asked[-2:] == LAST
    assert run.shown[0] == "[gpu01] model_artifact: 100.0 GiB to fetch into /data/models"
    assert re.fullmatch(r"\[gpu01\] model_artifact: \d+\.\d of 100\.0 GiB, 1 of 9 files", run.shown[1])
    told = (
        r"\[gpu01\] model_artifact: \d+\.\d of 100\.0 GiB, 1 of 9 files, 128\.0 MiB/s, \d+ (min|s) left at that speed"
    )
    assert len(run.shown) > 8 and all(re.fullmatch(told, line) for line in run.shown[2:])


def test_its_end_is_seen_soon_after_and_the_host_is_not_asked_all_the_time(run):
    for took_s, questions in ((10, 10), (100, 20), (4000, 160)):
        host = Host(gib_per_s=100 / took_s)
        run(host)
        assert host.clock[0] <= took_s * 1.25 + 1
        assert host.asked.count("poll") <= questions


def test_a_small_download_and_a_store_that_is_right_cost_no_question_more(run):
    host = Host([], deferred=0)
    assert run(host) == {**DONE, "downloaded_bytes": 0}
    assert host.asked == [MODULE] and run.shown == []
    run.answer = {"changed": False}
    host = Host([])
    assert run(host) == {"changed": False} and host.asked == []


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"check_mode": True}, id="check-mode"),
        pytest.param({"async_val": 3600}, id="async"),
        pytest.param({"progress_s": 0}, id="not-desired"),
        pytest.param({"progress_s": "often"}, id="refused-by-the-module"),
        pytest.param({"defer_above_mib": 5}, id="of-the-user"),
    ],
)
def test_the_module_runs_as_any_other_where_nothing_is_to_be_shown(run, how):
    host = Host([])
    run(host, **how)
    assert host.asked == [("module", "async_val" in how, None)] and run.shown == []


def test_a_connection_that_breaks_meanwhile_is_opened_again(run):
    host = Host([1, AnsibleConnectionFailure("lost"), 5, *[AnsibleConnectionFailure("lost")] * 9, 7])
    assert run(host) == DONE
    assert host.reset == 10


@pytest.mark.parametrize(
    ("polls", "words"),
    [
        pytest.param([1, *[AnsibleConnectionFailure("lost")] * 10], "lost", id="host-away"),
        pytest.param([1, "rebooted"], "was started again", id="host-restarted"),
        pytest.param([1, *["gone"] * 10], "what came is kept, run again", id="job-gone"),
    ],
)
def test_a_job_that_is_lost_is_not_waited_for(run, polls, words):
    with pytest.raises(AnsibleConnectionFailure, match=words):
        run(Host([*polls, 9, 9]))


def test_a_job_that_was_killed_whole_is_not_waited_for(run):
    host = Host([1, 2, "killed"])
    with pytest.raises(
        AnsibleActionFail, match="was killed, with all of its processes, before its end: look for lack of"
    ):
        run(host)
    assert host.asked.count("poll") == 3


@pytest.mark.parametrize("said", ["unseen", "no proc"])
def test_a_host_that_does_not_show_its_processes_is_asked_on(run, said):
    assert run(Host([1, said, said, 5])) == DONE


def test_processes_of_a_job_are_counted_by_the_shell_of_the_host(tmp_path):
    name = f"j{time.time_ns()}"
    job, noted = tmp_path / f"{name}.2", tmp_path / "progress"
    job.write_text('{"started": 1, "finished": 0}')

    def state():
        shell = ["/bin/sh", "-c", _model_progress.command(str(noted), str(job))]
        said = subprocess.run(shell, check=True, capture_output=True, text=True).stdout
        return _model_progress.state(between_marks(said))

    with subprocess.Popen([sys.executable, "-c", "input()", name, "604800"], stdin=subprocess.PIPE) as running:
        assert (state().running, state().finished) == (True, False)
        running.communicate(b"\n")
    assert (state().running, state().finished) == (False, False)


def test_nothing_is_shown_of_a_task_with_no_log(run):
    assert run(Host([1] * 20), no_log=True) == DONE and run.shown == []


def test_a_download_that_stands_still_says_so(run):
    run(Host([1] * 30))
    assert re.search(r"1\.0 of 100\.0 GiB, 1 of 9 files, nothing came in the last \d+ s$", run.shown[-1])


def test_nothing_is_said_of_a_host_that_has_noted_nothing_new(run):
    host = Host([1] * 20)
    host.noted_at = 5000.0
    run(host, progress_s=3)
    assert run.shown[1:] == ["[gpu01] model_artifact: 1.0 of 100.0 GiB, 1 of 9 files"]
