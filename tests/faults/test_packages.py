# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package manager is at work, and is killed, or loses who asked for it."""

from __future__ import annotations

import pytest
from test_steps import ends

SCRIPTS = {
    "preinst": "dpkg unpacks a package",
    "postinst": "dpkg configures a package",
    "prerm": "dpkg removes a package, after the commit",
}


def begin(host, script):
    """A change of packages that waits in a script of a package. The script of another version is only ours to stop."""
    new = host.state.other(packages=True)
    host.stop_at(script)
    run = host.start(host.component(new))
    return run, host.reached(run), new


def end(host, note, script, fault, new):
    outcome = "new" if script == "prerm" else "old"
    ends(host, new if outcome == "new" else host.state)
    note("packages", SCRIPTS[script], fault, outcome)


@pytest.mark.parametrize("script", SCRIPTS)
def test_apt_killed(host, note, script):
    """The module apt, apt-get and dpkg: all of them, as when memory runs out."""
    run, pid, new = begin(host, script)
    above = host.ancestors(pid)
    victims = [number for number, command in above.items() if "dpkg" in command or "apt-get" in command]
    python = [number for number, command in above.items() if command.startswith("/usr/bin/python3")]
    host.sh(f"kill -9 {' '.join(map(str, [*python, *victims, pid]))}")
    assert run.wait() != 0
    end(host, note, script, "apt and dpkg killed", new)


@pytest.mark.parametrize("script", SCRIPTS)
def test_dpkg_killed(host, note, script):
    run, pid, new = begin(host, script)
    dpkg = [n for n, command in host.ancestors(pid).items() if command.startswith("/usr/bin/dpkg ")]
    host.sh(f"kill -9 {' '.join(map(str, [*dpkg, pid]))}")
    assert run.wait() != 0
    end(host, note, script, "dpkg killed", new)


@pytest.mark.parametrize("script", SCRIPTS)
def test_controller_killed_while_apt_works(host, note, script):
    run, _pid, new = begin(host, script)
    run.kill()
    host.go_on()
    end(host, note, script, "controller killed", new)


@pytest.mark.parametrize("script", SCRIPTS)
def test_power_cut_while_apt_works(host, note, script):
    run, _pid, new = begin(host, script)
    host.cut_power()
    assert run.wait() != 0
    end(host, note, script, "power cut", new)
