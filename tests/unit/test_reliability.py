# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/reliability.md is written by a run of all fault tests: a step that it does not list was never stopped at."""

from __future__ import annotations

import pathlib
import re

from ansible_collections.mlops.hosts.plugins.module_utils._component.steps import PHASES, STEPS

from tools import client_rows

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_step_has_survived_every_fault():
    page = (ROOT / "docs/reliability.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    assert [name for name, _cells in rows] == [*STEPS, *PHASES], "run make faults, which writes docs/reliability.md"
    cells = [cell.strip() for _name, row in rows for cell in row.split("|")]
    assert set(cells) <= {"old", "new"}
    assert len(cells) == len(rows) * 5


def test_clients_saw_nothing_of_any_phase():
    page = client_rows.of_page((ROOT / "docs/reliability.md").read_text())
    rows = re.findall(r"^\| (.*?) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert [row[0] for row in rows] == [*client_rows.PHASES.values()], (
        "run make molecule s=model_rollout, which writes it"
    )
    assert all(int(short) and int(streams) for _title, short, streams, _failed, _cut in rows)
    assert {row[3:] for row in rows} == {("0", "0")}


def test_what_was_not_whole_is_counted():
    phase = next(iter(client_rows.PHASES))
    answers = {"short whole": 5, "short status 503: {}": 1, "stream whole": 4, "stream cut after 3 events": 2}
    told = client_rows.block({phase: answers})
    assert f"| {client_rows.PHASES[phase]} | 6 | 6 | 1 | 2 |" in told
    page = client_rows.written("# Title\n", told)
    assert client_rows.of_page(page) == told
    assert client_rows.written(page, "other\n") == "# Title\n\nother\n"
