# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network goes, and the clock is wrong."""

from __future__ import annotations

import time

import pytest
from states import ANOTHER
from test_steps import ends

EARLIER = "/usr/local/bin/python3-earlier"


def cut(host):
    """Pull the cable. Returns what brings the network back."""
    route = host.sh("ip route show default")
    host.sh("ip link set eth0 down")
    return f"ip link set eth0 up && ip route add {route}"


@pytest.mark.parametrize("point", ["stage", "swap"])
def test_network_cut_for_a_moment(host, note, point):
    new = host.state.other(packages=False)
    host.stop_at(point)
    run = host.start(host.component(new))
    host.reached(run)
    back = cut(host)
    host.go_on()
    time.sleep(1)
    host.sh(back)
    run.succeeded()
    ends(host, new)
    note("others", f"network cut for 1 s, at {point}", "new, by the same run", "")


@pytest.mark.parametrize("point", ["swap", "ready"])
def test_network_cut_until_ssh_gives_up(host, note, point):
    new = host.state.other(packages=False)
    host.stop_at(point)
    run = host.start(host.component(new))
    host.reached(run)
    back = cut(host)
    host.go_on()
    assert run.wait() != 0
    assert run.results()[-1]["how"] == "unreachable"
    host.sh(back)
    ends(host, new)
    note("others", f"network cut for longer, at {point}", "new, by the orphaned module", "")


@pytest.mark.parametrize("point", ["swap", "packages"])
def test_clock_set_back(host, note, point):
    """The next run lives 40 days earlier: the wall clock of its Python and of all that it starts."""
    new = host.state.other(packages=point == "packages")
    host.stop_at(point)
    run = host.start(host.component(new))
    host.kill(host.reached(run))
    assert run.wait() != 0
    clocks = "-c 'import time; print(time.time(), time.monotonic())'"
    earlier, since_boot = map(float, host.sh(f"{EARLIER} {clocks}").split())
    now, since_boot_now = map(float, host.sh(f"python3 {clocks}").split())
    assert now - earlier > 39 * 86400 and since_boot <= since_boot_now < since_boot + 3600
    _other, same = host.again(ANOTHER, host.component(host.state), ansible_python_interpreter=EARLIER)
    assert (same["changed"], same["drift"]) == (False, [])
    ends(host, host.state)
    note("others", f"clock set back after a kill at {point}", "old, by the next run", "")
