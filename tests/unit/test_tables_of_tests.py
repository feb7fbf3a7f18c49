# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/gpu-faults.md and docs/field-reports.md name a test in each row; here they are held to that."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
_ROW = re.compile(r"^\| (\d+) \| .* \| ([^|]+) \|$", re.MULTILINE)
_UNIT = re.compile(r"`([\w/.]+\.py)::(\w+)`")
_STEP = re.compile(r"`(\w+): ([^`]+)`")


def missing(text: str, root: pathlib.Path) -> list[str]:
    """A sentence for each row that names no test, or one that is not there."""
    found = []
    for number, shown in _ROW.findall(text):
        if not (_UNIT.search(shown) or _STEP.search(shown)):
            found.append(f"row {number} names no test")
        for file, test in _UNIT.findall(shown):
            path = root / "tests/unit/plugins" / file
            if not path.exists() or f"def {test}(" not in path.read_text():
                found.append(f"row {number}: {file}::{test} is not there")
        for scenario, step in _STEP.findall(shown):
            files = [*root.glob(f"molecule/{scenario}/*.yml"), *root.glob("molecule/shared/*/**/*.yml")]
            if not any(step in path.read_text() for path in files):
                found.append(f"row {number}: no step {step!r} in scenario {scenario}")
    return found


@pytest.mark.parametrize("page", ["gpu-faults.md", "field-reports.md"])
def test_every_row_has_its_test(page):
    text = (ROOT / "docs" / page).read_text()
    assert _ROW.findall(text)
    assert [int(number) for number, _shown in _ROW.findall(text)] == list(range(1, len(_ROW.findall(text)) + 1))
    assert missing(text, ROOT) == []


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ("somewhere", "row 1 names no test"),
        ("`x.py::test_y`", "row 1: x.py::test_y is not there"),
        ("`nowhere: It works`", "row 1: no step 'It works' in scenario nowhere"),
    ],
)
def test_a_row_without_its_test_is_found(shown, why, tmp_path):
    assert missing(f"| 1 | a fault | what happens | {shown} |\n", tmp_path) == [why]
