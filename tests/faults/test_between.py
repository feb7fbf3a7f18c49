# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run is killed in the middle of a step: between the writing of two files, or between two renames."""

from __future__ import annotations

import pytest
from states import ETC, SETTINGS, SHARED, UNIT_FILE
from test_steps import begin, ends

JOURNAL = "/var/lib/mlops.hosts/journal.json"
LEDGER = "/var/lib/mlops.hosts/ledger/faults.json"
POINTS = [
    (f"staged {JOURNAL}", "old", "the journal is written, not in place"),
    (f"swapped {JOURNAL}", "old", "the journal is in place, its copy is older"),
    (f"staged {SETTINGS}", "old", "half of the new files wait"),
    (f"swapped {ETC}/a.d/more.conf|{ETC}/b.d/more.conf", "old", "the first new file is in place"),
    (f"swapped {SETTINGS}", "old", "two new files are in place, the others are not"),
    (f"swapped {SHARED}", "old", "the keys of a shared file are in place, the unit file is not"),
    (f"swapped {UNIT_FILE}", "old", "a unit file is in place, a link and an absent path are not"),
    (f"swapped {ETC}/current", "old", "all are in place, but for a path that must go"),
    (f"staged {LEDGER}", "old", "the ledger is written, not in place"),
    (f"swapped {LEDGER}", "new", "the ledger is in place: the commit"),
]


@pytest.mark.parametrize(("point", "outcome", "words"), POINTS, ids=[words for *_, words in POINTS])
def test_module_killed_between(host, note, point, outcome, words):
    here, _, there = point.partition("|")
    point = here if host.state.letter == "b" or not there else f"swapped {there}"
    run, pid, new = begin(host, point, packages=False)
    host.kill(pid)
    assert run.wait() != 0
    ends(host, new if outcome == "new" else host.state)
    note("between", words, "module killed", outcome)


@pytest.mark.parametrize("words", ["one file is back", "the unit file is back"])
def test_module_killed_on_the_way_back(host, note, words):
    """The way back is walked again from its beginning."""
    path = {"one file is back": f"{ETC}/current", "the unit file is back": UNIT_FILE}[words]
    new = host.state.other(packages=False)
    host.stop_at(f"swapped {path}#2")
    run = host.start(host.component(new, never_ready=True, ready_s=1))
    host.kill(host.reached(run))
    assert run.wait() != 0
    ends(host, host.state)
    note("between", f"on the way back, {words}", "module killed", "old")


def test_power_cut_before_the_units_begin(host, note):
    """No unit was touched, and the boot starts them with the new files."""
    if host.state.letter == "a":  # on the way to b a unit is stopped before
        host.state = host.state.other(packages=False)
        host.again(host.component(host.state))
    run, _pid, _new = begin(host, "start", packages=False)
    host.cut_power()
    assert run.wait() != 0
    assert host.look()["answer"]["settings"] == "a"
    ends(host, host.state)
    note("between", "all are in place, and the boot starts with them", "power cut", "old")
