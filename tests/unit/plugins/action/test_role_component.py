# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the one task of a role asks of a host, in which order, and what it returns."""

from __future__ import annotations

import types

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.mlops.hosts.plugins.action import role_component
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import (
    Built,
    Check,
    Confirm,
    Decision,
    Question,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import Read

COMPONENT = {"name": "demo", "state": "present"}
RIGHT = {"changed": False, "component": "demo", "drift": [], "recovered": "none", "pending": []}
DRIFT = [{"kind": "file", "item": "/etc/a", "attribute": "content", "want": "x", "have": "y"}]
DIFFERS = {**RIGHT, "changed": True, "drift": DRIFT}
LOOK = Question("mlops.hosts.preflight_info", {"ports": [80]})


class Host:
    """A host that differs or not, and answers questions. ``asked``: what was run, with the check mode it was run in."""

    def __init__(self, monkeypatch, differs=True, answers=None, fast=None, waits=()):
        self.monkeypatch, self.differs, self.answers, self.fast = monkeypatch, differs, answers or {}, fast or {}
        self.waits = dict(waits)
        self.asked = []

    def run(self, built, options=None, *, check_mode=False, variables=None, role="demo", **room):
        options = {"state": "present", "verify": "changed", **(options or {})}
        build = built if callable(built) else lambda _options, _platform, *_answer: built
        fake = types.SimpleNamespace(facts=lambda _options: (), build=build, **room)
        self.monkeypatch.setattr(role_component, "ROOMS", {"demo": fake})
        self.monkeypatch.setattr(role_component.variables, "read", lambda *_args: Read(options, (), ("a warning",)))
        task = types.SimpleNamespace(
            args={"role": role},
            async_val=0,
            delegate_to="another",
            environment=[],
            check_mode=check_mode,
            diff=True,
            action="mlops.hosts.role_component",
        )
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
        templar = types.SimpleNamespace(template=lambda value: value, copy_with_new_env=lambda **_env: templar)
        self.monkeypatch.setattr(role_component.variables, "defaults", lambda _role: {})
        action = role_component.ActionModule(task, connection, types.SimpleNamespace(), None, templar, None)
        action.fast_checks = lambda questions, _task_vars: self._fast(task, questions)
        action.ensure = lambda args, _task_vars, **_more: self._ensure(task, args)
        self.monkeypatch.setattr(
            role_component.component.ActionModule,
            "_execute_module",
            lambda _self, *, module_name, module_args, **_more: self._answer(module_name),
        )
        return action.run(task_vars=variables or {})

    def _fast(self, task, questions):
        assert task.check_mode
        modules = [module for module, _args in questions]
        if role_component.component.MODULE in modules:
            self.asked.append("fast check")
        return [
            dict(RIGHT) if module == role_component.component.MODULE and not self.differs else self.fast.get(module)
            for module in modules
        ]

    def _ensure(self, task, args):
        step = "compare" if task.check_mode else "converge"
        self.asked.append((step, args["name"], task.diff))
        return {**DIFFERS, "changed": step not in self.waits, "pending": self.waits.get(step, [])}

    def _answer(self, module):
        self.asked.append(module)
        return self.answers.get(module, {})


@pytest.fixture
def host(monkeypatch):
    return lambda **more: Host(monkeypatch, **more)


def test_a_host_that_is_right_is_asked_one_question(host):
    right = host(differs=False)
    result = right.run(Built(component=COMPONENT, question=LOOK, verify={"a": 1}))
    assert right.asked == ["fast check"]
    assert (result["changed"], result["verify"], result["rest"]) == (False, None, None)
    assert result["warnings"] == ["a warning"]


def test_what_several_checks_of_one_module_found_is_all_told(host):
    rows = [{"item": name} for name in ("one", "two")]
    checks = [Check(Question("x", {"name": name}), lambda _answer, row=row: [row]) for name, row in zip("ab", rows)]
    right = Check(Question("x", {"name": "c"}), lambda _answer: [])
    found = host(differs=False, fast={"x": {"drift": []}}).run(Built(component=COMPONENT, checks=(*checks, right)))
    assert found["asked"] == {"x": {"changed": True, "drift": rows}}


def test_what_a_check_says_that_is_no_difference_is_a_warning(host):
    check = Check(Question("x", {}), lambda _answer: [], lambda answer: [answer["said"]])
    found = host(differs=False, fast={"x": {"said": "Mind it."}}).run(Built(component=COMPONENT, checks=(check,)))
    assert found["warnings"] == ["a warning", "Mind it."] and found["rest"] is None


def test_of_a_host_that_is_to_change_conflicts_are_asked_before_it_changes(host):
    differs = host(answers={LOOK.module: {"listeners": []}})
    result = differs.run(Built(component=COMPONENT, question=LOOK, verify={"a": 1}))
    # Only what changes the host shows the diff.
    assert differs.asked == ["fast check", ("compare", "demo", False), LOOK.module, ("converge", "demo", True)]
    assert result["changed"] and result["verify"] == {"a": 1}


def test_what_is_asked_along_with_it_is_told_to_who_decides(host):
    told = []
    more = Question("mlops.hosts.cdi_info", {})
    differs = host(answers={LOOK.module: {"a": 1}, more.module: {"b": 2}})

    def decide(answer, compared, _dry_run):
        told.append((answer, compared["drift"], compared["context"]))
        return Decision()

    differs.run(Built(component=COMPONENT, question=LOOK, context=(more,), decide=decide))
    assert told == [({"a": 1}, DRIFT, [{"b": 2}])]
    assert differs.asked == ["fast check", ("compare", "demo", False), LOOK.module, more.module] + [
        ("converge", "demo", True)
    ]


def test_all_conflicts_are_said_and_nothing_changes(host):
    differs = host()
    built = Built(component=COMPONENT, question=LOOK, conflicts=lambda *_args: ["One.", "Two."])
    with pytest.raises(AnsibleActionFail, match=r"^One\. Two\.$"):
        differs.run(built)
    assert not any(step[0] == "converge" for step in differs.asked)


def test_what_is_invalid_is_said_before_the_host_is_asked(host):
    untouched = host()
    with pytest.raises(AnsibleActionFail, match=r"^One\. Two\.$"):
        untouched.run(Built(problems=("One.", "Two.")))
    assert untouched.asked == []


@pytest.mark.parametrize(
    "dry_run", [{"check_mode": True}, {"variables": {"mlops_hosts_audit": True}}], ids=["check-mode", "audit"]
)
def test_a_dry_run_compares_and_verifies_nothing(host, dry_run):
    differs = host(answers={LOOK.module: {}})
    confirm = Confirm(Question("x", {}), lambda _answer: ["never asked"])
    result = differs.run(Built(component=COMPONENT, question=LOOK, verify={"a": 1}, confirm=confirm), **dry_run)
    assert differs.asked == ["fast check", ("compare", "demo", True), LOOK.module]
    assert result["changed"] and result["dry_run"] and result["verify"] is None


def test_what_waits_changes_nothing_and_is_said(host):
    pending = {"what": "docker.service", "why": "Containers run.", "ends_with": "restart"}
    differs = host(answers={LOOK.module: {}})
    built = Built(
        component=COMPONENT,
        question=LOOK,
        decide=lambda *_args: Decision(pending=(pending,)),
        rest=lambda _changed, _dry_run: {"never": True},
    )
    result = differs.run(built)
    assert (result["changed"], result["pending"], result["rest"]) == (False, [pending], None)
    assert result["warnings"] == ["a warning", "Containers run."]
    assert ("converge", "demo", True) not in differs.asked


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_a_change_costs_is_a_warning(host, check_mode):
    built = Built(component=COMPONENT, question=LOOK, decide=lambda *_args: Decision(notices=("Lines are discarded.",)))
    result = host(answers={LOOK.module: {}}).run(built, check_mode=check_mode)
    assert result["changed"] and result["warnings"] == ["a warning", "Lines are discarded."]


@pytest.mark.parametrize("step", ["compare", "converge"])
def test_a_component_that_waits_is_no_change_and_nothing_follows(host, step):
    pending = {"what": "port 80", "why": "Port 80 is taken.", "ends_with": "its end"}
    differs = host(waits={step: [pending]})
    result = differs.run(Built(component=COMPONENT, verify={"a": 1}, rest=lambda _changed, _dry_run: {"never": True}))
    assert (result["changed"], result["pending"]) == (False, [pending])
    assert (result["verify"], result["rest"]) == (None, None)
    assert result["warnings"] == ["a warning", "Port 80 is taken."]
    assert differs.asked[-1][0] == step


def test_in_a_dry_run_a_component_that_waits_differs(host):
    pending = {"what": "port 80", "why": "Port 80 is taken.", "ends_with": "its end"}
    result = host(waits={"compare": [pending]}).run(Built(component=COMPONENT), check_mode=True)
    assert (result["changed"], result["pending"], result["drift"]) == (True, [pending], DRIFT)


def test_a_change_that_did_not_take_effect_fails(host):
    asked = Question("mlops.hosts.container_runtime_info", {})
    differs = host(answers={asked.module: {"live": False}})
    lost = Confirm(asked, lambda answer: [] if answer["live"] else ["Docker runs without it."])
    with pytest.raises(AnsibleActionFail, match="Docker runs without it"):
        differs.run(Built(component=COMPONENT, confirm=lost))
    right = host(differs=False, answers={asked.module: {"live": True}})
    right.run(Built(component=COMPONENT, confirm=lost), {"verify": "always"})
    assert right.asked == ["fast check", asked.module]


def test_what_is_asked_first_is_built_upon(host):
    asked = Question("mlops.hosts.driver_info", {"vendor": "auto"})
    told = host(differs=False, answers={asked.module: {"verdict": "ok"}})
    result = told.run(
        lambda _options, _platform, answer: Built(component=COMPONENT, published={"driver": answer}),
        asks=lambda _options: asked,
    )
    assert told.asked == [asked.module, "fast check"]
    assert result["driver"] == {"verdict": "ok"}


def test_what_runs_before_the_component_counts(host):
    headers = Question("ansible.builtin.dnf", {"name": ["kernel-devel"]})
    right = host(differs=False, answers={headers.module: {"changed": True}})
    assert right.run(Built(before=(headers,), component=COMPONENT))["changed"]
    assert right.asked == [headers.module, "fast check"]


def test_a_question_that_fails_is_told_in_its_own_words(host):
    arguments = {"module_args": {"containerd_settings": "password"}}
    differs = host(answers={LOOK.module: {"failed": True, "msg": "it needs root", "invocation": arguments}})
    with pytest.raises(AnsibleActionFail, match="it needs root") as failure:
        differs.run(Built(component=COMPONENT, question=LOOK))
    assert "password" not in str(vars(failure.value))


def test_a_role_that_has_nothing_to_do_with_a_host_asks_nothing(host):
    untouched = host()
    result = untouched.run(Built())
    assert untouched.asked == []
    assert (result["changed"], result["component"], result["drift"]) == (False, None, [])


def test_facts_that_a_module_found_are_kept(host):
    found = {"discovered_interpreter_python": "/usr/bin/python3"}
    differs = host(answers={LOOK.module: {"ansible_facts": found}})
    assert differs.run(Built(component=COMPONENT, question=LOOK))["ansible_facts"] == found


ROW = {"kind": "image", "item": "a", "attribute": "state", "want": "present", "have": "absent"}


@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        pytest.param({"rows": []}, None, id="right"),
        pytest.param({"rows": [ROW]}, {"left": 1}, id="differs"),
        pytest.param(None, {"left": 1}, id="only-the-role-can-tell"),
    ],
)
def test_what_a_check_finds_is_for_the_tasks_of_the_role(host, answer, rest):
    checked = host(differs=False, fast={LOOK.module: answer})
    check = Check(LOOK, lambda found: found["rows"])
    result = checked.run(Built(component=COMPONENT, checks=(check,), rest=lambda _changed, _dry_run: {"left": 1}))
    assert checked.asked == ["fast check"]
    assert (result["changed"], result["rest"]) == (False, rest)
    told = {"changed": bool(answer["rows"]), "drift": answer["rows"]} if answer else None
    assert result["asked"].get(LOOK.module) == told


def test_what_is_asked_first_can_be_asked_fast(host):
    asked = Question("mlops.hosts.driver_info", {"vendor": "auto"})
    told = host(differs=False, fast={asked.module: {"verdict": "ok"}})
    result = told.run(
        lambda _options, _platform, answer: Built(component=COMPONENT, published={"driver": answer}),
        asks=lambda _options: asked,
    )
    assert told.asked == ["fast check"]
    assert result["driver"] == {"verdict": "ok"}


def test_a_fast_answer_that_refuses_is_told_in_its_own_words(host):
    asked = Question("mlops.hosts.driver_info", {})
    refused = host(fast={asked.module: {"failed": True, "msg": "it needs root"}})
    with pytest.raises(AnsibleActionFail, match="it needs root"):
        refused.run(lambda *_args: Built(component=COMPONENT), asks=lambda _options: asked)
    tolerant = host(differs=False, fast={asked.module: {"failed": True, "msg": "no driver", "unanswered": True}})
    result = tolerant.run(
        lambda _options, _platform, answer: Built(component=COMPONENT, notices=(answer["msg"],)),
        asks=lambda _options: Question(asked.module, {}, tolerates="unanswered"),
    )
    assert "no driver" in result["warnings"]


def test_a_role_that_is_none_of_ours_is_named(host):
    one = host()
    with pytest.raises(AnsibleActionFail, match="mlops.hosts has no role web; it has demo"):
        one.run(Built(), role="web")


def test_what_is_right_is_verified_where_that_is_desired_always(host):
    checked = host(differs=False, fast={LOOK.module: {"rows": []}})
    built = Built(
        component=COMPONENT,
        checks=(Check(LOOK, lambda found: found["rows"]),),
        rest=lambda _changed, _dry_run: {"left": 1},
    )
    assert checked.run(built, {"verify": "always"})["rest"] == {"left": 1}
    assert checked.run(built, {"verify": "always"}, check_mode=True)["rest"] is None
    assert checked.run(built)["rest"] is None


def test_what_a_role_needs_of_other_hosts_is_read_of_their_variables(host):
    seen = {}

    def build(options, _platform):
        seen.update(options["fleet"])
        return Built()

    theirs = {
        "a": {"ray_cluster_address": "10.0.0.9", "ray_cluster_port": 1},
        "b": {"ray_cluster_address": "10.0.0.2", "ray_cluster_port": "6400"},
        "c": {"ray_cluster_state": "absent", "ray_cluster_port": 6400},
    }
    # Those of the task count for the host itself.
    own = {"inventory_hostname": "a", "ray_cluster_address": "10.0.0.1", "hostvars": theirs}
    asked = {"fleet": lambda _options: ([*theirs], "ray_cluster_address"), "FLEET": {"port": "ray_cluster"}}
    host(differs=False).run(build, variables=own, **asked)
    assert seen == {
        "here": "a",
        "hosts": {
            "a": {"address": "10.0.0.1", "port": 6379},
            "b": {"address": "10.0.0.2", "port": 6400},
            "c": {"address": "c", "port": None},
        },
    }
    with pytest.raises(AnsibleActionFail, match=r"^d is no host of the inventory\.$"):
        host().run(build, variables=own, **{**asked, "fleet": lambda _options: (["d"], "ray_cluster_address")})


def test_what_other_roles_have_on_the_host_is_read_of_their_variables_and_specifications(host):
    seen = {}

    def build(options, _platform):
        seen.update(options["others"])
        return Built()

    asked = {"reads": lambda _options: {"model_store": ("dir", "retries"), "model_gateway": ("tls",)}}
    host(differs=False).run(build, variables={"model_store_dir": "/srv", "model_gateway_state": "absent"}, **asked)
    assert seen == {"model_store": {"dir": "/srv", "retries": 5}, "model_gateway": None}
    with pytest.raises(AnsibleActionFail, match="model_gateway_tls must be a dictionary"):
        host().run(build, variables={"model_gateway_tls": "x"}, **asked)
