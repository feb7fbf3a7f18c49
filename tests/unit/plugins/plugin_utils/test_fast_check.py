# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a host would run is run here, by another Python, with all that is sent."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import re
import subprocess
import sys
import time
import types
import zlib

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mlops.hosts.plugins.module_utils._http import Unreachable
from ansible_collections.mlops.hosts.plugins.module_utils._model import arguments
from ansible_collections.mlops.hosts.plugins.module_utils._model import fast_check as model_fast_check
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment import arguments as environment_arguments
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.environment import (
    RunEnvironment,
    desired,
    ensure,
)
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed, Once
from ansible_collections.mlops.hosts.plugins.plugin_utils._fast_check import ask
from ansible_collections.mlops.hosts.tests.unit.fake_python import SET, FakePython

ME, MY_GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
COMPONENT = "mlops.hosts.component"
MODELS = "mlops.hosts.model_artifact"


class Action:
    """What a fast check needs of an action plugin; ``sent`` is what the host got."""

    greeting, farewell = "Welcome!\n", ""

    def __init__(self, *, python=sys.executable, pipelining=True, **task):
        self._task = types.SimpleNamespace(
            **{"async_val": 0, "delegate_to": None, "environment": [], "check_mode": True, "diff": False, **task}
        )
        self._connection = types.SimpleNamespace()
        self._templar = types.SimpleNamespace(template=lambda value: value)
        self.task_vars = {"ansible_python_interpreter": python} if python else {"ansible_facts": {}}
        self.pipelining = pipelining
        self.sent = []

    def _is_pipelining_enabled(self, style):
        return self.pipelining

    def _low_level_execute_command(self, cmd, *, sudoable, in_data):
        assert sudoable
        self.sent.append(in_data)
        done = subprocess.run(
            ["sh", "-c", cmd], input=in_data, capture_output=True, env={"PATH": os.environ["PATH"]}, cwd="/"
        )
        return {"rc": done.returncode, "stdout": f"{self.greeting}{done.stdout.decode()}{self.farewell}"}

    def ask(self, module, **args):
        return ask(self, [(module, args)], self.task_vars).answers[0]


@pytest.fixture
def right(tmp_path):
    """Arguments of a component that the host has already."""
    path = tmp_path / "there"
    path.write_text("hush\n")
    path.chmod(0o600)
    file = {"path": str(path), "content": "", "secret": True, "owner": ME, "group": MY_GROUP, "mode": "0600"}
    return {"name": "test-fast-check", "files": [file], "_secrets": {str(path): "hush\n"}, "_call": None}


def test_nothing_differs(right):
    found = Action().ask(COMPONENT, **right)
    assert found == {**found, "changed": False, "drift": [], "component": "test-fast-check"}


@pytest.mark.parametrize(
    ("greeting", "farewell"),
    [
        pytest.param("\033(B\033[m", "", id="control-sequence"),
        pytest.param("", "goodbye\n", id="exit-trap"),
        pytest.param('{"changed": true}\n', '{"changed": true}\n', id="json"),
        pytest.param("", "\r\n", id="terminal"),
    ],
)
def test_what_start_files_print_is_no_answer(right, greeting, farewell):
    action = Action()
    action.greeting, action.farewell = greeting, farewell
    assert action.ask(COMPONENT, **right)["changed"] is False


def test_an_answer_that_was_cut_off_is_none(right):
    action = Action()
    whole = action._low_level_execute_command
    action._low_level_execute_command = lambda cmd, **options: {"rc": 0, "stdout": whole(cmd, **options)["stdout"][:-5]}
    assert action.ask(COMPONENT, **right) is None


def test_something_differs(right):
    action = Action()
    assert action.ask(COMPONENT, **{**right, "_secrets": {}}) is None
    assert len(action.sent) == 1


def test_an_empty_store_is_right_and_a_missing_model_is_not(tmp_path):
    found = Action().ask(MODELS, artifacts=[], store=str(tmp_path))
    assert found == {**found, "changed": False, "artifacts": [], "drift": []}
    found = Action().ask(MODELS, artifacts=[], store=str(tmp_path), token="hush")
    assert found is not None
    missing = {"name": "chat", "source": "https://nowhere.invalid/chat.gguf", "sha256": "0" * 64}
    assert Action().ask(MODELS, artifacts=[missing], store=str(tmp_path)) is None


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"pipelining": False}, id="no-pipelining"),
        pytest.param({"async_val": 1}, id="async"),
        pytest.param({"delegate_to": "other"}, id="delegated"),
        pytest.param({"environment": [{"http_proxy": "x"}]}, id="environment"),
        pytest.param({"python": "python3"}, id="python-by-name"),
    ],
)
def test_some_tasks_are_the_modules_at_once(right, options):
    action = Action(**options)
    assert action.ask(COMPONENT, **right) is None
    assert action.sent == []


def test_arguments_that_are_wrong_are_for_the_module_to_refuse(right):
    action = Action()
    assert action.ask(COMPONENT, **right, unknown=1) is None
    assert action.sent == []


@pytest.mark.parametrize("python", ["/bin/false", "/bin/cat"])
def test_a_python_that_is_none_is_for_the_module_to_tell(right, python):
    assert Action(python=python).ask(COMPONENT, **right) is None


def test_a_comparison_loads_nothing_that_speaks_http(right):
    """Its imports would take longer than the comparison."""
    action = Action()
    action.ask(COMPONENT, **right)
    program = action.sent[0] + b'print([name for name in ("http.client", "ssl", "email") if name in sys.modules])\n'
    said = subprocess.run([sys.executable], input=program, stdout=subprocess.PIPE, check=True).stdout
    assert said.splitlines()[-1] == b"[]"


def test_what_is_sent_is_packed(right):
    action = Action()
    action.ask(COMPONENT, **right)
    sources, questions = (unpacked(text) for text in re.findall(rb'unpacked\("(.*?)"', action.sent[0]))
    assert "mlops_hosts._component.plan" in sources
    [[core, function, params]] = questions
    assert (core, function) == ("_component", "fast_check")
    assert params["files"][0]["content"] == "hush\n"
    assert not {"_call", "_secrets"} & params.keys()


def unpacked(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def test_a_token_that_would_be_told_is_for_the_module_to_mask(tmp_path):
    gone = {"name": "hush", "state": "absent"}
    assert Action().ask(MODELS, artifacts=[gone], store=str(tmp_path)) is not None
    assert Action().ask(MODELS, artifacts=[gone], store=str(tmp_path), token="hush") is None


def test_a_hub_that_would_have_to_be_asked_is_not_waited_for(tmp_path, monkeypatch):
    """Each of the retries of a source that cannot be asked would wait twice as long as the one before."""
    waits = []
    monkeypatch.setattr(model_fast_check.time, "sleep", waits.append)
    given = {"name": "chat", "source": "hf://acme/tiny", "revision": "a" * 40}
    spec = ArgumentSpecValidator(arguments.SPEC, arguments.EXCLUSIVE)
    asked = spec.validate({"artifacts": [given], "store": str(tmp_path), "retries": 5}).validated_parameters
    with pytest.raises(Unreachable):
        model_fast_check.fast_check(asked, run=None, check_mode=True)
    assert waits == []


def test_what_several_questions_read_is_read_once():
    """nvidia-smi takes seconds on a host with eight GPUs, and a minute to be given up on one that hangs."""
    done = []

    def run(*argv, timeout_s=None, stdin=None):
        done.append(argv)
        return Completed(argv, 124, stdin or "", "", timed_out=True)

    once = Once(run)
    asked = [
        once("nvidia-smi", "-q"),
        once("nvidia-smi", "-q", timeout_s=5),
        once("nvidia-smi"),
        once("cat", stdin="a"),
    ]
    assert asked[0] is asked[1] and asked[0].timed_out
    assert once("cat", stdin="b").stdout == "b"
    assert done == [("nvidia-smi", "-q"), ("nvidia-smi",), ("cat",), ("cat",)]


def test_an_environment_of_python_that_is_there(tmp_path):
    python = tmp_path / "python3.11"
    python.write_text("")
    python.chmod(0o755)
    args = {"name": "vllm", "base": str(tmp_path / "base"), "python": str(python), "requirements": SET}
    environment = "mlops.hosts.python_environment"
    assert Action(check_mode=False).ask(environment, **args) is None
    given = ArgumentSpecValidator(environment_arguments.SPEC).validate(args).validated_parameters
    host = RunEnvironment(run=FakePython("3.11"), clock=time.monotonic, sleep=time.sleep, variables={})
    built = ensure(desired(given), host, dry_run=False)
    nothing = {"changed": False, "drift": [], "diff": {"before": {}, "after": {}}}
    assert Action(check_mode=False).ask(environment, **args) == {**built, **nothing}
    assert Action(check_mode=False).ask(environment, **{**args, "state": "absent"}) is None
    assert Action().ask(environment, **{**args, "state": "absent"})["removed"] == [built["path"]]
    assert Action().ask(environment, **{**args, "requirements": "demo"}) is None, "the module says why"


def test_gpus_are_read_once_for_the_questions_and_the_comparison_of_a_task(tmp_path, monkeypatch):
    """nvidia-smi takes seconds on a host with eight GPUs."""
    count, smi = tmp_path / "count", tmp_path / "nvidia-smi"
    log = "<nvidia_smi_log><driver_version>580.95.05</driver_version><attached_gpus>0</attached_gpus></nvidia_smi_log>"
    smi.write_text(f"#!/bin/sh\necho >>{count}\necho '{log}'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    action, asked = Action(), [("mlops.hosts.gpu_settings", {"devices": [{"select": "all", "persistence": True}]})]
    first = ask(action, asked, action.task_vars)
    once = len(count.read_text())
    second = ask(action, asked, action.task_vars, first.told)
    assert (len(count.read_text()), once) == (1, 1)
    assert first.answers == second.answers != [None]
    assert second.told == first.told, "for a third one"
    ask(action, asked, action.task_vars)
    assert len(count.read_text()) == 2
