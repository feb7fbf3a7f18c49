# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host was compared, and another process takes a port that the component requires, before anything changes."""

from __future__ import annotations

import pytest

PORT = 8098
SQUATTER = "squatter.service"
MESSAGE = f"Port {PORT} is held by {{found}}; stop that."


def required(host, state, **more):
    condition = {"kind": "port", "port": PORT, "address": "127.0.0.1", "msg": MESSAGE, **more}
    return {**host.component(state), "requires": [condition]}


def change(host, new, **more):
    """A run that has compared the host when the port is taken. Returns the run and the sentence that it has to say."""
    host.stop_at("requires")
    run = host.start(required(host, new, **more))
    host.reached(run)
    server = f"systemd-run --quiet --collect --unit={SQUATTER} python3 -m http.server --bind 127.0.0.1 {PORT}"
    host.sh(f"{server}; until ss -Hltn sport = :{PORT} | grep -q .; do sleep 0.1; done")
    pid = host.sh(f"systemctl show --value --property=MainPID {SQUATTER}")
    host.go_on()
    return run, MESSAGE.format(found=f"python3 (pid {pid}, {SQUATTER})")


@pytest.fixture
def squatter(host):
    yield
    host.sh(f"systemctl stop {SQUATTER} || true")  # it is gone where the test passed


@pytest.mark.parametrize("packages", [False, True], ids=["files", "packages"])
def test_a_port_is_taken_after_the_host_was_compared(host, squatter, note, packages):
    new = host.state.other(packages=packages)
    run, sentence = change(host, new)
    assert run.failed() == sentence
    assert {point for _pid, point in host.passed()} == {"requires"}
    host.verify()
    host.sh(f"systemctl stop {SQUATTER}")
    (result,) = host.again(required(host, new))
    assert (result["changed"], result["recovered"], result["pending"]) == (True, "none", [])
    host.state = new
    host.verify()
    what = "packages and files" if packages else "files"
    note("others", f"port taken between compare and change of {what}", "old, by the same run", sentence)


def test_a_component_waits_for_a_port(host, squatter, note):
    new = host.state.other(packages=False)
    run, sentence = change(host, new, otherwise="wait", ends_with="the end of the squatter")
    (result,) = run.succeeded()
    pending = {"what": f"port {PORT}", "why": sentence, "ends_with": "the end of the squatter"}
    assert (result["changed"], result["pending"]) == (False, [pending])
    assert result["drift"]
    assert {point for _pid, point in host.passed()} == {"requires"}
    host.verify()
    host.sh(f"systemctl stop {SQUATTER}")
    (result,) = host.again(required(host, new, otherwise="wait", ends_with="the end of the squatter"))
    assert (result["changed"], result["pending"]) == (True, [])
    host.state = new
    host.verify()
    note("others", "port taken, and the component waits for it", "old, then new when it is free", sentence)
