# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib
import shutil
import socket

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils import _preflight

RECORDED = pathlib.Path(__file__).parents[2] / "data/proc/forky-llama-server"


@pytest.fixture
def proc(tmp_path):
    """A /proc with what was recorded on a host where llama-server, process 1119, listens on 127.0.0.1:8001."""
    for name, place in (
        ("net_tcp", "net/tcp"),
        ("net_tcp6", "net/tcp6"),
        ("cgroup", "1119/cgroup"),
        ("comm", "1119/comm"),
    ):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(RECORDED / name, tmp_path / place)
    (tmp_path / "1119/fd").mkdir()
    os.symlink("socket:[301741]", tmp_path / "1119/fd/3")
    os.symlink("/dev/null", tmp_path / "1119/fd/0")
    (tmp_path / "1200").mkdir()  # a process that has just ended
    return tmp_path


def test_a_listener_is_told_with_its_process_and_unit(proc):
    assert _preflight.listeners([8001], str(proc)) == [
        _preflight.Listener(8001, "127.0.0.1", 1119, "llama-server", "mlops-model-chat.service")
    ]


def test_a_listener_whose_process_is_not_ours_to_see_is_still_told(proc):
    shutil.rmtree(proc / "1119")
    assert _preflight.listeners([8001], str(proc)) == [_preflight.Listener(8001, "127.0.0.1", None, None, None)]


def test_a_socket_shared_with_children_is_the_parents(proc):
    shutil.copytree(proc / "1119", proc / "1300", symlinks=True)
    assert [item.pid for item in _preflight.listeners([8001], str(proc))] == [1119]


def test_a_free_port_has_no_listener(proc):
    assert _preflight.listeners([8765], str(proc)) == []


def test_both_families_are_read(proc):
    assert [item.address for item in _preflight.listeners([22], str(proc))] == ["0.0.0.0", "::"]


def test_this_machine_tells_the_same(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = _preflight.listeners([port])
    assert (found.port, found.address, found.pid) == (port, "127.0.0.1", os.getpid())


CONTAINER = "13a03ecee03bd319c69945bb91e901c04085ec93eedaa2473aa4b8d6cc18083e"


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        pytest.param(f"0::/system.slice/docker-{CONTAINER}.scope\n", "mlops-model-chat.service", id="docker"),
        pytest.param(f"0::/docker/{CONTAINER}\n", "mlops-model-chat.service", id="docker-without-systemd"),
        pytest.param(f"0::/system.slice/docker-{'a' * 64}.scope\n", f"docker-{'a' * 64}.scope", id="of-nobody"),
        pytest.param("0::/system.slice/docker.service\n", "docker.service", id="none"),
    ],
)
def test_a_container_is_its_units(proc, cgroup, unit):
    (proc / "1119/cgroup").write_text(cgroup)
    (proc / "mlops-model-chat.cid").write_text(CONTAINER)
    assert [item.unit for item in _preflight.listeners([8001], str(proc), str(proc))] == [unit]


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        pytest.param("0::/system.slice/nginx.service\n", "nginx.service", id="unified"),
        pytest.param("4:memory:/a.service\n1:name=systemd:/system.slice/b.service\n", "b.service", id="legacy"),
        pytest.param("0::/user.slice/user@0.service/app.slice/x.service\n", "x.service", id="innermost"),
        pytest.param("0::/system.slice/docker.service/inner\n", "docker.service", id="delegated"),
        pytest.param("0::/\n", None, id="none"),
        pytest.param("", None, id="unreadable"),
    ],
)
def test_unit_of(cgroup, unit):
    assert _preflight.unit_of(cgroup) == unit


def test_paths_are_told_with_links_followed(tmp_path):
    key = tmp_path / "key"
    key.write_text("x\n")
    key.chmod(0o640)
    os.symlink(key, tmp_path / "link")
    found = _preflight.inspect(str(tmp_path / "link"))
    assert (found.kind, found.mode, found.size_bytes) == ("file", "0640", 2)
    assert _preflight.inspect(str(tmp_path)).kind == "directory"
    assert _preflight.inspect("/dev/null").kind == "other"
    assert _preflight.inspect(str(key / "below")) == _preflight.Path(str(key / "below"), "absent")


STATUS = "Name:\tx\nUid:\t0\t{0}\t{0}\t{0}\nGid:\t0\t7\t7\t7\nGroups:\t8 9 \n"


@pytest.fixture
def exporter(tmp_path):
    def write(pid, uid, *argv):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_text("\0".join([*argv, ""]))
        (tmp_path / str(pid) / "status").write_text(STATUS.format(uid))
        return tmp_path

    return write


def test_a_program_is_known_by_its_name_however_long(exporter, tmp_path):
    exporter(20, 0, "/usr/bin/prometheus-node-exporter", "--web.listen-address=:9100")
    exporter(3, 0, "node_exporter")
    proc = exporter(4, 0, "grep", "node_exporter")
    found = _preflight.programs(["node_exporter", "prometheus-node-exporter"], str(tmp_path), str(proc))
    assert [(one.pid, one.name, one.user, one.may_list) for one in found] == [
        (3, "node_exporter", "root", True),
        (20, "prometheus-node-exporter", "root", True),
    ]


@pytest.mark.parametrize(
    ("above", "mode", "group", "may_list"),
    [
        (0o755, 0o755, None, True),
        (0o755, 0o750, None, False),
        (0o755, 0o754, None, False),  # it could list the names, and open none
        (0o711, 0o755, None, True),
        (0o700, 0o755, None, False),
        (0o755, 0o750, 9, True),
    ],
)
def test_whether_a_user_may_list_a_folder(exporter, tmp_path, monkeypatch, above, mode, group, may_list):
    proc = exporter(3, 4242, "node_exporter")
    folders = {"/srv": above, "/srv/x": mode, "/": 0o755}

    def stat(path):
        return os.stat_result((folders[path], 0, 0, 1, 0, group or 0, 0, 0, 0, 0))

    monkeypatch.setattr(_preflight.os.path, "realpath", lambda path: path)
    monkeypatch.setattr(_preflight.os, "stat", stat)
    (found,) = _preflight.programs(["node_exporter"], "/srv/x", str(proc))
    assert found.may_list == may_list
