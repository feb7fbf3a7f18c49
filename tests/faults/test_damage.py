# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine wrote about a host is damaged."""

from __future__ import annotations

import pytest
from states import ANOTHER
from test_steps import begin, ends

STATE = "/var/lib/mlops.hosts"
JOURNAL, COPY, LEDGER = (f"{STATE}/{name}" for name in ("journal.json", "journal.copy.json", "ledger/faults.json"))
DAMAGE = {
    "cut in half": 'truncate -s $(($(stat -c %s "$f") / 2)) "$f"',
    "filled with nonsense": 'head -c 3000 /dev/urandom >"$f"',
}


def damage(host, how, *paths):
    for path in paths:
        host.sh(f"f={path}; {DAMAGE[how]}")


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("path", [JOURNAL, COPY])
def test_journal(host, note, path, how):
    run, pid, _new = begin(host, "apply", packages=False)
    host.kill(pid)
    assert run.wait() != 0
    damage(host, how, path)
    ends(host, host.state)
    note("others", f"{path.rpartition('/')[2]} {how}", "old, by the next run", "")


@pytest.mark.parametrize("how", DAMAGE)
def test_both_journals(host, note, how):
    run, pid, _new = begin(host, "apply", packages=False)
    host.kill(pid)
    assert run.wait() != 0
    host.sh(f"cp -a {STATE} /var/lib/backup")
    damage(host, how, JOURNAL, COPY)
    before = host.look()
    message = host.start(ANOTHER).failed()
    assert JOURNAL in message and "damaged" in message
    assert host.look() == before
    host.sh(f"cp -a /var/lib/backup/journal*.json {STATE}/ && rm -rf /var/lib/backup")
    ends(host, host.state)
    note("others", f"both journals {how}", "refused, until they are put back", message)


@pytest.mark.parametrize("how", DAMAGE)
def test_ledger(host, note, how):
    host.sh(f"cp -a {LEDGER} /var/lib/ledger")
    damage(host, how, LEDGER)
    new = host.state.other(packages=False)
    message = host.start(host.component(new)).failed()
    assert LEDGER in message and "damaged" in message
    host.verify()
    host.sh(f"mv /var/lib/ledger {LEDGER}")
    ends(host, host.state)
    note("others", f"ledger {how}", "refused, until it is put back", message)
