# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one task asks about all roles of a host, and which of them it says are to run."""

from __future__ import annotations

import types

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.mlops.hosts.plugins.action import host_check
from ansible_collections.mlops.hosts.plugins.action.host_check import ActionModule
from ansible_collections.mlops.hosts.plugins.module_utils._bundle.manifest import Manifest, Repository
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built, Check, Question
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.mirror import Mirror
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import Read

COMPONENT = "mlops.hosts.component"
ROW = {"kind": "file", "item": "/etc/a", "attribute": "content", "want": "x", "have": "y"}
DRIVER = Question("mlops.hosts.driver_info", {"vendor": "auto"})
CHECK = Check(Question("mlops.hosts.container_image", {}), lambda answer: answer["rows"])
FACTS = {"ansible_distribution": "Debian", "ansible_distribution_release": "trixie"}


def room(built=None, *, facts=(), asks=None, after=(), state="present", problems=(), verify="changed", mirror=None):
    """A role: what it builds, what it needs to know first, and its options."""

    def build(_options, platform, *answers):
        return built(platform, *answers) if callable(built) else built

    return types.SimpleNamespace(
        build=build,
        facts=lambda _options: facts,
        asks=lambda _options: asks,
        AFTER=after,
        read=Read({"state": state, "verify": verify}, tuple(problems), (), mirror),
    )


class Host:
    """A host that answers modules by their names, components by theirs; ``asked`` has those of each round trip."""

    def __init__(self, monkeypatch, answers=None, modules=None):
        self.monkeypatch, self.answers, self.modules = monkeypatch, answers or {}, modules or {}
        self.asked, self.run_in_full = [], []

    def check(self, rooms, *, variables=None, roles=None, **args):
        self.monkeypatch.setattr(host_check.role_component, "ROOMS", rooms)
        self.monkeypatch.setattr(host_check.role_component.variables, "read", lambda role, *_args: rooms[role].read)
        self.monkeypatch.setattr(host_check.role_component.variables, "defaults", lambda _role: {})
        task = types.SimpleNamespace(
            args={"roles": roles or list(rooms), **args},
            async_val=0,
            delegate_to=None,
            environment=[],
            check_mode=False,
            diff=False,
            action="mlops.hosts.host_check",
        )
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
        templar = types.SimpleNamespace(template=lambda value: value, copy_with_new_env=lambda **_env: templar)
        action = ActionModule(task, connection, types.SimpleNamespace(), None, templar, None)
        action.fast_checks = lambda questions, _task_vars: self._fast(task, questions)
        action._role = lambda name, _task_vars, *, all_checks: self._in_full(task, name, all_checks)
        self.monkeypatch.setattr(
            host_check.role_component.component.ActionModule,
            "_execute_module",
            lambda _self, *, module_name, **_more: self.modules[module_name],
        )
        return action.run(task_vars=variables or {})

    def _fast(self, task, questions):
        assert task.check_mode, "it is a comparison"
        self.asked.append([args.get("name", module) for module, args in questions])
        return [self.answers.get(args.get("name", module)) for module, args in questions]

    def _in_full(self, task, name, all_checks):
        assert task.check_mode and all_checks
        self.run_in_full.append(name)
        result = self.modules[name]
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def host(monkeypatch):
    return lambda **more: Host(monkeypatch, **more)


def right(name):
    return {"changed": False, "component": name, "drift": []}


def component(name, **more):
    return Built(component={"name": name, "state": more.pop("state", "present")}, **more)


def test_a_host_is_asked_in_two_round_trips_and_nothing_twice(host):
    rooms = {
        "gpu_driver": room(lambda platform, _driver: component(f"driver.{platform.distribution}"), asks=DRIVER),
        "log_shipper": room(component("shipper"), facts=("distribution",)),
        "model_store": room(component("store", checks=(CHECK,)), facts=("distribution",)),
        "gpu_settings": room(Built()),
    }
    answers = {
        DRIVER.module: {"verdict": "ok"},
        "mlops.hosts.platform_facts": {"ansible_facts": FACTS},
        "driver.None": right("driver"),
        "shipper": right("shipper"),
        "store": right("store"),
        CHECK.question.module: {"rows": []},
    }
    asked = host(answers=answers)
    result = asked.check(rooms)
    assert asked.asked == [
        [DRIVER.module, "mlops.hosts.platform_facts"],
        ["driver.None", "shipper", "store", CHECK.question.module],
    ]
    assert (result["changed"], result["differing"], result["removing"]) == (False, [], [])
    # Roles that follow need not ask for the platform again.
    assert result["ansible_facts"] == FACTS


def test_a_platform_that_os_release_does_not_tell_is_gathered_once(host):
    facts = {"ansible_distribution": "Rocky", "ansible_distribution_release": "Blue Onyx"}
    asked = host(answers={"a.Rocky": right("a"), "b": right("b")})
    gathered = []
    asked.monkeypatch.setattr(
        host_check.role_component, "gather", lambda *_args: gathered.append(1) or {"ansible_facts": facts}
    )
    rooms = {
        "gpu_driver": room(lambda platform: component(f"a.{platform.distribution}"), facts=("distribution",)),
        "log_shipper": room(component("b"), facts=("distribution",)),
    }
    result = asked.check(rooms)
    assert (result["differing"], result["ansible_facts"], gathered) == ([], facts, [1])


def test_a_platform_that_is_known_is_not_asked_for(host):
    asked = host(answers={"driver.Debian": right("driver")})
    rooms = {"gpu_driver": room(lambda platform: component(f"driver.{platform.distribution}"), facts=("distribution",))}
    assert asked.check(rooms, variables={"ansible_facts": {"distribution": "Debian"}})["differing"] == []
    assert asked.asked == [["driver.Debian"]]


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(room(component("unknown")), id="the-component-differs-or-is-not-known"),
        pytest.param(room(component("a", checks=(CHECK,))), id="a-check-differs"),
        pytest.param(room(Built(checks=(Check(Question("nobody", {}), list),))), id="a-check-is-not-known"),
        pytest.param(room(component("a"), asks=Question("nobody", {})), id="a-question-is-not-answered"),
        pytest.param(room(component("a"), asks=Question("failed", {})), id="a-question-fails"),
        pytest.param(room(problems=["x must be y."]), id="variables-are-invalid"),
        pytest.param(room(Built(problems=("No.",))), id="it-is-refused"),
        pytest.param(room(component("a", before=(Question("dnf", {}),))), id="something-comes-before"),
        pytest.param(room(component("a", differs=True)), id="what-was-asked-differs"),
        pytest.param(room(component("a", pending=({"why": "Reboot."},))), id="something-waits"),
        pytest.param(room(component("a", rest=lambda _changed, _dry_run: {"left": 1})), id="something-is-left"),
        pytest.param(room(component("a", verify={"probes": []}), verify="always"), id="it-is-always-verified"),
    ],
)
def test_what_is_not_known_to_be_right_has_to_run(host, one):
    answers = {"a": right("a"), CHECK.question.module: {"rows": [ROW]}, "failed": {"failed": True, "msg": "no"}}
    result = host(answers=answers).check({"model_store": one, "log_shipper": room(component("a"))})
    assert result["differing"] == ["model_store"]


def test_what_comes_before_and_is_asked_for_too_is_right_where_it_is_said_to_be(host):
    one = room(component("a", before=(CHECK.question,), checks=(CHECK,)))
    for rows, differing in (([], []), ([ROW], ["model_store"])):
        answers = {"a": right("a"), CHECK.question.module: {"rows": rows}}
        assert host(answers=answers).check({"model_store": one})["differing"] == differing


def test_what_stands_on_a_role_that_differs_runs_after_it(host):
    rooms = {
        "gpu_driver": room(component("differs")),
        "gpu_settings": room(component("a"), after=("gpu_driver",)),
        "log_shipper": room(component("a")),
        "model_server": room(component("a"), after=("gpu_settings",)),
    }
    result = host(answers={"a": right("a")}).check(rooms)
    assert result["differing"] == ["gpu_driver", "gpu_settings", "model_server"]


def test_what_goes_goes_in_reverse(host):
    rooms = {
        "gpu_driver": room(component("b"), state="absent"),
        "model_store": room(component("c"), state="absent"),
        "model_server": room(component("gone"), state="absent", after=("model_store",)),
        "log_shipper": room(component("d")),
    }
    result = host(answers={"gone": right("gone")}).check(rooms)
    assert result["removing"] == ["model_store", "gpu_driver"]
    assert result["differing"] == ["log_shipper"]


@pytest.mark.parametrize(
    ("only", "skipped", "differing"),
    [
        (["all"], [], ["model_store", "model_server"]),
        (["model_server"], [], ["model_server"]),
        (["another"], [], []),
        (["all"], ["model_server"], ["model_store"]),
        (["tagged"], [], ["model_store", "model_server"]),
        (["all"], ["tagged"], []),
    ],
)
def test_of_a_role_that_no_tag_selects_not_even_the_variables_count(host, only, skipped, differing):
    rooms = {"model_store": room(component("x")), "model_server": room(component("y"))}
    read = []
    for name, one in rooms.items():
        one.build = lambda *_args, name=name: read.append(name) or component(name)
    result = host().check(rooms, variables={"ansible_run_tags": only, "ansible_skip_tags": skipped})
    assert result["differing"] == result["compared"] == differing == read


def test_what_a_check_says_that_is_no_difference_is_a_warning(host):
    check = Check(Question("x", {}), lambda _answer: [], lambda answer: [answer["said"]])
    rooms = {"model_gateway": room(component("a", checks=(check,)))}
    told = host(answers={"a": right("a"), "x": {"said": "Mind it."}}).check(rooms)
    assert (told["differing"], told["warnings"]) == ([], ["Mind it."])


def test_details_are_those_of_the_role_itself_where_it_differs(host):
    rooms = {
        "gpu_driver": room(component("a", published={"asked": {"x": {}}}, notices=("No GPU.",))),
        "log_shipper": room(component("differs")),
        "model_store": room(problems=["model_store_dir must be a path."]),
    }
    differs = {"changed": True, "component": "shipper", "drift": [ROW], "warnings": ["Careful."]}
    told = host(answers={"a": right("a")}, modules={"log_shipper": differs})
    result = told.check(rooms, details=True)
    assert told.run_in_full == ["log_shipper"]
    assert result["roles"]["gpu_driver"]["component"] == "a" and result["roles"]["gpu_driver"]["asked"] == {"x": {}}
    assert result["roles"]["log_shipper"]["drift"] == [ROW]
    assert result["roles"]["model_store"]["failed"] and "must be a path" in result["roles"]["model_store"]["msg"]
    assert result["changed"] and result["warnings"] == ["No GPU.", "Careful."]


def test_what_a_role_asked_about_besides_its_component_is_a_change(host):
    asked = {"changed": False, "component": None, "asked": {"x": {"changed": True, "drift": [ROW]}}}
    told = host(modules={"model_store": asked})
    assert told.check({"model_store": room(component("differs"))}, details=True)["changed"]


def test_a_connection_that_breaks_is_no_failure_of_a_role(host):
    broken = host(modules={"log_shipper": AnsibleConnectionFailure("gone")})
    with pytest.raises(AnsibleConnectionFailure):
        broken.check({"log_shipper": room(component("x"))}, details=True)


def test_gpu_events_are_asked_along(host):
    events = {"changed": False, "events": [{"code": 79}]}
    gpus = {"changed": False, "gpus": [], "count": 0}
    told = host(answers={"mlops.hosts.gpu_info": gpus, "mlops.hosts.gpu_events_info": events, "a": right("a")})
    found = told.check({"log_shipper": room(component("a"))}, gpus=True, gpu_events=True)
    assert (found["gpus"], found["gpu_events"]) == (gpus, events)
    # Of what is not asked nothing is said.
    assert "gpu_events" not in told.check({"log_shipper": room(component("a"))}, gpus=True)


def test_gpus_are_asked_along(host):
    gpus = {"changed": False, "gpus": [], "count": 0}
    told = host(answers={"mlops.hosts.gpu_info": gpus, "a": right("a")})
    assert told.check({"log_shipper": room(component("a"))}, gpus=True)["gpus"] == gpus
    assert told.asked == [["mlops.hosts.gpu_info"], ["a"]]
    failed = host(answers={"a": right("a")}, modules={"mlops.hosts.gpu_info": {"failed": True, "msg": "it hangs"}})
    found = failed.check({"log_shipper": room(component("a"))}, gpus=True)["gpus"]
    assert found["failed"] and found["msg"] == "it hangs"


MIRROR = Mirror("https://m", Manifest(repositories=(Repository("shipper", "trixie", "amd64", ("rsyslog",)),)))
OF_MIRROR = {**FACTS, "ansible_os_family": "Debian", "ansible_architecture": "x86_64"}


@pytest.fixture
def mirrored(host):
    """A host of which one role is right, one differs, and both have a mirror, which answers as told."""

    def mirrored(*problems, differs=True):
        built = component("shipper")
        built = Built(component={**built.component, "packages": [{"name": "rsyslog"}]})
        rooms = {"log_shipper": room(built, mirror=MIRROR), "model_store": room(component("store"), mirror=MIRROR)}
        answers = {
            "mlops.hosts.platform_facts": {"ansible_facts": OF_MIRROR},
            "shipper": {**right("shipper"), "changed": differs},
            "store": right("store"),
        }
        asked = host(answers=answers, modules={"mlops.hosts.mirror_info": {"problems": list(problems)}})
        return asked, rooms

    return mirrored


def test_a_mirror_that_has_all_lets_a_role_run(mirrored):
    asked, rooms = mirrored()
    assert asked.check(rooms)["differing"] == ["log_shipper"]


def test_what_a_mirror_lacks_stops_the_host_before_a_role_runs(mirrored):
    asked, rooms = mirrored("https://m/a has status 404", "https://m/b has status 404")
    with pytest.raises(AnsibleActionFail, match=r"https://m/a has status 404. https://m/b has status 404.$"):
        asked.check(rooms)


def test_a_host_that_is_right_does_not_ask_the_mirror(mirrored):
    asked, rooms = mirrored("https://m/a has status 404", differs=False)
    assert asked.check(rooms)["differing"] == []
