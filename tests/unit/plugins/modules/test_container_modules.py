# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of containers as Ansible runs them, with fakes of the programs that they ask."""

from __future__ import annotations

import json
import os

import pytest
from ansible.module_utils import basic
from ansible_collections.mlops.hosts.plugins.module_utils._cdi import files
from ansible_collections.mlops.hosts.plugins.modules import cdi_info, container_image, container_runtime_info
from ansible_collections.mlops.hosts.plugins.plugin_utils._cdi.found import Found

IMAGE = "r.example.org/tiny@sha256:" + "0" * 64


@pytest.fixture
def ask(monkeypatch, capsys, tmp_path):
    """Run main() with programs (name: shell text) before all others on the PATH."""

    def run(module, check=False, programs=None, uid=0, **arguments):
        for name, text in (programs or {}).items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        document = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check, **arguments}}).encode()
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", document)
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            module.main()
        result = json.loads(capsys.readouterr().out)
        result.pop("invocation", None)
        return result

    return run


def test_an_image_is_pulled_once(ask, tmp_path):
    mark = tmp_path / "pulled"
    docker = f'[ "$1" = pull ] && touch {mark}; [ -e {mark} ]'
    asked = {"images": [IMAGE], "programs": {"docker": docker}}
    assert ask(container_image, check=True, **asked) == {"changed": True, "pulled": [IMAGE]}
    assert not mark.exists()
    assert ask(container_image, **asked) == {"changed": True, "pulled": [IMAGE]}
    assert ask(container_image, **asked) == {"changed": False, "pulled": []}


def test_an_image_that_does_not_come_fails_in_words(ask):
    docker = '[ "$1" = pull ] && echo "x509: certificate signed by unknown authority" >&2; exit 1'
    assert (
        "r.example.org shows a certificate of an authority"
        in ask(container_image, images=[IMAGE], programs={"docker": docker})["msg"]
    )


def test_an_image_without_a_digest_is_refused(ask):
    assert "has no digest" in ask(container_image, images=["r.example.org/tiny:1"])["msg"]


def test_mounts_are_told_of_an_engine_without_a_daemon(ask, tmp_path):
    told = ask(container_runtime_info, check=True, provider="podman", mounts=["/", str(tmp_path)])
    assert (told["mounts"], told["active"], told["flags"]) == ({"/": True, str(tmp_path): False}, False, [])


def test_docker_is_asked(ask):
    systemctl = "echo active"
    docker = """echo '{"ContainersRunning": 2, "LiveRestoreEnabled": true, "ServerVersion": "26.1.5"}'"""
    told = ask(container_runtime_info, programs={"systemctl": systemctl, "docker": docker})
    assert (told["running"], told["live_restore"], told["version"]) == (2, True, "26.1.5")


def test_a_specification_without_its_gpus_is_stale(ask, monkeypatch, tmp_path):
    (tmp_path / "cdi").mkdir()
    (tmp_path / "cdi/amd.json").write_text('{"kind": "amd.com/gpu", "devices": [{"name": "99"}]}')
    (tmp_path / "cdi/net.yaml").write_text("kind: a.b/net\ncontainerEdits: {deviceNodes: [{path: /dev/null}]}\n")
    monkeypatch.setattr(files.read_all, "__defaults__", ((str(tmp_path / "cdi"),),))
    engines = dict.fromkeys(["docker", "podman"], "exit 127")
    answer = ask(cdi_info, vendor="amd", check=True, programs=engines, _paths=["/none/at all"])
    assert answer["host"]["exists"] == {"/gpu": False, "/net": False, "/dev/null": True, "/none/at all": False}
    told = Found.of("amd", answer["host"]).as_result()
    assert (answer["changed"], told["verdict"]) == (False, "stale")
    assert "offers what the host does not have: 99" in told["reasons"][0]
    assert told["specs"][0]["devices"] == ["99"]


@pytest.mark.parametrize(
    ("module", "options", "what_for"),
    [
        pytest.param(container_runtime_info, {}, "to ask the engine", id="docker"),
        pytest.param(container_runtime_info, {"provider": "containerd"}, "to ask the engine", id="containerd"),
        pytest.param(container_runtime_info, {"provider": "podman", "mounts": ["/"]}, "mounts", id="mounts"),
        pytest.param(cdi_info, {}, "to ask Docker and root's Podman", id="cdi"),
    ],
)
def test_without_root_facts_are_refused_and_not_guessed(ask, module, options, what_for):
    told = ask(module, uid=12345, check=True, **options)
    assert told["failed"]
    assert what_for in told["msg"]
    assert "this task runs as user 12345; set become: true on the task or the play" in told["msg"]
    assert not {"running", "verdict", "mounts"} & told.keys()
