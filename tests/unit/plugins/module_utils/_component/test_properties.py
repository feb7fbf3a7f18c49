# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for any host and any component. The file system is real; systemd and dpkg are simulated."""

from __future__ import annotations

import contextlib
import json
import os
import shutil

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component import steps
from ansible_collections.mlops.hosts.plugins.module_utils._component.desired import (
    DesiredPackage,
    DesiredUnit,
    Effect,
)
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._component.support import (
    GONE,
    Killed,
    Machine,
    component,
    keys_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

UNIT = "served.service"
UNIT_FILE = f"{Machine.UNITS}/{UNIT}"
MODES = st.sampled_from([0o600, 0o640, 0o644])
CONTENTS = st.binary(max_size=4)
# A unit's file with and without a section that says when it starts.
DEFINITIONS = CONTENTS | st.sampled_from(
    [b"[Install]\nWantedBy=a.target\n", b"[Install]\nWantedBy=b.target\nWantedBy=a.target\n"]
)
KEYS = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=3)

# A host as somebody left it: None is not there.
HOSTS = st.fixed_dictionaries(
    {
        "conf": st.none() | st.tuples(CONTENTS, MODES),
        "old": st.none() | CONTENTS,
        "link": st.none() | st.sampled_from(["conf", "nowhere"]),
        "shared.json": st.none() | KEYS,
        "own": st.none() | st.dictionaries(st.sampled_from(["a", "sub/b", "sub/deep/c"]), CONTENTS, max_size=3),
        "drop_in": st.booleans(),
        "unit": st.none() | st.sets(st.sampled_from(["enabled", "running", "masked"])),
        "tool": st.none() | st.tuples(st.sampled_from(Machine.AVAILABLE["tool"]), st.booleans()),
    }
)
# What is desired: None is not asked for.
GOALS = st.fixed_dictionaries(
    {
        "conf": st.none() | st.tuples(CONTENTS, MODES),
        "old": st.booleans(),
        "link": st.none() | st.sampled_from(["conf", "elsewhere"]),
        "shared.json": st.none() | KEYS.filter(bool),
        "own": st.none() | st.dictionaries(st.sampled_from(["a", "mine"]), CONTENTS, max_size=2),
        "unit": st.none() | st.tuples(st.none() | DEFINITIONS, st.sampled_from(["started", "stopped"]), st.booleans()),
        "tool": st.none() | st.tuples(st.sampled_from([None, "1.*", "2.0"]), st.booleans()),
    }
)
EVERYTHING = {
    "conf": (b"conf", 0o640),
    "old": True,
    "link": "conf",
    "shared.json": {"x": 1, "y": 2},
    "own": {"mine": b"mine"},
    "unit": (b"unit", "started", True),
    "tool": ("1.*", True),
}


@pytest.fixture(scope="module")
def patches():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def fresh(tmp_path_factory, patches):
    """Makes machines; hypothesis asks for many within one test."""
    made = []

    def make(there):
        made.append(tmp_path_factory.mktemp("machine"))
        return furnished(Machine(made[-1], patches), there)

    yield make
    for path in made:
        shutil.rmtree(path)


def furnished(machine, there):
    if there["conf"]:
        put(machine, "conf", there["conf"][0], there["conf"][1])
    if there["old"] is not None:
        put(machine, "old", there["old"])
    if there["link"]:
        os.symlink(there["link"], machine.path("link"))
    if there["shared.json"] is not None:
        put(machine, "shared.json", json.dumps(there["shared.json"]).encode())
    for name, content in (there["own"] or {}).items():
        put(machine, f"own/{name}", content)
    if there["drop_in"]:
        put(machine, f"{UNIT_FILE}.d/theirs.conf", b"theirs")
    if there["unit"] is not None:
        put(machine, UNIT_FILE, b"theirs")
        machine.systemctl("daemon-reload")
        for word, verb in (("enabled", "enable"), ("running", "start"), ("masked", "mask")):
            if word in there["unit"]:
                machine.systemctl(verb, "--", UNIT)
    if there["tool"]:
        machine.installed["tool"] = there["tool"][0]
        if there["tool"][1]:
            machine.held.add("tool")
    return machine


def put(machine, name, content, mode=0o644):
    path = machine.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def asked(machine, goal):
    files, parts = [], {}
    units = (UNIT,) if goal["unit"] else ()
    if goal["conf"]:
        content, mode = goal["conf"]
        files.append(machine.file("conf", content, mode=mode, effect=Effect("restart", units)))
    if goal["shared.json"]:
        files.append(machine.keys("shared.json", goal["shared.json"]))
    if goal["own"] is not None:
        parts["directories"] = (machine.directory("own", purge=True, effect=Effect("none")),)
        files += [machine.file(f"own/{name}", content) for name, content in goal["own"].items()]
    if goal["unit"]:
        content, state, enabled = goal["unit"]
        if content is not None:
            files.append(machine.file(UNIT_FILE, content, effect=Effect("restart", units)))
            parts["units"] = (DesiredUnit(UNIT, state, enabled),)
        else:
            parts["units"] = (DesiredUnit(UNIT, state, enabled),)
            parts["packages"] = (DesiredPackage("served", True, None, False, Effect("restart")),)
    if goal["link"]:
        parts["links"] = (machine.link("link", goal["link"]),)
    if goal["old"]:
        parts["absent_paths"] = (machine.path("old"),)
    if goal["tool"]:
        version, hold = goal["tool"]
        files.append(machine.file("pin", str(version).encode(), before_packages=True))
        tool = DesiredPackage("tool", True, version, hold, Effect("none"), before_packages=hold)
        parts["packages"] = (*parts.get("packages", ()), tool)
    return component(files=tuple(files), settle_s=0, **parts)


def lock_conflicts(there, goal):
    """A package that somebody else locked at another version is refused, with a sentence: not what is tested here."""
    locked = there["tool"] and there["tool"][1] and goal["tool"] and not goal["tool"][1]
    return bool(locked)


@settings(max_examples=50)
@given(there=HOSTS, goal=GOALS)
def test_after_apply_the_plan_is_empty_and_everything_runs_what_is_there(fresh, there, goal):
    if lock_conflicts(there, goal):
        return
    machine = fresh(there)
    desired = asked(machine, goal)
    said = machine.ensure(desired, check=True)
    done = machine.bring(desired)
    assert said["drift"] == done["drift"]
    again = machine.bring(desired, run="run-2")
    assert again["drift"] == [] and not again["changed"]
    if goal["unit"]:
        assert machine.runs_what_is_there()
        assert (UNIT in machine.running) == (goal["unit"][1] == "started")


@settings(max_examples=50)
@given(there=HOSTS, goal=GOALS, later=GOALS)
def test_absent_leaves_what_was_there_before(fresh, there, goal, later):
    if lock_conflicts(there, goal) or lock_conflicts(there, later):
        return
    machine = fresh(there)
    before = machine.whole()
    machine.bring(asked(machine, goal))
    machine.bring(asked(machine, later), run="run-2")
    machine.bring(GONE, run="run-3")
    assert comparable(machine.whole()) == comparable(before)


def comparable(whole):
    """What was there, without what a component may leave changed, as its documentation says: modes of directories that
    others had, the version of a package that was there, and what a unit has read since."""
    files = {name: entry[:1] if entry[0] == "directory" else entry for name, entry in whole["files"].items()}
    return {**whole, "files": files, "running": set(whole["running"]), "installed": set(whole["installed"])}


@settings(max_examples=40)
@given(there=HOSTS, goal=GOALS, later=GOALS, broken=CONTENTS)
def test_a_change_that_does_not_become_ready_leaves_no_trace(fresh, there, goal, later, broken):
    later = {**later, "conf": (broken + b"broken", 0o644), "unit": (b"newer", "started", True)}
    if lock_conflicts(there, goal) or lock_conflicts(there, later):
        return
    machine = fresh(there)
    machine.bring(asked(machine, goal))
    before = machine.whole()
    machine.broken.add(broken + b"broken")
    with pytest.raises(HostError, match="does not stay up.*The host is as it was before"):
        machine.bring(asked(machine, later), run="run-2")
    after = machine.whole()
    # A unit that had an older file in mind than the one on the disk has read it now.
    assert set(after["running"]) == set(before["running"])
    assert all(
        after["running"][name] == before["running"][name] or machine.runs_what_is_there() for name in after["running"]
    )
    assert {**after, "running": None} == {**before, "running": None}
    assert not os.path.exists(machine.store.journal_paths[0])


@settings(max_examples=40)
@given(there=HOSTS, goal=GOALS, later=GOALS, step=st.sampled_from((*steps.PHASES, *steps.STEPS)))
def test_killed_anywhere_the_next_run_of_another_component_ends_wholly_old_or_wholly_new(
    fresh, there, goal, later, step
):
    if lock_conflicts(there, goal) or lock_conflicts(there, later):
        return
    machine, twin = fresh(there), fresh(there)

    def die(reached):
        if reached == step:
            raise Killed

    for one in (machine, twin):
        one.bring(asked(one, goal))
    old = machine.whole()
    twin.bring(asked(twin, later), run="run-2")
    new = twin.whole()
    try:
        machine.bring(asked(machine, later), run="run-2", reach=die)
    except Killed:
        # A minute later: the run that died while it waited for the package manager does not come back.
        machine.bring(component("another"), run="run-3")
    whole = machine.whole()
    assert whole in (old, new) or (
        {**whole, "running": None} == {**old, "running": None} and machine.runs_what_is_there()
    )


@settings(max_examples=80)
@given(there=HOSTS, goal=GOALS, later=GOALS, first=st.integers(0, 80), second=st.integers(0, 40))
def test_killed_between_any_two_operations_and_again_on_the_way_back_nothing_is_lost(
    fresh, there, goal, later, first, second
):
    if lock_conflicts(there, goal) or lock_conflicts(there, later):
        return
    machine, twin = fresh(there), fresh(there)
    before = machine.whole()
    for one in (machine, twin):
        one.bring(asked(one, goal))
    old = machine.whole()
    twin.bring(asked(twin, later), run="run-2")
    new = twin.whole()
    machine.dies_after = first
    with contextlib.suppress(Killed):
        machine.bring(asked(machine, later), run="run-2")
    machine.dies_after = second
    with contextlib.suppress(Killed):
        machine.bring(component("another"), run="run-3")
    machine.dies_after = None
    machine.bring(component("another"), run="run-4")
    whole = machine.whole()
    assert {**whole, "running": set(whole["running"])} in [
        {**one, "running": set(one["running"])} for one in (old, new)
    ]
    machine.bring(GONE, run="run-5")
    assert comparable(machine.whole()) == comparable(before)


EDITS = {
    "file edited": lambda m: put(m, "conf", b"edited", 0o640),
    "mode changed": lambda m: (m.root / "conf").chmod(0o666),
    "link turned": lambda m: (os.unlink(m.path("link")), os.symlink("elsewhere", m.path("link"))),
    "file back again": lambda m: put(m, "old", b"back"),
    "unknown file": lambda m: put(m, "own/stray", b"stray"),
    "unknown link": lambda m: os.symlink("nowhere", m.path("own/pointer")),
    "unknown folder": lambda m: put(m, "own/sub/deep/stray2", b"stray"),
    "key removed": lambda m: put(m, "shared.json", b'{"x": 1, "theirs": 0}'),
    "key changed": lambda m: put(m, "shared.json", (m.root / "shared.json").read_bytes().replace(b"1", b"7")),
    "unit disabled": lambda m: m.systemctl("disable", "--", UNIT),
    "unit stopped": lambda m: m.systemctl("stop", "--", UNIT),
    "unit masked": lambda m: m.systemctl("mask", "--", UNIT),
    "drop-in": lambda m: put(m, f"{UNIT_FILE}.d/override.conf", b"override"),
    "package upgraded": lambda m: m.installed.update(tool="2.0"),
    "package removed": lambda m: m.uninstall("tool"),
    "package unlocked": lambda m: m.held.discard("tool"),
}
FOUND = {
    "file edited": {("file", "conf", "content")},
    "mode changed": {("file", "conf", "mode")},
    "link turned": {("link", "link", "target")},
    "file back again": {("path", "old", "state")},
    "unknown file": {("file", "stray", "state")},
    "unknown link": {("link", "pointer", "state")},
    "unknown folder": {("file", "stray2", "state"), ("directory", "deep", "state"), ("directory", "sub", "state")},
    "key removed": {("json_key", "y", "value")},
    "key changed": {("json_key", "x", "value")},
    "unit disabled": {("unit", UNIT, "enabled")},
    "unit stopped": {("unit", UNIT, "state")},
    "unit masked": {("unit", UNIT, "masked")},
    "drop-in": {("unit", UNIT, "drop_in")},
    "package upgraded": {("package", "tool", "version")},
    "package removed": {("package", "tool", "version")},
    "package unlocked": {("package", "tool", "hold")},
}
# What hides another: a mask hides whether a unit is enabled, a file of one name holds one text.
HIDDEN = [
    {"unit disabled", "unit masked"},
    {"package upgraded", "package removed"},
    {"package unlocked", "package removed"},
    {"key removed", "key changed"},
]


@settings(max_examples=50)
@given(there=HOSTS, edits=st.sets(st.sampled_from(sorted(EDITS)), min_size=1))
def test_exactly_what_a_person_changed_by_hand_is_found_and_repaired(fresh, there, edits):
    there = {**there, "tool": None}
    edits = {edit for edit in edits if not any(edit in pair and pair <= edits for pair in HIDDEN)}
    machine = fresh(there)
    desired = asked(machine, EVERYTHING)
    machine.bring(desired)
    before = machine.whole()
    for edit in sorted(edits):
        EDITS[edit](machine)
    expected = set().union(*(FOUND[edit] for edit in edits))
    assert keys_of(machine.ensure(desired, check=True)["drift"]) == expected
    machine.bring(desired, run="run-2")
    assert machine.bring(desired, run="run-3")["drift"] == []
    assert machine.runs_what_is_there()
    after = machine.whole()
    for name in ("own/sub/deep", "own/sub", f"{UNIT_FILE}.d", "shared.json"):
        before["files"].pop(name, None)
        after["files"].pop(name, None)
    assert after["files"] == before["files"]
