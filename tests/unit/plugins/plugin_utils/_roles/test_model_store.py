# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The component of a store, and what is refused before a host is asked."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.model_store.build import build, component_name, facts
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform

OPTIONS = {
    "state": "present",
    "dir": "/srv/models",
    "mode": "0440",
    "purge": False,
    "rehash": False,
    "artifacts": [],
    "endpoint": "https://hub.example.org",
    "ca_path": "",
    "keep": None,
    "seeds": [],
    "parallel": 4,
    "retries": 5,
    "max_wait_s": 600,
    "timeout_s": 60,
    "reserve_mib": 1024,
    "lock_timeout_s": 120,
    "user": "models",
    "group": "readers",
    "mount_required": False,
    "token": "",
    "token_file": "",
}


def built(**more):
    return build({**OPTIONS, **more}, Platform())


def test_user_and_directory():
    found = built()
    assert found.component == {
        "name": "model_store.srv.models",
        "state": "present",
        "users": [{"name": "models"}],
        "directories": [{"path": "/srv/models", "owner": "models", "group": "readers", "mode": "0750"}],
    }
    assert found.rest(False, True) == {"state": "present", "component": "model_store.srv.models"}
    assert facts(OPTIONS) == () and found.question is None


@pytest.mark.parametrize(
    ("store", "name"),
    [
        ("/var/lib/mlops-models", "model_store"),
        ("/var/lib/mlops-models/", "model_store"),
        ("/srv/a_b-c/d", "model_store.srv.a.b.c.d"),
    ],
)
def test_each_store_is_a_component_of_its_own(store, name):
    assert component_name(store) == name


def test_a_disk_is_looked_for_before_its_directory_is_made():
    question = built(mount_required=True).question
    assert question.module == "mlops.hosts.model_artifact"
    assert question.args == {"artifacts": [], "store": "/srv/models", "mount_required": True}


def test_what_becomes_of_the_models_decides_first_whether_their_user_goes():
    found = built(state="absent", token="a", token_file="b")
    assert found.problems == () and found.component is None and found.checks == ()
    assert found.rest(False, False) == {"state": "absent", "component": "model_store.srv.models"}


def test_models_are_compared_as_they_are_fetched():
    everything = {**OPTIONS, "keep": 2, "ca_path": "/ca.pem", "token": "hush"}
    (check,) = build(everything, Platform()).checks
    tasks = pathlib.Path(__file__).parents[5] / "roles/model_store/tasks/present.yml"
    fetched = yaml.safe_load(tasks.read_text())[0]["mlops.hosts.model_artifact"]
    # Nothing is shown of a comparison.
    assert {*check.question.args, "token_file", "progress_s"} == fetched.keys()
    assert check.question.args["verify"] is False and check.question.args["owner"] == "models"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"dir": "/"}, "model_store_dir must be a directory of its own by its absolute path, not '/'."),
        ({"dir": "models", "state": "absent"}, "model_store_dir must be"),
        ({"token": "a", "token_file": "b"}, "model_store_token and model_store_token_file are both set; keep one."),
    ],
)
def test_what_is_refused(more, words):
    (problem,) = built(**more).problems
    assert problem.startswith(words)


def test_models_that_are_to_go_are_compared_and_so_is_their_user():
    asked = [check.question for check in built(state="absent", purge=True).checks]
    assert [question.module for question in asked] == ["mlops.hosts.model_artifact", "mlops.hosts.component"]
    assert asked[0].args == {"artifacts": [], "store": "/srv/models", "purge": True}
    assert asked[1].args == {"name": "model_store.srv.models", "state": "absent"}
