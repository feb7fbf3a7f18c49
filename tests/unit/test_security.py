# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every line of the threat model in SECURITY.md names a test, and each of these is there."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def lines(text):
    """Rows of the tables, each as its cells; heads are left out."""
    for table in re.findall(r"^\|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE):
        yield from ([cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines())


def broken(text, root=ROOT):
    """What is wrong with the tests of the lines, each in a sentence."""
    for what, *_, tests in lines(text):
        named = re.findall(r"`([^`:]+): ([^`]+)`", tests)
        if not named or re.sub(r"`[^`]+`", "", tests).strip(", "):
            yield f"{what}: must name tests, each as `FILE: NAME`, and nothing else"
        yield from (f"{what}: there is no {file}: {name}" for file, name in named if not there(file, name, root))


def there(file, name, root):
    if file.endswith(".py"):
        texts = [path.read_text() for path in (root / "tests").rglob(file)]
        return any(re.search(rf"^ *def {re.escape(name)}\(", text, re.MULTILINE) for text in texts)
    tasks = [path.read_text() for path in (root / "molecule" / file).rglob("*.yml")]
    return any(re.search(rf"^ *- name: (?:\w+ \| )?{re.escape(name)}$", text, re.MULTILINE) for text in tasks)


def test_each_line_of_the_threat_model_has_its_tests():
    text = (ROOT / "SECURITY.md").read_text()
    assert len(list(lines(text))) > 30
    assert list(broken(text)) == []


HEAD = "| what | test |\n|---|---|\n"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("| a | `test_security.py: test_each_line_of_the_threat_model_has_its_tests` |", None),
        ("| a | `model_server: No key in what Ansible says` |", None),
        ("| a | |", "a: must name tests, each as `FILE: NAME`, and nothing else"),
        ("| a | we are sure |", "a: must name tests, each as `FILE: NAME`, and nothing else"),
        ("| a | `test_security.py: test_gone` |", "a: there is no test_security.py: test_gone"),
        ("| a | `model_server: Never run` |", "a: there is no model_server: Never run"),
        ("| a | `no_scenario: Never run` |", "a: there is no no_scenario: Never run"),
    ],
)
def test_a_line_without_its_test_is_found(row, problem):
    assert list(broken(f"{HEAD}{row}\n")) == ([problem] if problem else [])
