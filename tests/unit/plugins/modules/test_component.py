# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os

import pytest
from ansible.module_utils import basic
from ansible_collections.mlops.hosts.plugins.modules import component

PATH = "/etc/none/key"


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def logged(monkeypatch):
    """What the module writes to the host's journal."""
    lines = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: lines.append(f"{msg} {log_args}"))
    return lines


def run(monkeypatch, capsys, **arguments):
    """Run the module as Ansible does; what it prints."""
    document = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": True, "name": "chat", **arguments}}).encode()
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", document)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        component.main()
    return capsys.readouterr().out


def refused(monkeypatch, capsys, **arguments):
    """With a mode that it refuses before it reads the host; what it prints."""
    output = run(monkeypatch, capsys, **arguments)
    assert "mode 'bad'" in output
    return output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"files": [{"path": PATH, "content": ""}]}, id="a change"),
        pytest.param({"state": "absent"}, id="absent"),
        pytest.param({}, id="nothing to do"),
        pytest.param({"files": [{"path": PATH, "content": "", "mode": "bad"}]}, id="other faults come later"),
    ],
)
def test_without_root_it_says_why_it_needs_it(monkeypatch, capsys, arguments):
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    result = json.loads(run(monkeypatch, capsys, **arguments))
    assert result["msg"] == (
        "component 'chat' needs root for files, packages and units, in check mode too, and this task runs as user "
        "nobody; set become: true on the task or the play"
    )
    assert "exception" not in result


def test_the_umask_of_sudo_does_not_count(monkeypatch, capsys):
    before = os.umask(0o077)
    try:
        run(monkeypatch, capsys, state="absent", lock_timeout_s=0)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_secret_is_in_neither_the_journal_nor_the_result(monkeypatch, capsys, logged):
    output = refused(
        monkeypatch,
        capsys,
        files=[{"path": PATH, "content": "", "secret": True, "mode": "bad"}],
        _call={"run": "r", "controller": "c"},
        # The line break matters: Ansible does not find a masked value in a text that shows it as an escape.
        _secrets={PATH: "sk-secret\n"},
    )
    assert logged[0].startswith("component chat is to be present")
    assert "sk-secret" not in output + "".join(logged)


def test_the_contents_of_files_are_not_written_to_the_journal(monkeypatch, capsys, logged):
    refused(monkeypatch, capsys, files=[{"path": PATH, "content": "a whole file", "mode": "bad"}])
    assert logged
    assert "a whole file" not in "".join(logged)
