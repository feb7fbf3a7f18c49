# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The new state is no good: its own run finds out, and takes it back."""

from __future__ import annotations

import pytest

NEVER_READY = {"never_ready": True, "ready_s": 1}
CASES = [
    ({"validator_hangs": True}, "check did not end in time", "validator that hangs", False),
    (NEVER_READY, "waited 1 s for http://127.0.0.1:8099/ answers", "unit that never becomes ready", False),
    (NEVER_READY, "waited 1 s for http://127.0.0.1:8099/ answers", "unit that never becomes ready, upgraded", True),
    (
        {"dies_after_s": 5, "settle_s": 8},
        "faults.service does not stay up: result exit-code, exit status 7",
        "unit that is ready, and dies 5 s later",
        False,
    ),
    ({"dies_after_s": 0}, "faults.service does not stay up", "unit that dies at once", False),
]


@pytest.mark.parametrize(("settings", "words", "name", "packages"), CASES, ids=[case[2] for case in CASES])
def test_service(host, note, settings, words, name, packages):
    run = host.start(host.component(host.state.other(packages=packages), **settings))
    message = run.failed()
    assert words in message
    assert message.endswith("The host is as it was before")
    assert run.results()[0]["rolled_back"] is True
    host.verify()
    (same,) = host.again(host.component(host.state))
    assert (same["changed"], same["drift"]) == (False, [])
    note("others", name, "old, by the same run", message)
