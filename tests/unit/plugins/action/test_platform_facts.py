# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import platform
import subprocess
import types

import pytest
from ansible_collections.mlops.hosts.plugins.action.platform_facts import ActionModule

DATA = pathlib.Path(__file__).parents[2] / "data" / "os-release"
TRIXIE = (DATA / "debian-trixie").read_text()
TEXT = {"stdout": subprocess.PIPE, "text": True, "check": True}
GATHERED = {"changed": False, "ansible_facts": {"ansible_distribution": "by setup"}}


def facts(os_release, rc=0, before="", after=""):
    """What the action returns for a host whose shell prints ``before`` and ``after`` what a command does."""

    def command(command, sudoable):
        said = subprocess.run(["sh", "-c", command.replace("/etc/os-release", "/dev/stdin")], input=os_release, **TEXT)
        return {"rc": rc, "stdout": before + said.stdout.replace(platform.machine(), "x86_64") + after}

    task = types.SimpleNamespace(args={}, async_val=0, check_mode=False, diff=False, action="x")
    connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/x"))
    action = ActionModule(task, connection, types.SimpleNamespace(), None, None, None)
    action._low_level_execute_command = command
    action._execute_module = lambda **options: GATHERED
    return action.run(task_vars={})["ansible_facts"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("gpu01 - authorised use only\n", "", id="greeting"),
        pytest.param("\033(B\033[m", "", id="control-sequence-without-a-line-end"),
        pytest.param("hello ", "", id="word-without-a-line-end"),
        pytest.param("", "goodbye", id="exit-trap"),
        pytest.param("NAME=Frobnix\n", "\nID=frob\nVERSION_CODENAME=x\n", id="words-of-os-release"),
    ],
)
def test_os_release_says_it_whatever_start_files_print(before, after):
    assert facts(TRIXIE, before=before, after=after) == {
        "ansible_architecture": "x86_64",
        "ansible_distribution": "Debian",
        "ansible_distribution_release": "trixie",
        "ansible_os_family": "Debian",
    }


def test_a_terminal_that_ends_lines_with_two_characters():
    assert facts(TRIXIE.replace("\n", "\r\n"))["ansible_distribution_release"] == "trixie"


def test_os_release_without_a_last_line_end():
    assert facts(TRIXIE.rstrip("\n"))["ansible_distribution"] == "Debian"


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
