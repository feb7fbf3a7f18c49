# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program, against a HAProxy that is simulated."""

from __future__ import annotations

import datetime
import fcntl
import os
import socket

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gateway import paths, program, reload
from ansible_collections.mlops.hosts.tests.unit.fake_haproxy import CONFIG, STATE
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gateway.support import KEYS, NOW, TLS, pem

VERSIONS = ["2.6", "3.0", "3.2"]


@pytest.fixture(params=VERSIONS)
def each(request, host):
    found = host(request.param)
    assert reload.record(found.gateway) == found.haproxy.serving.pid
    return found


def check(host, capsys):
    code = program.main(["check"], gateway=host.gateway)
    return code, capsys.readouterr().err


def test_a_new_worker_runs_what_is_on_disk(each, capsys):
    before = each.haproxy.serving.pid
    each.edit(CONFIG, "two:chat 10.0.0.2:8001", "two:chat 10.0.0.2:9001")
    code, said = check(each, capsys)
    assert (code, said) == (1, f"/{CONFIG} is not what runs: reload mlops-gateway.service\n")
    assert program.main(["reload"], gateway=each.gateway) == 0
    assert each.haproxy.serving.pid != before
    assert each.haproxy.server("two:chat").port == "9001"
    assert check(each, capsys) == (0, "")


def test_a_drain_survives_and_nothing_keeps_a_server_where_it_was(each):
    each.haproxy.server("two:chat").admin = 8
    each.haproxy.server("one:chat").up = False
    each.edit(CONFIG, "two:chat 10.0.0.2:8001", "two:chat 10.0.0.2:9001")
    each.edit(CONFIG, "    server two:embed 10.0.0.2:8002\n", "")
    reload.reload(each.gateway)
    two, one = each.haproxy.server("two:chat"), each.haproxy.server("one:chat")
    assert (two.admin, two.port, one.up) == (8, "9001", False)


def test_a_key_is_revoked_at_once_without_a_new_worker(each, capsys):
    before = each.haproxy.serving.pid
    each.write(KEYS, "# names\nk1  alice\n\n")
    assert check(each, capsys)[0] == 1
    assert reload.reload(each.gateway).maps == (f"/{KEYS}",)
    assert each.haproxy.serving.pid == before
    assert each.haproxy.serving.maps[f"/{KEYS}"] == [("k1", "alice")]
    assert each.haproxy.reloads == 0
    assert each.checks.calls == []
    assert check(each, capsys) == (0, "")


def test_old_workers_lose_the_key_as_well(each):
    each.haproxy.server("one:chat").open = 1
    each.edit(CONFIG, "8002", "8003")
    reload.reload(each.gateway)
    each.write(KEYS, "k1 alice\n")
    reload.reload(each.gateway)
    assert [one.maps[f"/{KEYS}"] for one in each.haproxy.workers] == [[("k1", "alice")]] * 2


def test_a_key_is_revoked_although_an_old_worker_is_about_to_end(each):
    each.haproxy.server("one:chat").open = 1
    each.edit(CONFIG, "8002", "8003")
    reload.reload(each.gateway)
    each.haproxy.workers[1].ending = True
    each.write(KEYS, "k1 alice\n")
    assert reload.reload(each.gateway).maps == (f"/{KEYS}",)
    assert each.haproxy.serving.maps[f"/{KEYS}"] == [("k1", "alice")]


def test_a_master_that_replaces_itself_is_waited_for(each):
    path = each.root / paths.MASTER_SOCKET.lstrip("/")
    away = path.with_suffix(".away")
    os.rename(path, away)
    each.during = lambda: away.exists() and os.rename(away, path)
    each.write(KEYS, "k1 alice\n")
    assert reload.reload(each.gateway).maps == (f"/{KEYS}",)


def test_one_that_is_gone_is_said(each, capsys):
    os.unlink(each.root / paths.MASTER_SOCKET.lstrip("/"))
    assert program.main(["reload"], gateway=each.gateway) == 1
    assert (
        "/run/mlops-gateway/master.sock (No such file or directory): is the gateway running?" in capsys.readouterr().err
    )


def test_many_keys_go_in_portions(each):
    many = [(f"k{n:064}", f"name-{n}") for n in range(1000)]
    each.write(KEYS, "".join(f"{key} {value}\n" for key, value in many))
    reload.reload(each.gateway)
    assert each.haproxy.serving.maps[f"/{KEYS}"] == many
    # The buffer that a worker reads a command into holds 16 KiB.
    assert max(len(command) for command in each.haproxy.asked) < 16000


def test_a_map_with_more_than_keys_changed_needs_a_worker(each):
    each.write(KEYS, "k1 alice\n")
    each.edit(CONFIG, "8002", "8003")
    assert reload.reload(each.gateway).maps == ()
    assert each.haproxy.reloads == 1


def test_a_worker_that_somebody_else_has_started_is_not_known(each, capsys):
    each.haproxy._reload()
    code, said = check(each, capsys)
    assert code == 1
    assert "was not started by /usr/local/sbin/mlops-gateway, so what it runs is not known" in said
    each.write(KEYS, "k1 alice\n")
    assert reload.reload(each.gateway).maps == ()


def test_a_worker_that_does_not_start_is_told_and_the_old_one_runs_on(each, capsys):
    before = each.haproxy.serving.pid
    each.haproxy.broken = "Binding for frontend clients: cannot bind"
    each.edit(CONFIG, "8002", "8003")
    assert program.main(["reload"], gateway=each.gateway) == 1
    said = capsys.readouterr().err
    assert said.startswith("the new worker of the gateway did not start, and the old one runs on: ")
    assert each.haproxy.version == "2.6" or "cannot bind" in said
    assert each.haproxy.serving.pid == before
    assert check(each, capsys)[0] == 1
    each.haproxy.broken = ""
    assert program.main(["reload"], gateway=each.gateway) == 0
    assert check(each, capsys) == (0, "")


def test_a_reload_of_somebody_else_is_waited_for(each):
    each.haproxy.busy = 2
    assert reload.reload(each.gateway).worker == each.haproxy.serving.pid


def test_what_haproxy_refuses_is_refused_before(each, capsys):
    each.checks.rc = 1
    each.checks.stderr = "[NOTICE]   (1) : x\n[ALERT]    (1) : config : parsing [x:3] : unknown keyword 'y'\n"
    assert program.main(["reload"], gateway=each.gateway) == 1
    assert capsys.readouterr().err == (
        "the gateway is not reloaded, and runs as before: haproxy -c: config : parsing [x:3] : unknown keyword 'y'\n"
    )
    assert each.checks.calls == [("/usr/sbin/haproxy", "-c", "-f", f"/{CONFIG}")]
    assert each.haproxy.reloads == 0


def test_a_certificate_that_has_expired_is_refused_unless_it_is_in_use(each, capsys):
    each.edit(CONFIG, "frontend clients\n", f"frontend clients\n    bind *:65443 ssl crt /{TLS}\n")
    each.write(TLS, pem(NOW - datetime.timedelta(hours=1), NOW - datetime.timedelta(days=9)))
    assert program.main(["reload"], gateway=each.gateway) == 1
    said = f"the gateway is not reloaded, and runs as before: /{TLS}: certificate 1 has expired at 2026-11-29 11:00 UTC"
    assert said in capsys.readouterr().err
    assert each.haproxy.reloads == 0
    each.write(TLS, pem(NOW + datetime.timedelta(days=9)))
    reload.reload(each.gateway)
    each.today += datetime.timedelta(days=10)
    each.edit(CONFIG, "8002", "8003")
    assert program.main(["reload"], gateway=each.gateway) == 0


def test_a_port_that_is_taken_is_refused_before(each, capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        row = f"0: 0100007F:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 4711"
        each.write("proc/net/tcp", f"head\n{row}\n")
        each.edit(CONFIG, "frontend clients\n", f"frontend clients\n    bind 127.0.0.1:{port}\n")
        assert program.main(["reload"], gateway=each.gateway) == 1
    assert f"127.0.0.1:{port} (/{CONFIG}, line 5) is in use: free it" in capsys.readouterr().err
    assert each.haproxy.reloads == 0


def test_a_killed_run_is_gone_on_from(each, capsys, monkeypatch):
    """Killed between any two steps: the next one brings the gateway to what is on disk."""
    for step in ("save_states", "record"):
        each.edit(CONFIG, "backend model.embed", f"# {step}\nbackend model.embed")
        with monkeypatch.context() as patch:
            patch.setattr(type(each.gateway), step, _killed)
            with pytest.raises(KeyboardInterrupt):
                reload.reload(each.gateway)
        assert check(each, capsys)[0] == 1
        reload.reload(each.gateway)
        assert check(each, capsys) == (0, "")


def _killed(*_args):
    raise KeyboardInterrupt


def test_a_second_one_waits_for_the_first(each):
    handle = os.open(each.root / "run/mlops-gateway", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    each.during = lambda: each.seconds > 2 and fcntl.flock(handle, fcntl.LOCK_UN)
    assert reload.reload(each.gateway).worker == each.haproxy.serving.pid
    assert each.seconds > 2
    fcntl.flock(handle, fcntl.LOCK_EX)
    each.during = lambda: None
    with pytest.raises(HostError, match="another run changes the gateway and did not end within 120 s"):
        reload.reload(each.gateway)
    os.close(handle)


def test_nothing_runs(host, capsys):
    found = host()
    found.haproxy.__exit__()
    for verb, words in {"check": "nobody answers at ", "reload": "nobody answers at ", "record": "no worker"}.items():
        assert program.main([verb], gateway=found.gateway) == 1
        assert words in capsys.readouterr().err
    found.haproxy._sockets.clear()


def test_a_master_that_has_ended_starts_no_worker(host, capsys, monkeypatch):
    found = host()
    found.haproxy.__exit__()
    monkeypatch.setenv("MAINPID", "4711")
    assert program.main(["record"], gateway=found.gateway) == 1
    assert capsys.readouterr().err == ("the gateway has started no worker: see journalctl -u mlops-gateway.service\n")
    # At once, and not after the time that a worker may take.
    assert found.seconds == 0
    found.haproxy._sockets.clear()


def test_before_a_start_servers_are_where_the_file_says(host):
    found = host()
    assert program.main(["prepare"], gateway=found.gateway) == 0
    assert not (found.root / STATE).exists()
    found.haproxy.server("two:chat").admin = 8
    reload.reload(found.gateway)
    found.edit(CONFIG, "two:chat 10.0.0.2:8001", "two:chat 10.0.0.2:9001")
    assert program.main(["prepare"], gateway=found.gateway) == 0
    started = found.haproxy._loaded().servers["model.chat", "two:chat"]
    assert (started.port, started.admin) == ("9001", 8)


@pytest.mark.parametrize("text", ["", "garbage\n"])
def test_a_state_file_that_is_none_does_not_keep_the_gateway_from_starting(host, text):
    found = host()
    found.write(STATE, text)
    assert program.main(["prepare"], gateway=found.gateway) == 0
    assert not (found.root / STATE).exists()
