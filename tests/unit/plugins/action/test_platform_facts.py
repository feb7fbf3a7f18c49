# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import types

import pytest
from ansible_collections.mlops.hosts.plugins.action.platform_facts import ActionModule

DATA = pathlib.Path(__file__).parents[2] / "data" / "os-release"
TRIXIE = (DATA / "debian-trixie").read_text()
GATHERED = {"changed": False, "ansible_facts": {"ansible_distribution": "by setup"}}


def facts(os_release, rc=0):
    task = types.SimpleNamespace(args={}, async_val=0, check_mode=False, diff=False, action="x")
    connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
    action = ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
    action._low_level_execute_command = lambda command, sudoable: {"rc": rc, "stdout": f"x86_64\n{os_release}"}
    action._execute_module = lambda **options: GATHERED
    return action.run(task_vars={})["ansible_facts"]


def test_os_release_says_it():
    assert facts(TRIXIE) == {
        "ansible_architecture": "x86_64",
        "ansible_distribution": "Debian",
        "ansible_distribution_release": "trixie",
        "ansible_os_family": "Debian",
    }


@pytest.mark.parametrize(
    ("os_release", "rc"),
    [
        pytest.param("", 1, id="no-os-release"),
        pytest.param(TRIXIE, 1, id="cat-failed"),
        pytest.param(TRIXIE.replace("VERSION_CODENAME", "OTHER"), 0, id="no-code-name"),
        pytest.param(TRIXIE.replace("ID=debian", "ID=fedora"), 0, id="other-distribution"),
        pytest.param(TRIXIE.replace("Debian GNU/Linux", "Devuan GNU/Linux"), 0, id="derivative"),
    ],
)
def test_elsewhere_ansible_gathers(os_release, rc):
    assert facts(os_release, rc) == GATHERED["ansible_facts"]
