# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run is stopped before every step and phase there is, in five ways. Then a next run makes the host whole.

The steps come from the code: a new one is tested without a word here, and has a row in the report.
"""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component.steps import PHASES, STEPS
from states import ANOTHER

POINTS = (*STEPS, *PHASES)
AFTER_COMMIT = {"clean", "removals"}
WAY_BACK = {"undo", "restore", "resume", "close"}


def begin(host, point, *, packages):
    """A change that waits at the point. Returns the run, the pid there, and the state that it goes to."""
    new = host.state.other(packages=packages or point in PHASES)
    host.stop_at(point)
    run = host.start(host.component(new, **({"never_ready": True, "ready_s": 1} if point in WAY_BACK else {})))
    return run, host.reached(run), new


def ends(host, state):
    """The next run, of another component, makes the host whole; then nothing differs from this state."""
    _other, same = host.again(ANOTHER, host.component(state))
    is_whole(host, state, same)


def is_whole(host, state, result):
    """A run that asked for this state found nothing to do, and the observer finds the host wholly in it."""
    assert (result["changed"], result["drift"]) == (False, [])
    host.state = state
    host.verify()


@pytest.mark.parametrize("point", POINTS)
def test_module_killed_and_the_same_asked_again(host, note, point):
    run, pid, new = begin(host, point, packages=False)
    host.kill(pid)
    assert run.wait() != 0
    _first, second = host.again(host.component(new), host.component(new))
    is_whole(host, new, second)
    note("steps", point, "module killed, same again", "new")


@pytest.mark.parametrize("point", POINTS)
def test_module_killed_and_something_else_asked(host, note, point):
    run, pid, new = begin(host, point, packages=True)
    host.kill(pid)
    assert run.wait() != 0
    outcome = "new" if point in AFTER_COMMIT else "old"
    ends(host, new if outcome == "new" else host.state)
    note("steps", point, "module killed, something else", outcome)


@pytest.mark.parametrize("point", POINTS)
def test_controller_killed(host, note, point):
    run, _pid, new = begin(host, point, packages=False)
    run.kill()
    host.go_on()
    lost(host, note, point, new, "controller killed")


@pytest.mark.parametrize("point", POINTS)
def test_sshd_killed(host, note, point):
    run, pid, new = begin(host, point, packages=False)
    (session,) = [number for number, command in host.ancestors(pid).items() if command.startswith("sshd: ansible@")]
    host.kill(session)
    assert run.wait() != 0
    host.go_on()
    lost(host, note, point, new, "sshd killed")


def lost(host, note, point, new, fault):
    """The module has nobody to answer to. It goes on to the end of its call, which is the end of the change where no
    package moves; what needs another call is undone by the next run, or finished after the commit."""
    outcome = "old" if point in WAY_BACK | {"repositories", "packages"} else "new"
    if point in STEPS:
        (same,) = host.again(host.component(new))
        is_whole(host, new, same)
    else:
        ends(host, new if outcome == "new" else host.state)
    note("steps", point, fault, outcome)


@pytest.mark.parametrize("point", POINTS)
def test_power_cut(host, note, point):
    run, _pid, new = begin(host, point, packages=False)
    host.cut_power()
    assert run.wait() != 0
    outcome = "new" if point in AFTER_COMMIT else "old"
    ends(host, new if outcome == "new" else host.state)
    note("steps", point, "power cut", outcome)
