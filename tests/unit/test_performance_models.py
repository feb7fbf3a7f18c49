# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/performance-models.md says of what was measured."""

from __future__ import annotations

import dataclasses
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))

import models

USED = {
    "fetch": models.Used(10.0, 5.0, 50.0),
    "hf": models.Used(10.0, 6.0, 200.0),
    "hf sync": models.Used(20.0, 6.0, 200.0),
    "again": models.Used(0.5, 0.3, 28.0),
    "hf again": models.Used(1.0, 0.6, 40.0),
    "verify": models.Used(5.0, 9.0, 30.0),
    "sha256sum": models.Used(9.0, 9.0, 3.0),
}


def targets(**changes):
    used = {**USED, **{name: dataclasses.replace(USED[name], **change) for name, change in changes.items()}}
    page = models.page(models.Found("2.4.0", 2048, 40, 3, used))
    assert "with `sync` after it" in page
    return [line.split(" | ")[1:] for line in page.splitlines() if "at most" in line or "at least" in line]


def test_all_that_is_reached_says_so():
    assert targets() == [["1.00×", "yes |"], ["0.25×", "yes |"], ["1.80×", "yes |"]]


@pytest.mark.parametrize(
    ("row", "changes", "cells"),
    [
        (0, {"fetch": {"wall": 10.2}}, ["1.02×", "**no** |"]),
        (1, {"fetch": {"peak": 120.0}}, ["0.60×", "**no** |"]),
        (2, {"verify": {"wall": 9.0}}, ["1.00×", "**no** |"]),
    ],
)
def test_what_is_missed_says_so(row, changes, cells):
    assert targets(**changes)[row] == cells
