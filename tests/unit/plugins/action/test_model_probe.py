# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
import types

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.mlops.hosts.plugins.action.model_probe import ActionModule

ANSWER = {"changed": False, "answered": True, "text": "Hi", "tokens": 8, "ttft_s": 0.5, "tokens_per_s": None}


@pytest.fixture
def run():
    """Run the action with a host that gives a certain result; what it was asked is in run.asked."""

    def act(result=ANSWER, **arguments):
        task = types.SimpleNamespace(args=arguments, async_val=act.async_val, check_mode=False, diff=False, action="x")
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
        action = ActionModule(task, connection, types.SimpleNamespace(), None, None, None)

        def execute(*, module_name, module_args, **options):
            act.asked.append((module_name, module_args))
            return dict(result)

        action._execute_module = execute
        return action.run(task_vars={})

    act.asked = []
    act.async_val = 0
    return act


@pytest.mark.parametrize(
    ("expect", "value"),
    [
        pytest.param("ttft_s < `2` && tokens == `8`", True, id="numbers"),
        pytest.param("contains(text, 'H')", True, id="function"),
        pytest.param("text", "Hi", id="not-empty"),
    ],
)
def test_an_expectation_that_is_met(run, expect, value):
    assert run(url="u", expect=expect) == {**ANSWER, "expectation": {"expression": expect, "value": value}}
    assert run.asked == [("mlops.hosts.model_probe", {"url": "u"})]


@pytest.mark.parametrize(
    ("expect", "value", "shown"),
    [
        pytest.param("ttft_s < `0.1`", False, "false", id="false"),
        pytest.param("tokens_per_s > `20`", None, "null", id="not-known"),
        pytest.param("no_such_key", None, "null", id="typing-error"),
    ],
)
def test_an_expectation_that_is_not_met(run, expect, value, shown):
    assert run(url="u", expect=expect) == {
        **ANSWER,
        "failed": True,
        "msg": f"the answer does not meet {expect}: the value is {shown}",
        "expectation": {"expression": expect, "value": value},
    }


def test_without_an_answer_nothing_is_expected_of_it(run):
    silent = {"failed": True, "msg": "nothing listens", "answered": False}
    assert run(silent, url="u", expect="tokens") == silent


def test_without_an_expectation_the_answer_is_passed_on(run):
    assert run(url="u") == ANSWER


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        pytest.param("tokens >", "is not a JMESPath expression", id="syntax"),
        pytest.param(["tokens"], "must be a JMESPath expression", id="list"),
    ],
)
def test_a_wrong_expression_fails_before_the_host_is_asked(run, expect, words):
    with pytest.raises(AnsibleActionFail, match=words):
        run(url="u", expect=expect)
    assert run.asked == []


def test_a_job_in_the_background_has_no_answer_to_evaluate(run):
    run.async_val = 900
    with pytest.raises(AnsibleActionFail, match="cannot be evaluated with async"):
        run(url="u", expect="tokens")
    assert run({"started": 1}, url="u") == {"started": 1}


def test_a_wrong_call_is_told(run):
    with pytest.raises(AnsibleActionFail, match="cannot be evaluated over the answer"):
        run(url="u", expect="length(tokens)")


def test_a_controller_without_jmespath_is_told_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "jmespath", None)
    with pytest.raises(AnsibleActionFail, match="needs the Python library jmespath on the controller"):
        run(url="u", expect="tokens")
    assert run.asked == []
