# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of a shared file that a program reads again on reload: a change of these alone restarts nothing."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mlops.hosts.plugins.module_utils._component import desired
from ansible_collections.mlops.hosts.plugins.module_utils._component.arguments import SPEC
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredUnit, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._component.fast_check import fast_check_at
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError

from .support import Machine, component

FIRST = {"mirrors": ["a"], "log-opts": {"max-size": "1m"}}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def daemon(machine, keys, ca=b"old\n"):
    return component(
        files=(
            machine.file("etc/systemd/system/tool.service", b"[Service]\n", effect=Effect()),
            machine.keys("daemon.json", keys, effect=Effect(), reload_keys=("debug", "mirrors")),
            machine.file("ca.crt", ca),
        ),
        units=(DesiredUnit("tool.service", "started", True),),
    )


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("keys", "ca", "restarted", "reloaded"),
    [
        pytest.param({**FIRST, "mirrors": ["b"]}, b"old\n", [], ["tool.service"], id="a-key-that-is-read-again"),
        pytest.param({"log-opts": FIRST["log-opts"]}, b"old\n", [], ["tool.service"], id="one-that-is-given-up"),
        pytest.param(
            {**FIRST, "mirrors": []}, b"new\n", [], ["tool.service"], id="and-a-file-that-nobody-restarts-for"
        ),
        pytest.param(FIRST, b"new\n", [], [], id="only-such-a-file"),
        pytest.param({**FIRST, "log-opts": {"max-size": "2m"}}, b"old\n", ["tool.service"], [], id="another-key"),
        pytest.param(
            {"mirrors": ["b"], "log-opts": {"max-size": "2m"}}, b"old\n", ["tool.service"], [], id="both-kinds-of-keys"
        ),
    ],
)
def test_a_key_that_is_read_again_is_a_reload(machine, keys, ca, restarted, reloaded, check):
    machine.bring(daemon(machine, FIRST))
    result = machine.bring(daemon(machine, keys, ca), check=check)
    assert (result["changed"], result["restarted"], result["reloaded"]) == (True, restarted, reloaded)


def test_a_reload_is_of_one_change_and_not_of_the_file(machine):
    machine.bring(daemon(machine, FIRST))
    second = daemon(machine, {**FIRST, "mirrors": ["b"]})
    machine.bring(second)
    # The ledger has no other effect of the file than before, which would be written again by the next run.
    assert fast_check_at(second, machine.store, machine.run, check_mode=False) is not None
    assert machine.bring(daemon(machine, {"mirrors": ["b"]}))["restarted"] == ["tool.service"]


def test_reload_keys_are_for_json_keys():
    file = {"path": "/etc/a", "content": "", "reload_keys": ["a"]}
    checked = ArgumentSpecValidator(SPEC).validate({"name": "demo", "files": [file]})
    with pytest.raises(HostError, match="file /etc/a has reload_keys, which are for files with json_keys"):
        desired.parse(checked.validated_parameters)
