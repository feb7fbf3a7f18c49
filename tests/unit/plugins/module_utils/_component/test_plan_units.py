# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units are touched, decided on plain data: one row per situation a host can be in."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import plan_units, units
from ansible_collections.mlops.hosts.plugins.module_utils._component.changes import PathChange, Situation, UnitChanges
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import Component, DesiredUnit, Effect
from ansible_collections.mlops.hosts.plugins.module_utils._component.fs_entry import ABSENT, Entry
from ansible_collections.mlops.hosts.plugins.module_utils._component.observe import Observed
from ansible_collections.mlops.hosts.plugins.module_utils._component.store import Ledger
from ansible_collections.mlops.hosts.plugins.module_utils._component.units import Unit
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

RUNNING = Unit(
    name="a.service",
    exists=True,
    active_state="active",
    sub_state="running",
    file_state="enabled",
    stale=False,
    restarts=0,
    result="success",
    type="simple",
    exit_status=0,
    invocation="1",
    queued=False,
)
MISSING = dataclasses.replace(RUNNING, exists=False, active_state="inactive", sub_state="dead", file_state="")
STOPPED = dataclasses.replace(RUNNING, active_state="inactive", sub_state="dead")
CRASHING = dataclasses.replace(RUNNING, active_state="activating", sub_state="auto-restart", result="exit-code")
LOADING = dataclasses.replace(RUNNING, active_state="activating", sub_state="start", type="notify")
FAILED = dataclasses.replace(RUNNING, active_state="failed", sub_state="failed", result="exit-code")
GENERATED = dataclasses.replace(RUNNING, file_state="generated")
FILE = "/etc/systemd/system/a.service"
QUADLET = "/etc/containers/systemd/a.container"


NEW = Entry("file", content=b"2")


def changed(path="/etc/a.conf", impact="restart", after=NEW, units=None):
    return PathChange(path, Entry("file", content=b"1"), after, "root", "root", Effect(impact, units))


def plan(desired, have, changes=(), package_effects=(), owned=None, others=(), drop_ins=(), leaving=(), models=None):
    component = Component("demo", True, units=(DesiredUnit("a.service", *desired),) if desired else ())
    seen = Observed(
        manager=None,
        children={},
        entries={},
        originals={},
        strays={},
        drop_ins={"a.service": drop_ins},
        packages={},
        users={},
        missing_groups={},
        units={"a.service": have},
        repository_files=(),
        leaving_units=leaving,
        other_models={"a.service": models} if models else {},
    )
    situation = Situation(component, Ledger("demo", units=owned or {}), others, seen, None)
    return plan_units.plan(situation, changes, package_effects)


NAME = ("a.service",)


@pytest.mark.parametrize(
    ("desired", "have", "changes", "expected"),
    [
        pytest.param(("started", True), RUNNING, [], UnitChanges(), id="right-is-left-alone"),
        pytest.param(("started", True), LOADING, [], UnitChanges(), id="one-that-loads-for-minutes-is-left-alone"),
        pytest.param(("started", True), STOPPED, [], UnitChanges(start=NAME), id="stopped-is-started"),
        pytest.param(("started", True), CRASHING, [], UnitChanges(start=NAME), id="a-crash-loop-is-not-running"),
        pytest.param(("started", True), FAILED, [], UnitChanges(start=NAME), id="failed-is-started"),
        pytest.param(("started", True), MISSING, [], UnitChanges(enable=NAME, start=NAME), id="still-to-be-installed"),
        pytest.param(("started", True), RUNNING, [changed()], UnitChanges(restart=NAME), id="new-file-restarts"),
        pytest.param(
            ("started", True), RUNNING, [changed(impact="reload")], UnitChanges(reload=NAME), id="or-reloads-when-told"
        ),
        pytest.param(("started", True), RUNNING, [changed(impact="none")], UnitChanges(), id="or-does-nothing"),
        pytest.param(("started", True), RUNNING, [changed(units=())], UnitChanges(), id="file-that-no-unit-reads"),
        pytest.param(
            ("started", True),
            RUNNING,
            [changed(impact="reload"), changed()],
            UnitChanges(restart=NAME),
            id="restart-wins-over-reload",
        ),
        pytest.param(("started", True), STOPPED, [changed()], UnitChanges(start=NAME), id="start-wins-over-restart"),
        pytest.param(
            ("started", True),
            RUNNING,
            [changed(FILE)],
            UnitChanges(reread=True, restart=NAME),
            id="unit-file-is-reread",
        ),
        pytest.param(
            ("started", True),
            dataclasses.replace(RUNNING, stale=True),
            [],
            UnitChanges(reread=True),
            id="forgotten-daemon-reload",
        ),
        pytest.param(
            ("started", True),
            dataclasses.replace(RUNNING, file_state="masked", active_state="inactive", sub_state="dead"),
            [],
            UnitChanges(unmask=NAME, enable=NAME, start=NAME),
            id="masked-by-hand",
        ),
        pytest.param(
            ("started", True),
            dataclasses.replace(RUNNING, file_state="masked"),
            [],
            UnitChanges(stop=NAME, unmask=NAME, enable=NAME, start=NAME),
            id="masked-while-it-runs",
        ),
        pytest.param(
            ("started", True),
            dataclasses.replace(RUNNING, file_state="static"),
            [],
            UnitChanges(),
            id="static-cannot-be-enabled",
        ),
        pytest.param(
            ("started", False),
            RUNNING,
            [changed(FILE, after=ABSENT), changed(QUADLET)],
            UnitChanges(stop=NAME, disable=NAME, reread=True, start=NAME),
            id="a-quadlet-in-the-place-of-a-unit-file",
        ),
        pytest.param(
            ("started", True),
            GENERATED,
            [changed(QUADLET, after=ABSENT), changed(FILE)],
            UnitChanges(stop=NAME, reread=True, enable=NAME, start=NAME),
            id="a-unit-file-in-the-place-of-a-quadlet",
        ),
        pytest.param(
            ("started", False),
            GENERATED,
            [changed(QUADLET)],
            UnitChanges(reread=True, restart=NAME),
            id="a-quadlet-that-changes",
        ),
        pytest.param(("stopped", False), RUNNING, [], UnitChanges(stop=NAME, disable=NAME), id="stop-and-disable"),
        pytest.param(("stopped", True), CRASHING, [], UnitChanges(stop=NAME), id="a-crash-loop-is-stopped"),
        pytest.param(("stopped", True), FAILED, [], UnitChanges(), id="failed-is-stopped-enough"),
        pytest.param(("stopped", True), STOPPED, [changed()], UnitChanges(), id="stopped-is-not-restarted"),
        pytest.param(("unmanaged", True), STOPPED, [changed()], UnitChanges(), id="unmanaged-state-is-left-alone"),
    ],
)
def test_what_is_done_to_a_desired_unit(desired, have, changes, expected):
    assert plan(desired, have, changes).changes == expected


@pytest.mark.parametrize(
    ("before", "have", "changes", "expected"),
    [
        pytest.param(
            {"enabled": False, "active": False},
            RUNNING,
            [changed(FILE, after=ABSENT)],
            UnitChanges(stop=NAME, disable=NAME, reread=True),
            id="ours-goes",
        ),
        pytest.param({"enabled": True, "active": True}, RUNNING, [], UnitChanges(), id="theirs-stays"),
        pytest.param(
            {"enabled": True, "active": True},
            RUNNING,
            [changed()],
            UnitChanges(restart=NAME),
            id="theirs-reads-its-own-file-again",
        ),
        pytest.param(
            {"enabled": True, "active": True},
            dataclasses.replace(STOPPED, file_state="disabled"),
            [],
            UnitChanges(enable=NAME, start=NAME),
            id="theirs-runs-again",
        ),
        pytest.param({"enabled": False, "active": False}, MISSING, [], UnitChanges(), id="already-gone"),
    ],
)
def test_what_is_done_to_a_unit_that_is_given_up(before, have, changes, expected):
    assert plan(None, have, changes, owned={"a.service": before}).changes == expected


def test_a_unit_that_another_component_wants_is_not_stopped():
    other = Ledger("other", units={"a.service": {"enabled": False, "active": False}})
    given_up = plan(None, RUNNING, owned={"a.service": {"enabled": False, "active": False}}, others=[other])
    assert given_up.changes == UnitChanges()


def test_a_new_package_version_restarts():
    assert plan(("started", True), RUNNING, package_effects=[Effect("restart")]).changes.restart == NAME


def test_the_ledger_keeps_how_the_unit_was_before_us():
    first = plan(("started", True), STOPPED)
    assert first.records == {"a.service": {"enabled": True, "active": False, "masked": False, "drop_ins": []}}
    later = plan(("started", True), RUNNING, owned=first.records)
    assert later.records == first.records


BEFORE = {"enabled": False, "active": False, "masked": False, "drop_ins": []}
OUTLIVED = dataclasses.replace(RUNNING, exists=False, file_state="")
FORGOTTEN = dataclasses.replace(FAILED, exists=False, file_state="")


@pytest.mark.parametrize(
    ("have", "changes", "expected"),
    [
        pytest.param(
            FAILED, [changed(FILE, after=ABSENT)], UnitChanges(reread=True, disable=NAME, reset=NAME), id="failed"
        ),
        pytest.param(FORGOTTEN, [], UnitChanges(reset=NAME), id="failed, and its file is gone"),
        pytest.param(OUTLIVED, [], UnitChanges(stop=NAME), id="runs, and its file is gone"),
        pytest.param(MISSING, [], UnitChanges(), id="gone altogether"),
        pytest.param(
            CRASHING, [changed(FILE, after=ABSENT)], UnitChanges(reread=True, disable=NAME, stop=NAME), id="restarts"
        ),
        pytest.param(
            dataclasses.replace(RUNNING, has_cache=True),
            [changed(FILE, after=ABSENT)],
            UnitChanges(reread=True, disable=NAME, stop=NAME, clean=NAME),
            id="has a cache",
        ),
        pytest.param(
            dataclasses.replace(RUNNING, has_cache=True), [], UnitChanges(disable=NAME, stop=NAME), id="its cache stays"
        ),
    ],
)
def test_of_a_unit_that_goes_nothing_stays(have, changes, expected):
    assert plan(None, have, changes, owned={"a.service": BEFORE}).changes == expected


@pytest.mark.parametrize(
    ("have", "expected"),
    [
        pytest.param(RUNNING, UnitChanges(stop=NAME), id="runs"),
        pytest.param(FAILED, UnitChanges(reset=NAME), id="failed"),
        pytest.param(MISSING, UnitChanges(), id="neither"),
    ],
)
@pytest.mark.parametrize("theirs", [False, True])
def test_what_runs_from_a_unit_file_that_goes_ends(have, expected, theirs):
    """Such as the service of a timer, or an instance that somebody started."""
    others = [Ledger("other", units={"a.service": BEFORE})] if theirs else []
    found = plan(None, have, leaving=NAME, others=others).changes
    assert found == (UnitChanges() if theirs else expected)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/etc/systemd/system/a.service", ["a.service"]),
        ("/etc/systemd/system/a.timer", ["a.timer"]),
        ("/etc/systemd/system/t@.service", ["t@a.service", "t@b.service"]),
        ("/etc/systemd/system/a.service.d/x.conf", []),
        ("/etc/containers/systemd/a.container", []),
        ("/etc/a.service", []),
    ],
)
def test_the_units_of_a_file(path, names):
    def run(*argv, timeout_s=None):
        assert argv[-1] == "t@*.service"
        out = "t@a.service loaded    active running t@a.service\nt@b.service not-found failed failed t@b.service\n"
        return Completed(argv, 0, out, "")

    assert units.of_file(path, run) == names


def test_a_server_that_has_other_models_than_it_was_given_is_started_again():
    part = plan(("started", True), RUNNING, models=("chat 1a", "chat 2b"))
    assert part.changes == UnitChanges(restart=NAME)
    (row,) = part.drift
    assert row.as_row() == {
        "kind": "unit",
        "item": "a.service",
        "attribute": "models",
        "want": "chat 1a",
        "have": "chat 2b",
    }
    changes = plan(("started", True), RUNNING, [changed()], models=("chat 1a", "chat 2b")).changes
    assert changes == UnitChanges(restart=NAME)
