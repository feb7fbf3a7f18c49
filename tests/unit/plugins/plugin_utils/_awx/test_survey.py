# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys of AWX follow the options of roles, and ask for nothing that a role would not take."""

from __future__ import annotations

import pathlib
import sys

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mlops.hosts.plugins.filter import awx
from ansible_collections.mlops.hosts.plugins.plugin_utils._awx.survey import Refused, survey
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.options import convert

sys.path.append(str(pathlib.Path(__file__).resolve().parents[5] / "tools" / "fakes"))
import fake_awx  # noqa: E402

ALL = awx._options()
SECRET_DATA = {name for name, option in ALL.items() if option.get("no_log") and option["type"] in ("list", "dict")}
ASKABLE = sorted(ALL.keys() - SECRET_DATA)


def question(option, *, defaults=False):
    (found,) = survey({"x": option}, ["x"], name="", description="", defaults=defaults)["spec"]
    return found


@pytest.mark.parametrize(
    ("option", "asked"),
    [
        ({"type": "str"}, {"type": "text", "min": 1, "max": 4096}),
        ({"type": "path"}, {"type": "text", "min": 1, "max": 4096}),
        ({"type": "int"}, {"type": "integer"}),
        ({"type": "float"}, {"type": "float"}),
        ({"type": "bool"}, {"type": "multiplechoice", "choices": ["true", "false"]}),
        ({"type": "str", "choices": ["a", "b"]}, {"type": "multiplechoice", "choices": ["a", "b"]}),
        ({"type": "str", "choices": ["", "b"]}, {"type": "multiplechoice", "choices": ["b"]}),
        ({"type": "str", "no_log": True}, {"type": "password", "min": 1, "max": 4096}),
        ({"type": "list", "elements": "str"}, {"type": "textarea", "min": 1, "max": 131072}),
        ({"type": "list", "elements": "str", "choices": ["a", "b"]}, {"type": "multiselect", "choices": ["a", "b"]}),
        ({"type": "dict"}, {"type": "textarea", "min": 1, "max": 131072}),
    ],
)
def test_a_question_has_the_type_of_its_option(option, asked):
    shown = ("type", "choices", "min", "max")
    assert {name: value for name, value in question(option).items() if name in shown} == asked


def test_what_is_asked_has_to_be_answered_since_a_blank_answer_is_no_answer():
    """AWX makes of a text that was left blank an empty one: a list of no model servers."""
    for option in ({"type": "str"}, {"type": "list", "default": []}, {"type": "str", "default": "a"}):
        asked = question({**option, "required": False})
        assert asked["required"] is True
        assert "default" not in asked


@pytest.mark.parametrize(
    ("option", "default"),
    [
        ({"type": "int", "default": 900}, 900),
        ({"type": "float", "default": 0.5}, 0.5),
        ({"type": "bool", "default": False}, "false"),
        ({"type": "str", "choices": ["a", "b"], "default": "b"}, "b"),
        ({"type": "list", "elements": "dict", "default": [{"a": 1}]}, "- a: 1\n"),
        ({"type": "list", "elements": "str", "choices": ["a", "b"], "default": ["a", "b"]}, "a\nb"),
    ],
)
def test_defaults_are_filled_in_on_demand(option, default):
    asked = question(option, defaults=True)
    assert (asked["default"], asked["required"]) == (default, False)


@pytest.mark.parametrize("default", [None, "", [], "{{ another_option }}"])
def test_a_default_that_says_nothing_is_not_filled_in(default):
    asked = question({"type": "str", "default": default}, defaults=True)
    assert "default" not in asked
    assert asked["required"] is True


def test_a_required_option_is_required_with_a_default_too():
    assert question({"type": "int", "default": 1, "required": True}, defaults=True)["required"] is True


def test_the_default_of_a_secret_is_nowhere():
    asked = question({"type": "str", "no_log": True, "default": "hunter2"}, defaults=True)
    assert "hunter2" not in str(asked)


def test_the_description_is_plain_text_and_says_what_may_be_answered():
    option = {
        "type": "list",
        "elements": "dict",
        "default": [],
        "description": ["Servers, V(a\\)b) or O(x.y), by M(mlops.hosts.component).", "See L(the page,https://a.b/c)."],
        "options": {"name": {"type": "str", "required": True}, "key": {"type": "str", "no_log": True}},
    }
    assert question(option)["question_description"] == (
        "Servers, a)b or x.y, by mlops.hosts.component. See the page (https://a.b/c). YAML or JSON, for example "
        '[{name: "text"}]. The role\'s default: []. Who may see the job sees the answer: leave out key, and give '
        "secrets by a credential."
    )


def test_a_list_of_secrets_is_refused():
    with pytest.raises(Refused, match="x is secret and no line of text: give it by a credential"):
        question({"type": "list", "elements": "str", "no_log": True})


def test_a_survey_changes_with_the_specification_of_the_role():
    asked = {"type": "str", "choices": ["never", "when_needed"], "default": "never", "description": "Reboot."}
    before = question(asked)
    assert question({**asked, "choices": ["never", "when_idle", "when_needed"]}) == {
        **before,
        "choices": ["never", "when_idle", "when_needed"],
    }
    assert question({**asked, "type": "bool", "choices": None})["choices"] == ["true", "false"]
    assert question({**asked, "default": "when_needed"}) != before
    assert question({**asked, "description": "Restart."}) != before


def test_an_option_that_no_role_has_is_refused():
    with pytest.raises(AnsibleFilterError, match="No role has the option gpu_driver_verison"):
        awx.awx_survey(["gpu_driver_version", "gpu_driver_verison"])


def test_options_of_several_roles_are_asked_for_in_order():
    asked = awx.awx_survey(["model_store_purge", "gpu_driver_version"], name="a", description="b")
    assert [one["variable"] for one in asked["spec"]] == ["model_store_purge", "gpu_driver_version"]
    assert (asked["name"], asked["description"]) == ("a", "b")


@pytest.mark.parametrize("defaults", [False, True])
def test_awx_takes_a_question_for_every_option_that_is_no_list_of_secrets(defaults):
    assert fake_awx.survey_problem(awx.awx_survey(ASKABLE, defaults=defaults)) is None


def test_what_is_filled_in_is_what_the_role_does_by_itself():
    asked = awx.awx_survey(ASKABLE, defaults=True)["spec"]
    filled = {one["variable"]: one["default"] for one in asked if "default" in one}
    assert len(filled) > 50
    assert [one["variable"] for one in asked if "default" in one and fake_awx.answer_problem(one, filled)] == []
    spec = {name: ALL[name] for name in filled}
    answered, untouched = convert(spec, filled), convert(spec, {})
    assert answered.problems == ()
    assert answered.values == untouched.values
