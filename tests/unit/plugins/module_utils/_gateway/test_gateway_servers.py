# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers in and out of service, against a HAProxy that is simulated."""

from __future__ import annotations

import dataclasses
import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gateway import fast_check, info, paths, reload, servers
from ansible_collections.mlops.hosts.plugins.module_utils._gateway.servers import Options
from ansible_collections.mlops.hosts.tests.unit.fake_haproxy import CONFIG, STATE


def converge(found, /, *, dry_run=False, **options):
    return servers.converge(found.gateway, Options(**options), dry_run=dry_run)


def states(result):
    return {one["server"]: (one["state_before"], one["state"]) for one in result["servers"]}


def test_all_servers_of_a_host_are_drained_and_put_back(host):
    found = host()
    result = converge(found, host="two", state="drain", allow_last=True)
    assert result["changed"]
    assert states(result) == {"two:chat": ("up", "drain"), "two:embed": ("up", "drain")}
    assert result["diff"]["after"] == {"model.chat/two:chat": "drain", "model.embed/two:embed": "drain"}
    assert found.haproxy.server("one:chat").admin == 0
    again = converge(found, host="two", state="drain", allow_last=True)
    assert (again["changed"], again["diff"]["before"]) == (False, again["diff"]["after"])
    back = converge(found, host="two", state="ready", timeout_s=10)
    assert states(back) == {"two:chat": ("drain", "up"), "two:embed": ("drain", "up")}


def test_check_mode_is_the_plan(host):
    found = host()
    result = converge(found, host="two", backend="chat", state="drain", dry_run=True, timeout_s=9)
    assert (result["changed"], states(result)) == (True, {"two:chat": ("up", "drain")})
    assert found.haproxy.server("two:chat").admin == 0
    assert not (found.root / STATE).exists()
    assert not any(command.startswith("set ") for command in found.haproxy.asked)


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_the_last_server_of_a_model_is_kept(host, state):
    found = host()
    with pytest.raises(HostError, match="^no server would be left for embed: clients would get 503 at once") as error:
        converge(found, host="two", state=state)
    assert error.value.details == {"models": ["embed"]}
    assert found.haproxy.server("two:chat").admin == 0


def test_a_server_that_is_down_is_no_other_one(host):
    found = host()
    found.haproxy.server("one:chat").up = False
    with pytest.raises(HostError, match="no server would be left for chat"):
        converge(found, server="two:chat", state="drain")
    # It gets no requests, so that nobody misses it.
    assert converge(found, server="one:chat", state="drain")["changed"]


def test_streams_of_all_workers_are_waited_for(host):
    found = host()
    found.haproxy.server("two:chat").open = 2
    reload.reload(found.gateway)
    found.haproxy.server("two:chat").open = 1
    old, new = found.haproxy.workers[1], found.haproxy.workers[0]
    left = {3: (old, 0), 6: (new, 0)}

    def end():
        for second, (worker, count) in left.items():
            if found.seconds >= second:
                worker.servers["model.chat", "two:chat"].open = count

    found.during = end
    with pytest.raises(
        HostError, match="^3 streams are open 1 s after drain was set, and the servers get no new ones"
    ) as e:
        converge(found, server="two:chat", state="drain", timeout_s=1)
    assert (e.value.details["open"], e.value.details["changed"]) == (3, True)
    late = converge(found, server="two:chat", state="drain", timeout_s=3, on_timeout="continue")
    assert (late["open"], late["changed"]) == (1, False)
    assert converge(found, server="two:chat", state="drain", timeout_s=60)["open"] == 0
    assert found.seconds < 10


def test_a_reload_while_streams_are_waited_for_is_no_failure(host):
    found = host()
    found.haproxy.server("two:chat").open = 1
    master = found.root / paths.MASTER_SOCKET.lstrip("/")
    away = master.with_suffix(".away")
    steps = iter(
        [
            lambda: os.rename(master, away),
            lambda: os.rename(away, master),
            lambda: setattr(found.haproxy.server("two:chat"), "open", 0),
        ]
    )
    found.during = lambda: next(steps, lambda: None)()
    result = converge(found, server="two:chat", state="drain", timeout_s=30)
    assert (result["open"], states(result)) == (0, {"two:chat": ("up", "drain")})
    assert not away.exists()


def test_ready_waits_until_checks_pass(host):
    found = host()
    converge(found, server="two:chat", state="drain")
    found.haproxy.server("two:chat").up = False
    with pytest.raises(HostError, match="^not up 5 s after they were set to ready: model.chat/two:chat is DOWN"):
        converge(found, server="two:chat", state="ready", timeout_s=5)

    def loaded():
        found.haproxy.server("two:chat").up = found.seconds > 20

    found.during = loaded
    result = converge(found, server="two:chat", state="ready", timeout_s=60)
    assert (result["changed"], states(result)) == (False, {"two:chat": ("down", "up")})


def test_ready_waits_for_an_answer_to_a_client(host):
    found = host()
    found.haproxy.server("two:chat").answers = 7
    converge(found, server="two:chat", state="drain")

    def asked():
        found.haproxy.server("two:chat").answers = 8 if found.seconds > 4 else 7

    found.during = asked
    result = converge(found, server="two:chat", state="ready", timeout_s=60, confirm_s=30)
    assert (result["servers"][0]["answered"], 4 < found.seconds < 6) == (True, True)


def test_a_server_that_nobody_asks_passes_its_checks_all_the_time(host):
    found = host()
    converge(found, server="two:chat", state="drain")
    result = converge(found, server="two:chat", state="ready", timeout_s=60, confirm_s=30)
    assert (result["servers"][0]["answered"], 30 <= found.seconds < 32) == (False, True)
    # Its last check was from before it broke.
    found.during = lambda: setattr(found.haproxy.server("two:chat"), "up", found.seconds < 40)
    with pytest.raises(HostError, match="^not up 60 s after they were set to ready: model.chat/two:chat is DOWN"):
        converge(found, server="two:chat", state="ready", timeout_s=60, confirm_s=30)


def test_answers_are_counted_over_a_reload(host):
    found = host()
    found.haproxy.server("two:chat").answers = 7
    steps = iter(
        [lambda: reload.reload(found.gateway), lambda: setattr(found.haproxy.server("two:chat"), "answers", 1)]
    )
    found.during = lambda: next(steps, lambda: None)()
    result = converge(found, server="two:chat", state="ready", timeout_s=60, confirm_s=30)
    assert (result["servers"][0]["answered"], found.seconds < 5) == (True, True)


def test_a_drain_is_there_after_a_restart(host):
    found = host()
    converge(found, server="two:chat", state="drain")
    assert found.haproxy._loaded().servers["model.chat", "two:chat"].admin == 8
    converge(found, server="two:chat", state="ready")
    assert found.haproxy._loaded().servers["model.chat", "two:chat"].admin == 0


def test_a_run_that_was_killed_before_it_saved_is_gone_on_from(host):
    found = host()
    found.haproxy.server("two:chat").admin = 8
    assert not converge(found, server="two:chat", state="drain")["changed"]
    assert found.haproxy._loaded().servers["model.chat", "two:chat"].admin == 8


def test_maintenance_is_somebody_elses(host):
    found = host()
    converge(found, server="two:chat", state="maint")
    assert not converge(found, server="two:chat", state="drain")["changed"]
    kept = converge(found, server="two:chat", state="ready", keep_maint=True, timeout_s=5)
    assert (kept["changed"], states(kept)) == (False, {"two:chat": ("maint", "maint")})
    assert converge(found, server="two:chat", state="ready")["changed"]


def test_who_is_not_there(host):
    found = host()
    assert converge(found, host="three", state="drain", timeout_s=9)["servers"] == []
    with pytest.raises(
        HostError, match="no server of server three:chat; it has model.chat/one:chat, model.chat/two:chat"
    ):
        converge(found, server="three:chat", state="drain")
    with pytest.raises(HostError, match="no server of host one, backend embed"):
        converge(found, host="one", backend="embed", state="drain")


def test_what_haproxy_says_in_words_is_an_error(host, monkeypatch):
    found = host()
    real = found.haproxy._worker
    monkeypatch.setattr(
        found.haproxy,
        "_worker",
        lambda worker, command: "Permission denied\n\n" if command.startswith("set") else real(worker, command),
    )
    with pytest.raises(
        HostError, match="HAProxy refuses 'set server model.chat/two:chat state drain': Permission denied"
    ):
        converge(found, server="two:chat", state="drain")


def test_what_the_gateway_is(host):
    found = host()
    found.haproxy.server("one:chat").open = 2
    reload.reload(found.gateway)
    found.haproxy.server("one:chat").open = 1
    told = info.collect(found.gateway)
    assert (told["running"], told["matches_disk"], told["reasons"], told["version"]) == (True, True, [], "3.0")
    assert [(one["serving"], one["open"]) for one in told["workers"]] == [(True, 1), (False, 2)]
    one = told["servers"][0]
    assert (one["server"], one["host"], one["instance"], one["state"], one["open"]) == (
        *("one:chat", "one", "chat", "up"),
        3,
    )
    assert "alice" not in str(told)
    assert "k1" not in str(told)
    found.edit(CONFIG, "8002", "8003")
    told = info.collect(found.gateway)
    assert (told["matches_disk"], told["reasons"]) == (
        False,
        [f"/{CONFIG} is not what runs: reload mlops-gateway.service"],
    )


def test_an_old_worker_that_is_about_to_end(host):
    found = host()
    found.haproxy.server("one:chat").open = 1
    reload.reload(found.gateway)
    found.haproxy.workers[1].ending = True
    told = info.collect(found.gateway)
    assert (told["running"], told["matches_disk"]) == (True, True)
    assert sum(one["open"] for one in told["servers"]) == 0


def test_a_gateway_that_does_not_run(host):
    found = host()
    found.haproxy.__exit__()
    told = info.collect(found.gateway)
    assert (told["running"], told["matches_disk"], told["servers"], told["certificates"]) == (False, None, [], [])
    assert "nobody answers at " in told["reasons"][0]
    assert found.seconds == 0  # an audit of many hosts does not wait for it
    found.haproxy._sockets.clear()


def test_what_it_is_while_it_is_reloaded(host, monkeypatch):
    found = host()
    reload.record(found.gateway)
    real = found.haproxy._processes
    takes_over = iter([lambda: found.haproxy._reload()])

    def processes():
        said = real()
        next(takes_over, lambda: None)()
        return said

    monkeypatch.setattr(found.haproxy, "_processes", processes)
    told = info.collect(found.gateway)
    assert [one["serving"] for one in told["workers"]] == [True]
    assert told["workers"][0]["pid"] == found.haproxy.serving.pid
    assert len(told["servers"]) == 3


def test_a_worker_that_has_not_ended_by_its_bound_is_told_and_ended(host):
    found = host()
    found.edit(CONFIG, "global\n", "global\n    hard-stop-after 600s\n")
    reload.record(found.gateway)
    found.haproxy.server("one:chat").open = 2
    reload.reload(found.gateway)
    old = found.haproxy.workers[1].pid
    found.haproxy.uptime_s = 650
    assert [one["overdue"] for one in info.collect(found.gateway)["workers"]] == [False, False]
    found.haproxy.uptime_s = 700
    workers = info.collect(found.gateway)["workers"]
    assert [(one["pid"], one["overdue"]) for one in workers if not one["serving"]] == [(old, True)]
    assert found.killed == []
    reload.reload(found.gateway)
    assert found.killed == [old]


def test_a_master_that_replaces_itself_is_running(host):
    found = host()
    reload.record(found.gateway)
    master = found.root / paths.MASTER_SOCKET.lstrip("/")
    away = master.with_suffix(".away")
    os.rename(master, away)
    found.during = lambda: os.rename(away, master) if away.exists() else None
    told = info.collect(found.gateway)
    assert (told["running"], told["matches_disk"]) == (True, True)


def test_a_fast_check_answers_as_the_module(host, monkeypatch):
    found = host()
    monkeypatch.setattr(fast_check, "Gateway", lambda run: found.gateway)
    told = fast_check.fast_check({}, run=found.checks, check_mode=True)
    assert told == {"changed": False, **info.collect(found.gateway)}
    (found.root / CONFIG).unlink()
    assert fast_check.fast_check({}, run=found.checks, check_mode=True)["failed"]


def test_a_reload_that_has_failed_is_told(host):
    found = host()
    reload.record(found.gateway)
    found.haproxy.broken = "cannot bind"
    with pytest.raises(HostError):
        reload.reload(found.gateway)
    told = info.collect(found.gateway)
    # The file may be back as it was, and that is no difference.
    assert (told["matches_disk"], told["reasons"]) == (True, [])
    assert told["problems"] == ["the last reload has failed, and the worker before it serves: see the log of the unit"]


def test_an_address_that_does_not_resolve_is_told(host):
    found = host()
    for number in "12":
        found.edit(CONFIG, f"10.0.0.{number}:8001", "gpu9.example:8001")
    gateway = dataclasses.replace(found.gateway, resolve=lambda name: [] if name == "gpu9.example" else ["10.0.0.2"])
    (problem,) = info.collect(gateway)["problems"]
    assert problem.startswith(
        "gpu9.example does not resolve here, and is the address of model.chat/one:chat, model.chat/two"
    )
    assert info.collect(dataclasses.replace(gateway, resolve=lambda _name: ["10.0.0.9"]))["problems"] == []


def test_a_certificate_that_cannot_be_read_does_not_hide_the_rest(host):
    found = host()
    found.edit(
        CONFIG,
        "frontend clients\n",
        "frontend clients\n    bind *:443 ssl crt /etc/mlops.hosts/model_gateway/tls.pem\n",
    )
    found.write(
        "etc/mlops.hosts/model_gateway/tls.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    told = info.collect(found.gateway)
    assert told["running"]
    assert told["problems"][0].startswith("/etc/mlops.hosts/model_gateway/tls.pem: certificate 1 cannot be read")
