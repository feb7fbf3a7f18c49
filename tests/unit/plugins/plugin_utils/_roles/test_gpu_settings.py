# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GPUs are asked, and what a run has left to do once they have answered."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_settings.build import asks, build, told
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform

OPTIONS = {
    "state": "present",
    "devices": [{"select": "all", "persistence": True, "mig": ["1g.5gb"]}],
    "reset": "never",
    "services_stopped": ["dcgm.service"],
    "before_disruption": "",
    "after_disruption": "",
    "before_units": ["docker.service"],
    "python": "/usr/bin/python3",
    "timeout_s": 60,
    "verify": "changed",
}
RIGHT = {"changed": False, "commands": [], "pending": [], "blockers": [], "drift": [], "disruptive": False}
DRIFT = [{"kind": "gpu", "item": "GPU-1", "attribute": "persistence", "want": True, "have": False}]
DIFFERS = {**RIGHT, "commands": [["nvidia-smi", "-pm", "1"]], "drift": DRIFT}
ECC = {"gpu": "GPU-1", "setting": "ecc", "current": "enabled", "pending": "disabled", "ends_with": "reset"}
USER = {"gpu": "GPU-1", "pid": 4711, "command": "python3"}


def built(*answers, **more):
    return build({**OPTIONS, **more}, Platform(), *(answers or (RIGHT, RIGHT)))


def test_geometry_and_settings_are_asked_apart():
    mig, settings = asks(OPTIONS)
    assert (mig.module, settings.module) == ("mlops.hosts.mig_layout", "mlops.hosts.gpu_settings")
    assert mig.args == {
        "devices": [{"select": "all", "layout": ["1g.5gb"]}],
        "reset": "never",
        "services": ["dcgm.service"],
        "timeout_s": 60,
    }
    assert settings.args["devices"] == [{"select": "all", "persistence": True}]
    assert {mig.tolerates, settings.tolerates} == {"unanswered"}


@pytest.mark.parametrize(
    ("more", "modules"),
    [
        ({"devices": [{"select": "all", "persistence": True}]}, ["mlops.hosts.gpu_settings"]),
        ({"devices": [{"select": "all", "mig": []}]}, ["mlops.hosts.mig_layout"]),
        ({"devices": []}, []),
        ({"state": "absent"}, []),
        ({"devices": [{"select": "0", "persistence": True}]}, []),
    ],
)
def test_only_what_is_desired_is_asked(more, modules):
    assert [question.module for question in asks({**OPTIONS, **more})] == modules


def test_an_index_is_refused_before_a_gpu_is_asked():
    (problem,) = built(devices=[{"select": "0", "persistence": True}]).problems
    assert problem.startswith("gpu_settings_devices: ")


def test_nothing_desired_is_nothing():
    assert built(devices=[]) == Built()
    assert built(state="absent").component == {"name": "gpu_settings", "state": "absent"}


def test_the_boot_unit_waits_for_what_uses_gpus():
    component = built().component
    (unit,) = [file for file in component["files"] if file["path"].endswith(".service")]
    assert unit["template_vars"] == {"__gpu_settings_before_units": ["docker.service"]}
    assert component["units"] == [{"name": "mlops-gpu-settings.service", "enabled": True, "state": "unmanaged"}]


@pytest.mark.parametrize(
    ("answers", "changed", "dry_run", "more", "rest"),
    [
        pytest.param((RIGHT, RIGHT), False, False, {}, None, id="right"),
        pytest.param((RIGHT, RIGHT), True, False, {}, (False, False, True), id="the-unit-changed"),
        pytest.param((RIGHT, DIFFERS), False, False, {}, (False, True, True), id="settings-differ"),
        pytest.param((DIFFERS, RIGHT), False, False, {}, (True, True, True), id="geometry-may-lose-settings"),
        pytest.param((RIGHT, DIFFERS), False, True, {}, None, id="a-dry-run-does-nothing"),
        pytest.param((RIGHT, DIFFERS), False, False, {"verify": "never"}, (False, True, False), id="never-verified"),
        pytest.param((RIGHT, RIGHT), False, False, {"verify": "always"}, (False, False, True), id="always-verified"),
        pytest.param((RIGHT, RIGHT), False, False, {"after_disruption": "x.yml"}, (False, False, False), id="a-hook"),
    ],
)
def test_what_is_left_to_do(answers, changed, dry_run, more, rest):
    found = built(*answers, **more)
    left = found.rest(changed, dry_run)
    assert rest == (left and (left["mig"] is not None, left["settings"] is not None, left["verify"]))
    assert found.differs == any(answer["commands"] for answer in answers)


def test_an_audit_is_told_what_differs():
    asked = built(RIGHT, DIFFERS).published["asked"]
    assert asked == {
        "mlops.hosts.mig_layout": {"changed": False, "drift": []},
        "mlops.hosts.gpu_settings": {"changed": True, "drift": DRIFT},
    }


def test_without_a_driver_the_boot_unit_does_it():
    silent = {"failed": True, "unanswered": True, "msg": "nvidia-smi is not there"}
    found = built(silent, silent)
    assert found.notices == ("nvidia-smi is not there. The boot unit does it once the driver runs.",)
    assert found.component is not None and not found.differs
    assert found.rest(True, False) is None


def test_what_waits_is_said_with_who_uses_the_gpu():
    (item,) = built(RIGHT, {**RIGHT, "pending": [ECC], "blockers": [USER]}).pending
    assert item == {
        **ECC,
        "what": "ecc of GPU-1",
        "why": "GPU-1: ecc is enabled; disabled waits for a reset, and the GPU is in use by python3 pid 4711.",
    }
    assert told(ECC, [])["why"] == "GPU-1: ecc is enabled; disabled waits for a reset."
