# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake of AWX refuses what AWX 24.6.1 refuses, after its source."""

from __future__ import annotations

import pathlib
import sys

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.filter.awx import awx_survey

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "fakes"))
import fake_awx  # noqa: E402

TEXT = {"variable": "a", "question_name": "a", "type": "text", "required": True, "min": 1, "max": 3}
NUMBER = {**TEXT, "type": "integer", "min": 1, "max": 9}
CHOICE = {**TEXT, "type": "multiplechoice", "choices": ["x", "y"]}


@pytest.mark.parametrize(
    ("questions", "problem"),
    [
        ([], "a survey without questions"),
        ([{**TEXT, "type": "yaml"}], "question 0: there is no type yaml"),
        ([{**TEXT, "required": "yes"}], "question 0: required must be there, as a bool"),
        ([TEXT, TEXT], "question 1: a is asked for twice"),
        ([{**NUMBER, "default": "1"}], "question 0: the default is no integer"),
        ([{**CHOICE, "default": "z"}], "question 0: the default is none of the choices"),
        ([{**TEXT, "max": "3"}], "question 0: min and max must be whole numbers"),
        ([TEXT], None),
    ],
)
def test_surveys(questions, problem):
    assert fake_awx.survey_problem({"name": "", "description": "", "spec": questions}) == problem


@pytest.mark.parametrize(
    ("question", "answers", "refused"),
    [
        (TEXT, {}, True),
        ({**TEXT, "required": False}, {}, False),
        ({**TEXT, "required": False}, {"a": ""}, True),
        ({**TEXT, "min": 0}, {"a": ""}, False),
        (TEXT, {"a": 1}, True),
        (TEXT, {"a": "abcd"}, True),
        (NUMBER, {"a": "1"}, True),
        (NUMBER, {"a": True}, True),
        (NUMBER, {"a": 5}, False),
        (CHOICE, {"a": "z"}, True),
        (CHOICE, {"a": "y"}, False),
        ({**CHOICE, "type": "multiselect"}, {"a": "x"}, True),
        ({**CHOICE, "type": "multiselect"}, {"a": ["x"]}, False),
    ],
)
def test_answers(question, answers, refused):
    assert bool(fake_awx.answer_problem(question, answers)) is refused


def test_a_default_is_sent_where_nobody_was_asked_and_others_are_refused():
    template = {"extra_vars": '{"b": 1}', "ask_variables_on_launch": False}
    survey = {"spec": [{**CHOICE, "required": False, "default": "x"}]}
    assert fake_awx.extra_variables(template, survey, {}) == {"a": "x", "b": 1}
    with pytest.raises(fake_awx.Refused, match="Variables c are not allowed on launch"):
        fake_awx.extra_variables(template, survey, {"c": 1})


@pytest.mark.parametrize(
    ("fields", "injectors", "problem"),
    [
        ([{"id": "token", "label": "Token"}], {"file": {"template": "{{ token }}"}}, None),
        ([], {"file": {"template": "{{ token }}"}}, "template of file uses an undefined field (token)"),
        ([], {"env": {"A": "{{ tower.filename }}"}}, "A of env uses an undefined field (tower.filename)"),
        ([], {"env": {"ANSIBLE_A": "b"}}, "Environment variable ANSIBLE_A is not allowed to be used in credentials."),
        ([{"id": "token"}], {}, "token has no label"),
    ],
)
def test_credential_types(fields, injectors, problem):
    assert fake_awx.credential_type_problem({"fields": fields}, injectors) == problem


@pytest.fixture
def awx():
    return fake_awx.Awx({"site.yml"})


def test_a_secret_is_never_told(awx):
    fields = [{"id": "token", "label": "Token", "secret": True}, {"id": "url", "label": "Address"}]
    kind = awx.create("credential_types", {"name": "hub", "inputs": {"fields": fields}})
    made = awx.create(
        "credentials", {"name": "a", "credential_type": kind["id"], "inputs": {"token": "s3cret", "url": "u"}}
    )
    assert made["inputs"] == {"token": fake_awx.ENCRYPTED, "url": "u"}


def test_a_playbook_that_the_project_has_not_is_refused(awx):
    project = awx.create("projects", {"name": "a"})
    awx.create("job_templates", {"name": "a", "project": project["id"], "playbook": "site.yml"})
    with pytest.raises(fake_awx.Refused, match="Playbook not found for project"):
        awx.create("job_templates", {"name": "b", "project": project["id"], "playbook": "gone.yml"})


def test_a_field_that_it_does_not_know_is_ignored(awx):
    assert "colour" not in awx.create("organizations", {"name": "a", "colour": "red"})


def test_a_name_is_there_once(awx):
    awx.create("organizations", {"name": "a"})
    with pytest.raises(fake_awx.Refused, match="already exists"):
        awx.create("organizations", {"name": "a"})


class _Playbook(yaml.SafeLoader):
    pass


_Playbook.add_constructor("!unsafe", lambda _, node: node.value)


def of_the_playbook(name):
    tasks = yaml.load((ROOT / "playbooks/tasks/awx.yml").read_text(), _Playbook)
    (found,) = [task["vars"][name] for task in tasks if name in task.get("vars", {}) and "nodes" not in task["name"]][
        :1
    ]
    return found


def test_templates_run_playbooks_that_the_example_has():
    templates = of_the_playbook("awx_job_templates")
    playbooks = {template.get("playbook", name) for name, template in templates.items()}
    assert playbooks <= {path.stem for path in (ROOT / "examples/awx").glob("*.yml")}


def test_nodes_of_workflows_run_templates_that_are_made_and_lead_to_nodes_that_are_there():
    names = {template["name"] for template in of_the_playbook("awx_job_templates").values()}
    for workflow in of_the_playbook("awx_workflows").values():
        nodes = {node["identifier"]: node for node in workflow["nodes"]}
        for node in nodes.values():
            assert ("approval" in node) != (node.get("job") in names)
            assert set(node.get("always", []) + node.get("success", [])) <= set(nodes)


def test_surveys_of_the_playbook_ask_for_options():
    (play,) = yaml.safe_load((ROOT / "playbooks/awx.yml").read_text())
    written = play["vars"]["awx_settings"]["surveys"]
    asked = yaml.safe_load(written.partition("{{ ")[2].partition(" |")[0])
    for names in asked.values():
        assert awx_survey(names)["spec"]


@pytest.mark.parametrize("name", ["hub_token", "registry", "api_keys"])
def test_a_type_of_credential_is_one_that_awx_takes_and_keeps_its_secret_out_of_variables(name):
    kind = of_the_playbook("awx_credential_types")[name]
    assert fake_awx.credential_type_problem(kind["inputs"], kind["injectors"]) is None
    secret = [field["id"] for field in kind["inputs"]["fields"] if field.get("secret")]
    assert set(kind["injectors"]) == {"file", "env"}
    assert secret
    assert not [one for one in secret if any(f"{{{{ {one} }}}}" in text for text in kind["injectors"]["env"].values())]
