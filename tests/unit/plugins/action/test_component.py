# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import types

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.mlops.hosts.plugins.action.component import ActionModule


@pytest.fixture
def run():
    """Run the action; what the host was asked is in run.asked."""

    def act(**arguments):
        task = types.SimpleNamespace(
            args=arguments, async_val=0, delegate_to="another", environment=[], check_mode=False, diff=False, action="x"
        )
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
        action = ActionModule(task, connection, types.SimpleNamespace(), None, None, None)

        def execute(*, module_name, module_args, **options):
            act.asked.append(module_args)
            return {"changed": False}

        action._execute_module = execute
        return action.run(task_vars={})

    act.asked = []
    return act


@pytest.mark.parametrize("data", [pytest.param({"a": 1}, id="dict"), pytest.param([1], id="list")])
def test_data_is_no_content(run, data):
    with pytest.raises(AnsibleActionFail) as failure:
        run(name="a", files=[{"path": "/etc/a", "content": data, "secret": True}])
    assert failure.value.message == (
        "the content of file '/etc/a' must be text, and is data; "
        "end its expression with the filter to_json, or with the filter string where it is text already"
    )
    assert run.asked == []


def test_text_is_content(run):
    run(name="a", files=[{"path": "/etc/a", "content": '{"a": 1}'}])
    assert run.asked[0]["files"] == [{"path": "/etc/a", "content": '{"a": 1}'}]


def test_an_expectation_goes_to_the_host_with_its_tree(run):
    inference = {"url": "http://127.0.0.1:1", "expectation": "tokens"}
    run(name="a", ready=[{"inference": inference, "timeout_s": 5}, {"tcp": "127.0.0.1:1"}])
    tree = {"type": "field", "children": [], "value": "tokens"}
    given = {**inference, "expectation": {"text": "tokens", "tree": tree}}
    assert run.asked[0]["ready"] == [{"inference": given, "timeout_s": 5}, {"tcp": "127.0.0.1:1"}]


def test_what_is_no_expression_is_refused_before_the_host_is_asked(run):
    with pytest.raises(AnsibleActionFail, match="expectation is not a JMESPath expression"):
        run(name="a", ready=[{"inference": {"url": "http://127.0.0.1:1", "expectation": "tokens >"}}])
    assert run.asked == []


@pytest.mark.parametrize("secret", [False, "false", "no", 0])
def test_a_file_that_is_no_secret_keeps_its_content(run, secret):
    run(name="a", files=[{"path": "/etc/a", "content": "x", "secret": secret}])
    assert run.asked[0]["files"][0]["content"] == "x"
    assert run.asked[0]["_secrets"] == {}


@pytest.mark.parametrize("secret", [True, "true", "yes", 1])
def test_the_content_of_a_secret_file_goes_apart(run, secret):
    run(name="a", files=[{"path": "/etc/a", "content": "x", "secret": secret}])
    assert run.asked[0]["files"][0]["content"] == ""
    assert run.asked[0]["_secrets"] == {"/etc/a": "x"}


@pytest.mark.parametrize("option", ["files", "repositories"])
@pytest.mark.parametrize("value", ["/etc/a", [["/etc/a"]], {"path": "/etc/a"}])
def test_what_is_no_list_of_dictionaries_is_left_to_the_module_to_refuse(run, option, value):
    run(name="a", **{option: value})
    assert run.asked[0][option] == value
