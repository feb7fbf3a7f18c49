# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What three versions of HAProxy said, recorded in tests/unit/data/haproxy."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gateway import maps, parse

DATA = pathlib.Path(__file__).resolve().parents[3] / "data/haproxy"
VERSIONS = sorted(path.name for path in DATA.iterdir())


@pytest.fixture(params=VERSIONS)
def said(request):
    return lambda name: (DATA / request.param / f"{name}.txt").read_text()


def test_processes(said):
    fresh = parse.processes(said("show_proc"))
    assert [one.role for one in fresh.workers] == ["worker"]
    assert (fresh.master.reloads, fresh.master.failed) == (0, 0)
    assert fresh.started_with(0) == fresh.workers[0]
    after = parse.processes(said("show_proc_old_worker"))
    assert [(one.role, one.reloads) for one in after.workers] == [("worker", 0), ("old worker", 1)]
    assert after.workers[1].pid == fresh.workers[0].pid
    assert (after.master.reloads, after.master.failed) == (1, 0)


def test_a_reload_that_has_failed(said):
    failed = parse.processes(said("show_proc_failed"))
    assert (failed.master.reloads, failed.master.failed) == (2, 1)
    # 3.2 lists the worker that serves among the old ones; the others do not.
    assert failed.started_with(0) is None
    assert len(failed.workers) == 2


def test_servers(said):
    found = {f"{one.backend}/{one.name}": one for one in parse.servers(said("show_servers_state"))}
    assert {name: one.state for name, one in found.items()} == {
        "model.chat/one:a": "up",
        "model.chat/two:a": "drain",
        "model.embed/one:e": "maint",
        "model.embed/gone:e": "down",
    }
    assert found["model.chat/two:a"].health == "up"
    assert (found["model.chat/one:a"].address, found["model.chat/one:a"].port) == ("127.0.0.1", "9001")
    assert (found["model.embed/one:e"].weight, found["model.embed/one:e"].host_name) == (50, "")


@pytest.mark.parametrize(
    ("name", "host", "instance"),
    [("gpu1:chat", "gpu1", "chat"), ("fd00::1:chat", "fd00::1", "chat"), ("gpu1", "gpu1", "")],
)
def test_the_host_of_a_server(name, host, instance):
    server = parse.Server("model.chat", name, ())
    assert (server.host, server.instance) == (host, instance)


def test_a_file_of_servers_is_what_was_said(said):
    text = said("show_servers_state")
    assert parse.state_file(text, parse.servers(text)) == text.rstrip() + "\n"


def test_streams_of_the_worker_that_serves_and_of_the_old_one(said):
    serving, old = parse.stat(said("show_stat")), parse.stat(said("show_stat_old_worker"))
    assert sum(one.open for one in serving.servers) == serving.sessions == 1
    assert sum(one.open for one in old.servers) == old.sessions == 2
    assert {one.server: one.status for one in serving.servers} == {
        "one:a": "UP",
        "two:a": "DRAIN",
        "one:e": "MAINT",
        "gone:e": "DOWN",
    }
    assert {one.server: one.check_status for one in serving.servers}["gone:e"] == "L4CON"


def test_info(said):
    found = parse.info(said("show_info"))
    assert found.version.startswith(("2.6.12", "3.0.11", "3.2.26"))
    assert found.pid == parse.processes(said("show_proc_old_worker")).workers[0].pid
    assert not found.stopping


def test_maps(said):
    folder = "/etc/mlops.hosts/model_gateway"
    assert parse.map_paths(said("show_map")) == (f"{folder}/keys.map", f"{folder}/limits.map")
    assert maps.shown(said("show_map_keys")) == [("k1", "alice"), ("k2", "bob")]


@pytest.mark.parametrize("read", [parse.processes, parse.servers, parse.stat, parse.info, parse.map_paths])
@pytest.mark.parametrize("text", ["", "\n", "Unknown command\n", "Permission denied\n"])
def test_what_is_not_known_is_no_answer(read, text):
    with pytest.raises(HostError, match="says what is not known here"):
        read(text)
