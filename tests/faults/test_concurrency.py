# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers at once on one host: one waits, or fails with the holder's name. They never mix."""

from __future__ import annotations

import itertools
import platform

import pytest
from states import ANOTHER, expected
from test_steps import ends

THIRD = {"name": "third", "files": [{"path": f"/etc/faults-third-{n}", "content": "third\n"} for n in range(5)]}
HELD = (
    "another run holds /var/lib/mlops.hosts/lock for more than 1 s: "
    "component 'faults', run from {controller}, pid {pid}"
)
WAITS = "component 'faults' is being changed by another run, from {controller}, which waits for the package manager"


@pytest.mark.parametrize(("point", "packages", "words"), [("swap", False, HELD), ("preinst", True, WAITS)])
@pytest.mark.parametrize("same", [True, False], ids=["same component", "another component"])
def test_second_is_told_who_holds_the_host(host, note, point, packages, words, same):
    new = host.state.other(packages=packages)
    host.stop_at(point)
    first = host.start(host.component(new))
    pid = host.reached(first)
    second = {**(host.component(host.state) if same else ANOTHER), "lock_timeout_s": 1}
    message = host.start(second).failed()
    assert words.format(controller=platform.node(), pid=pid) in message
    host.go_on()
    first.succeeded()
    ends(host, new)
    what = "the same component" if same else "another component"
    when = "apt works" if packages else "it swaps"
    note("two", f"while {when}, a second run asks for {what} and does not wait", "first new, second refused", message)


@pytest.mark.parametrize(("point", "packages"), [("swap", False), ("preinst", True)])
def test_second_waits_for_the_first(host, note, point, packages):
    old, new = host.state, host.state.other(packages=packages)
    host.stop_at(point)
    first = host.start(host.component(new))
    host.reached(first)
    second = host.start(host.component(old))
    assert not second.ended(4)
    host.go_on()
    (first_result,), (second_result,) = first.succeeded(), second.succeeded()
    assert first_result["changed"] and second_result["changed"]
    assert second_result["recovered"] == "none"
    ends(host, old)
    when = "apt works" if packages else "it swaps"
    note("two", f"while {when}, a second run asks for the earlier state and waits", "first new, then back", "")


@pytest.mark.parametrize("packages", [False, True], ids=["files", "packages"])
def test_two_at_once(host, note, packages):
    """Nobody is stopped. The points that both passed show that one came after the other."""
    new = host.state.other(packages=packages)
    host.again({**THIRD, "state": "absent", "files": []})
    host.stop_at("nowhere")
    runs = [host.start(host.component(new)), host.start(THIRD), host.start(host.component(new))]
    changed = [run.succeeded()[0]["changed"] for run in runs]
    assert sorted(changed) == [False, True, True] and changed[1]
    blocks = [pid for pid, _points in itertools.groupby(host.passed(), key=lambda passed: passed[0])]
    assert len(blocks) == len(set(blocks)) >= 2, blocks
    assert host.look() == expected(new)
    ends(host, new)
    what = "packages and files" if packages else "files"
    note("two", f"three at once, two of them for the same {what}", "one after the other", "")
