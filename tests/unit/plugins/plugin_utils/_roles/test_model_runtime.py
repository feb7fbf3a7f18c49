# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.arguments import (
    EXCLUSIVE,
    REQUIRED_IF,
    SPEC,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built, Question
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_runtime import build as room
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.options import convert
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import ROLES, Platform, platform
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.variables import specification

SET = f"vllm==1 --hash=sha256:{'a' * 64}"
DEBIAN = platform("model_runtime", {"os_family": "Debian"})
EL = platform("model_runtime", {"os_family": "RedHat"})


def environment(**more):
    return {"name": "vllm", "python": "python3.12", "requirements": SET, **more}


def options(*environments, **more):
    given = {"environments": list(environments), **more}
    converted = convert(
        specification("model_runtime"), {f"model_runtime_{name}": value for name, value in given.items()}
    )
    assert not converted.problems
    return {name.removeprefix("model_runtime_"): value for name, value in converted.values.items()}


def packages(*environments, host=DEBIAN):
    return [item["name"] for item in room.build(options(*environments), host).component["packages"]]


def asked(built):
    return [(check.question.module, check.question.args) for check in built.checks]


@pytest.mark.parametrize(
    ("environments", "host", "names"),
    [
        pytest.param([environment()], DEBIAN, ["python3.12-venv"], id="debian"),
        pytest.param([environment()], EL, ["python3.12"], id="enterprise-linux"),
        pytest.param([environment(), environment(name="b")], DEBIAN, ["python3.12-venv"], id="once"),
        pytest.param([environment(packages=["g++", "libnuma1"])], EL, ["python3.12", "g++", "libnuma1"], id="more"),
        pytest.param([environment(python="/opt/python3.12")], Platform(), [], id="a-python-that-is-there"),
        pytest.param([environment(state="absent")], DEBIAN, [], id="absent"),
    ],
)
def test_the_packages_that_environments_need(environments, host, names):
    assert packages(*environments, host=host) == names


def test_each_environment_is_compared_with_arguments_that_the_module_takes():
    login = "https://reader:secret@index.example/simple"
    given = options(environment(), environment(name="air", wheels="/srv/wheels"), index_url=login)
    first, second = asked(room.build(given, DEBIAN))
    assert (first[1]["index_url"], "wheels" in first[1]) == (login, False)
    assert (second[1]["wheels"], "index_url" in second[1]) == ("/srv/wheels", False)
    validator = ArgumentSpecValidator(SPEC, mutually_exclusive=EXCLUSIVE, required_if=REQUIRED_IF)
    for module, args in (first, second):
        assert module == "mlops.hosts.python_environment"
        assert validator.validate(args).error_messages == []


def test_the_task_hands_on_what_was_compared():
    (task,) = yaml.safe_load((ROLES / "model_runtime" / "tasks" / "present.yml").read_text())
    given = options(
        environment(wheels="/w"), environment(name="b"), index_url="https://x.example", extra_index_urls=["https://y"]
    )
    compared = [args for _module, args in asked(room.build(given, DEBIAN))]
    assert set(task["mlops.hosts.python_environment"]) == set().union(*compared)


def test_absent_removes_environments_before_their_pythons():
    built = room.build(options(state="absent", base="/opt/e"), Platform())
    assert built.component is None
    assert asked(built) == [
        ("mlops.hosts.python_environment", {"state": "absent", "base": "/opt/e"}),
        ("mlops.hosts.component", {"name": "model_runtime", "state": "absent"}),
    ]
    assert built.rest(True, False)["state"] == "absent"
    names = [
        next(iter(task))
        for task in map(_module, yaml.safe_load((ROLES / "model_runtime/tasks/absent.yml").read_text()))
    ]
    assert names == [module for module, _args in asked(built)]


def _module(task):
    return {name: value for name, value in task.items() if name.startswith("mlops.hosts.")}


def test_without_environments_there_is_nothing_to_do():
    assert room.build(options(), DEBIAN) == Built()
    assert room.build(options(environment()), DEBIAN).rest(False, False)["state"] == "present"


def test_rows_of_a_comparison_are_the_drift_of_the_role():
    (check,) = room.build(options(environment()), DEBIAN).checks
    assert isinstance(check.question, Question)
    assert check.drift({"drift": [{"item": "vllm"}]}) == [{"item": "vllm"}]


@pytest.mark.parametrize(
    ("environments", "more", "words"),
    [
        pytest.param([], {"base": "/"}, "model_runtime_base must be a directory of its own", id="base"),
        pytest.param([environment(), environment()], {}, "'vllm' is listed 2 times", id="twice"),
        pytest.param([environment(name="../x")], {}, "has a name that cannot be that of a folder", id="name"),
        pytest.param([environment(python=None)], {}, "set python to one with its version in its name", id="no-python"),
        pytest.param([environment(python="python3")], {}, "has python 'python3'", id="python-without-version"),
        pytest.param([environment(requirements=None)], {}, "has no requirements; set them to the text", id="no-set"),
        pytest.param([environment(requirements="vllm==1")], {}, "cannot be installed: ", id="no-hash"),
    ],
)
def test_what_is_refused(environments, more, words):
    (problem,) = room.build(options(*environments, **more), DEBIAN).problems
    assert words in problem


def test_a_distribution_whose_packages_are_not_known():
    (problem,) = room.build(options(environment()), Platform(os_family="Suse")).problems
    assert problem == (
        "No package with python3.12 is known for hosts of the family Suse; install it and set python to its path."
    )


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        pytest.param(options(), False, id="nothing"),
        pytest.param(options(environment()), True, id="a-package"),
        pytest.param(options(environment(python="/opt/python3.12")), False, id="a-program"),
        pytest.param(options(environment(state="absent")), False, id="absent"),
        pytest.param(options(state="absent"), False, id="role-absent"),
    ],
)
def test_the_platform_counts_where_it_names_packages(given, needed):
    assert bool(room.facts(given)) is needed
