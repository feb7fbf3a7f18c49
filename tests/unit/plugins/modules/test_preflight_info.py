# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import socket

import pytest
from ansible.module_utils import basic
from ansible_collections.mlops.hosts.plugins.modules import preflight_info


@pytest.fixture
def look(monkeypatch, capsys):
    """Run main() as Ansible does: arguments in, one JSON document out."""

    def run(**arguments):
        document = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": True, **arguments}}).encode()
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", document)
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            preflight_info.main()
        result = json.loads(capsys.readouterr().out)
        result.pop("invocation")
        return result

    return run


def test_paths_and_ports_are_told_in_check_mode_too(look, tmp_path):
    missing = str(tmp_path / "none")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = look(paths=[missing], ports=[port], models=[missing])
    (listener,) = result.pop("listeners")
    assert (listener["port"], listener["pid"]) == (port, os.getpid())
    nothing = dict.fromkeys(["mode", "owner", "group", "size_bytes"])
    no_weights = {"path": missing, "size_bytes": None, "narrow_bytes": None}
    assert result == {
        "changed": False,
        "paths": [{"path": missing, "kind": "absent", **nothing}],
        "models": [no_weights],
    }


def test_a_path_that_cannot_be_inspected_is_an_error(look, tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert str(loop) in look(paths=[str(loop)])["msg"]


def test_a_path_that_only_root_may_see_says_so(look, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(preflight_info, "inspect", denied)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    said = look(paths=["/etc/chat/api-key"])["msg"]
    assert said == (
        "/etc/chat/api-key can be read by root only, and this task runs as user 12345; "
        "set become: true on the task or the play"
    )
