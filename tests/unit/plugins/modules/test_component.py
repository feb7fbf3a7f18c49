# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic
from ansible_collections.mlops.hosts.plugins.modules import component

SECRET = "sk-secret"


def test_a_secret_is_in_neither_the_journal_nor_the_result(monkeypatch, capsys):
    logged = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}"))
    path = "/etc/none/key"
    arguments = {
        "name": "chat",
        "files": [{"path": path, "content": "", "secret": True, "mode": "bad"}],
        "_call": {"run": "r", "controller": "c"},
        # The line break matters: Ansible does not find a masked value in a text that shows it as an escape.
        "_secrets": {path: f"{SECRET}\n"},
    }
    document = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": True, **arguments}}).encode()
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", document)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        component.main()
    output = capsys.readouterr().out
    assert "mode 'bad'" in output
    assert "Invoked with" in logged[0]
    assert SECRET not in output + "".join(logged)
