# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run that left a journal may still come back."""

from __future__ import annotations

import os
import time

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import journal as journals
from ansible_collections.mlops.hosts.plugins.module_utils._component import lock
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import DesiredPackage, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._component.journal import Journal
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._component.support import GONE, Machine, component

NEVER = float("-inf")


@pytest.mark.parametrize(
    ("stage", "beat", "worked", "alive"),
    [
        pytest.param("packages", ["boot", 950], NEVER, True, id="it asked a moment ago"),
        pytest.param("packages", ["boot", 900], NEVER, False, id="it asked long ago"),
        pytest.param("packages", ["boot", 100], 1000, True, id="apt works for it"),
        pytest.param("restoring", ["boot", 100], 950, True, id="apt ended a moment ago"),
        pytest.param("packages", ["earlier boot", 990], NEVER, False, id="the host was booted since"),
        pytest.param("packages", ["earlier boot", 990], 990, True, id="booted, and apt works"),
        pytest.param("committed", ["boot", 950], NEVER, True, id="it lets packages be removed"),
        pytest.param("changing", ["boot", 1000], 1000, False, id="it would hold the lock"),
    ],
)
def test_alive(monkeypatch, stage, beat, worked, alive):
    monkeypatch.setattr(journals, "_now", lambda: ["boot", 1000.0])
    found = Journal(txn="t", run="r", component="demo", controller="here", stage=stage, beat=beat)
    assert found.alive(worked) is alive


@pytest.mark.parametrize(
    ("written", "worked"),
    [
        pytest.param(-20, 20, id="a moment ago"),
        pytest.param(+20, None, id="in the future: the clock was set back"),
        pytest.param(-(10**9), None, id="before the boot"),
    ],
)
def test_when_a_package_manager_worked(monkeypatch, tmp_path, written, worked):
    database = tmp_path / "status"
    database.touch()
    os.utime(database, (time.time() + written,) * 2)
    monkeypatch.setattr(lock, "_PACKAGE_DATABASES", (str(database), str(tmp_path / "none")))
    monkeypatch.setattr(lock, "package_manager_pid", lambda: None)
    since = time.monotonic() - lock.package_manager_worked()
    assert since == (float("inf") if worked is None else pytest.approx(worked, abs=5))


def test_a_package_manager_that_works(monkeypatch):
    monkeypatch.setattr(lock, "package_manager_pid", lambda: 1)
    assert lock.package_manager_worked() == pytest.approx(time.monotonic(), abs=5)


def test_a_run_whose_packages_are_being_removed_is_left_alone(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    monkeypatch.setattr(journals, "_PATIENCE_S", 60)
    machine.bring(component(packages=(DesiredPackage("tool", True, None, False, Effect("none")),)))
    (removal,) = machine.ensure(GONE, run="run-2")["work"]
    with pytest.raises(HostError, match="'demo' is being changed by another run, from here"):
        machine.ensure(component("another"), run="run-3")
    machine.work(removal)
    assert machine.ensure(GONE, run="run-2")["changed"]
    assert machine.installed == {}
    assert machine.ensure(component("another"), run="run-3")["recovered"] == "none"


def test_nobody_waits_for_a_run_that_has_failed(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    monkeypatch.setattr(journals, "_PATIENCE_S", 60)
    machine.bring(component(packages=(DesiredPackage("tool", True, None, False, Effect("none")),)))
    assert machine.ensure(GONE, run="run-2")["work"]
    with pytest.raises(HostError, match="its packages could not be removed: no"):
        machine.ensure(GONE, run="run-2", work_error="no")
    assert machine.ensure(component("another"), run="run-3")["work"]


def test_packages_that_did_not_come_back_are_not_taken_for_back(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    tool = [DesiredPackage("tool", True, version, False, Effect("none")) for version in ("1.0", "2.0")]
    machine.bring(component(packages=(tool[0],)))
    (work,) = machine.ensure(component(packages=(tool[1],)), run="run-2")["work"]
    machine.work(work)
    (back,) = machine.ensure(component("another"), run="run-3")["work"]
    with pytest.raises(HostError, match="reported success, but did not put back tool=1.0; fix that and run again"):
        machine.ensure(component("another"), run="run-3")
    assert machine.ensure(component("another"), run="run-4")["work"] == [back]
    machine.work(back)
    assert machine.ensure(component("another"), run="run-4")["recovered"] == "undone"
    assert machine.installed == {"tool": "1.0"}


def test_packages_that_stay_are_not_taken_for_removed(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    machine.bring(component(packages=(DesiredPackage("tool", True, None, False, Effect("none")),)))
    (removal,) = machine.ensure(GONE, run="run-2")["work"]
    with pytest.raises(HostError, match="reported success and did not remove tool; the next run tries again"):
        machine.ensure(GONE, run="run-2")
    assert machine.ensure(component("another"), run="run-3")["work"] == [removal]
    machine.work(removal)
    assert machine.ensure(component("another"), run="run-3")["recovered"] == "finished"
    assert machine.installed == {}
