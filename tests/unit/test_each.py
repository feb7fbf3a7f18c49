# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/each.py says of the commands that it runs."""

from __future__ import annotations

import re
import time

import pytest

from tools import each

SLEEP_S = 1


@pytest.fixture(autouse=True)
def _own_times(monkeypatch, tmp_path):
    monkeypatch.delenv(each.DETAILS, raising=False)
    monkeypatch.setattr(each, "TOOK", tmp_path / "log/each-seconds.json")


@pytest.mark.parametrize("commands", [["false", "echo later"], ["false & echo later"]], ids=str)
def test_a_failure_stops_no_other_command_and_fails_the_run(commands, capfd):
    assert each.main(commands) == 1
    said = capfd.readouterr().out
    assert "== echo later\nlater\n" in said
    assert re.search(r"\n\nfalse: FAILED, 0 s\necho later: passed, 0 s\nall: 0 s\n$", said)
    assert each.main([" & ".join(["true"] * len(commands))]) == 0


def test_together_is_not_one_after_the_other(capfd):
    begun = time.monotonic()
    sleep = f"sh -c 'echo begun; sleep {SLEEP_S}; echo ended'"
    assert each.main([" & ".join([sleep] * 4)]) == 0
    assert time.monotonic() - begun < 4 * SLEEP_S
    assert capfd.readouterr().out.count("begun\nended\n") == 4


def test_parts_of_a_command_are_shown_below_it(capfd):
    assert each.main(["sh -c 'echo one: 3 s >>$EACH_DETAILS'", "true"]) == 0
    assert "passed, 0 s\n  one: 3 s\ntrue: passed" in capfd.readouterr().out


def test_a_run_in_a_run_tells_its_parts(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv(each.DETAILS, str(tmp_path / "details"))
    each.main(["true", "false"])
    assert (tmp_path / "details").read_text() == "true: passed, 0 s\nfalse: FAILED, 0 s\n"


def test_a_group_ends_before_what_comes_after_it(capfd):
    assert each.main(["echo first", "sh -c 'sleep 0.2; echo second' & true", "echo third"]) == 0
    said = capfd.readouterr().out
    assert said.index("first\n") < said.index("\nsecond\n") < said.index("\nthird\n")


def test_estimate():
    known = {"a": 60, "b": 120}
    assert each._estimate([["a"], ["b"]], known) == "about 3 min"
    assert each._estimate([["a", "b"]], known) == "about 2 min"
    assert each._estimate([["a"], ["c"]], known) == "about 1 min, and 1 that did not run here yet"
    assert each._estimate([["c"]], known) == "no earlier run to estimate from"


def test_only_what_passed_is_known(capfd):
    each.main(["true", "false"])
    assert each._known() == {"true": 0}
