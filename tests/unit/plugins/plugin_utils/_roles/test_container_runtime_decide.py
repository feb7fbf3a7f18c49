# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a change of an engine, by what runs on the host, and how it is confirmed afterwards."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._container_runtime import info, paths
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Decision
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.container_runtime.build import (
    _decide,
    _decide_absent,
    _docker_lost,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.container_runtime.engines import crio

ROOT = pathlib.Path(__file__).resolve().parents[5]
RUNS = (ROOT / "tests/unit/data/crio/1.33.0/status-config.toml").read_text()

SEEN: dict[str, t.Any] = {
    "active": True,
    "running": 2,
    "live_restore": False,
    "flags": [],
    "config_keys": [],
    "mounts": {},
}
DESIRED: dict[str, t.Any] = {"files": [{"path": paths.DAEMON_JSON, "json_keys": {"log-driver": "local"}}]}


def decided(compared, seen, desired=DESIRED, provider="docker", consent="when_idle"):
    return _decide({"provider": provider, "restart": consent}, desired, compared, seen)


def compared(**more: list[str]) -> dict[str, t.Any]:
    return {"restarted": ["docker.service"], "reloaded": [], "stopped": [], **more}


def test_flag_and_file_are_named_with_where_they_are() -> None:
    seen = {**SEEN, "flags": [{"key": "log-driver", "flag": "--log-driver", "source": "/etc/x.conf"}]}
    found = decided(compared(), seen).conflicts
    assert found[0].startswith(
        "--log-driver is given to dockerd in /etc/x.conf, and as log-driver in /etc/docker/daemon"
    )


def test_a_missing_mount_is_a_conflict() -> None:
    assert "is to be a mount of its own" in decided(compared(), {**SEEN, "mounts": {"/srv": False}}).conflicts[0]


def test_a_reload_waits_for_nothing() -> None:
    assert decided(compared(restarted=[], reloaded=["docker.service"]), SEEN, consent="never") == Decision()
    assert decided(compared(), SEEN, consent="never").pending


@pytest.mark.parametrize(
    ("seen", "consent", "waits"),
    [
        ({}, "when_idle", True),
        ({}, "when_needed", False),
        ({}, "never", True),
        ({"live_restore": True}, "when_idle", False),
        ({"live_restore": True}, "never", True),
        ({"running": 0}, "when_idle", False),
        ({"running": 0}, "never", True),
        ({"active": False, "running": None}, "when_idle", False),
        ({"running": None, "live_restore": None}, "when_idle", True),
    ],
)
def test_a_restart_waits_for_consent_or_live_restore(seen: dict[str, t.Any], consent: str, waits: bool) -> None:
    assert bool(decided(compared(), {**SEEN, **seen}, consent=consent).pending) == waits


@pytest.mark.parametrize("provider", ["docker", "crio"])
def test_a_restart_that_is_never_allowed_waits_with_every_engine(provider: str) -> None:
    unit = {"docker": paths.DOCKER_UNIT, "crio": crio.UNIT}[provider]
    seen = SEEN if provider == "docker" else info.containers_of_their_own([]).as_result()
    (waits,) = decided(compared(restarted=[unit]), seen, DESIRED, provider, "never").pending
    assert (waits["what"], waits["ends_with"]) == (unit, "restart")
    assert "container_runtime_restart is never" in waits["why"]
    assert decided(compared(restarted=[]), seen, DESIRED, provider, "never").pending == ()


@pytest.mark.parametrize("consent", ["never", "when_idle"])
def test_live_restore_is_no_consent_to_take_the_engine_away(consent: str) -> None:
    gone = compared(restarted=[], stopped=["docker.service"])
    options = {"provider": "docker", "restart": consent}
    (refused,) = _decide_absent(options, gone, {**SEEN, "live_restore": True}).conflicts
    assert "taken away under them" in refused
    assert not _decide_absent(options, gone, {**SEEN, "running": 0}).conflicts
    assert not _decide_absent({**options, "restart": "when_needed"}, gone, SEEN).conflicts


def test_podman_has_no_daemon_to_wait_for() -> None:
    assert decided(compared(restarted=["podman.socket"]), SEEN, provider="podman", consent="never") == Decision()


def test_a_restart_of_crio_does_not_wait_for_containers() -> None:
    desired = {"files": [{"path": crio.SETTINGS, "content": ""}]}
    restarted, seen = compared(restarted=[crio.UNIT]), info.containers_of_their_own([]).as_result()
    assert decided(restarted, seen, desired, "crio") == Decision()


def test_docker_is_asked_whether_it_has_live_restore() -> None:
    assert _docker_lost({"live-restore": True}, {"active": True, "version": "29.2.1", "live_restore": True}) == []
    for seen in (
        {"active": False, "version": None, "live_restore": None},
        {"active": True, "version": "1", "live_restore": False},
    ):
        (said,) = _docker_lost({"live-restore": True}, seen)
        assert str(seen["live_restore"]) in said


def test_crio_is_asked_what_it_runs_with() -> None:
    settings = "[crio.runtime]\nlog_size_max = 52428800\n"
    (said,) = crio.lost(settings, RUNS.replace("52428800", "-1"))
    assert said.startswith("CRI-O runs without crio.runtime.log_size_max = 52428800: a later file")
    assert crio.lost(settings, RUNS) == []
