# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/reliability.md is written by a run of all fault tests: a step that it does not list was never stopped at."""

from __future__ import annotations

import pathlib
import re

from ansible_collections.mlops.hosts.plugins.module_utils._component.steps import PHASES, STEPS

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_step_has_survived_every_fault():
    page = (ROOT / "docs/reliability.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    assert [name for name, _cells in rows] == [*STEPS, *PHASES], "run make faults, which writes docs/reliability.md"
    cells = [cell.strip() for _name, row in rows for cell in row.split("|")]
    assert set(cells) <= {"old", "new"}
    assert len(cells) == len(rows) * 5
