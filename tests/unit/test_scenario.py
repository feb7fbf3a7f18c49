# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/scenario.py knows of Molecule's sequence, and says of a run."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECAP = "web : ok=3    changed={}    unreachable=0    failed=0\n"


@pytest.fixture(scope="module")
def scenario():
    spec = importlib.util.spec_from_file_location("scenario", ROOT / "tools/scenario.py")
    sys.modules["scenario"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scenario"]


def test_steps_are_those_of_molecule(scenario):
    config = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text())
    shared = config["scenario"]["test_sequence"]
    assert [step.action for step in scenario.STEPS if not step.optional] == shared
    files = [yaml.safe_load(path.read_text()) for path in ROOT.glob("molecule/*/molecule.yml")]
    own = [file["scenario"]["test_sequence"] for file in files if "scenario" in file]
    assert own and all(sequence == [step.action for step in scenario.STEPS] for sequence in own)


@pytest.mark.parametrize(
    ("name", "output", "problem"),
    [
        ("converge", RECAP.format(2), None),
        ("check converged", RECAP.format(0), None),
        ("check converged", RECAP.format(1), "must change nothing, but changes web"),
        ("check converged", "", "ran on no host"),
        ("absent again", RECAP.format(1), "must change nothing, but changes web"),
    ],
)
def test_what_must_change_nothing(scenario, tmp_path, name, output, problem):
    (tmp_path / "absent.yml").touch()
    (step,) = (step for step in scenario.STEPS if step.name == name)
    took = []
    if problem:
        with pytest.raises(scenario.Failure, match=problem):
            scenario.Scenario(tmp_path, keep=False)._ended(step, output, 0.0, took)
    else:
        scenario.Scenario(tmp_path, keep=False)._ended(step, output, 0.0, took)
    assert [name for name, _ in took] == [step.name]


def test_estimate(scenario):
    known = {"long": 600, "short": 60}
    assert scenario._estimate(known, known, jobs=2) == "about 10 min left"
    assert scenario._estimate(["short", "short", "new"], known, jobs=1) == "about 3 min left"
    assert scenario._estimate(["new"], known, jobs=2) == "no earlier run to estimate from"


def test_each_scenario_has_a_line_in_the_table_of_all_rings(scenario, monkeypatch, tmp_path):
    monkeypatch.setenv("EACH_DETAILS", str(tmp_path / "details"))
    short = scenario.Outcome("short", 3.0, "verify failed with exit code 2", (("verify", 2.0),), "")
    long = scenario.Outcome("long", 60.0, None, (("converge", 40.0), ("verify", 19.0)), "")
    scenario._tell([short, long])
    assert (tmp_path / "details").read_text().splitlines() == [
        "long: passed, 60 s",
        "short: verify failed with exit code 2, 3 s",
        "slowest steps: long converge 40 s, long verify 19 s, short verify 2 s",
    ]


def test_when_a_scenario_that_runs_by_name_only_last_passed_is_told(scenario, monkeypatch, tmp_path):
    monkeypatch.setattr(scenario, "LAST_PASSED", tmp_path / "last_passed.json")
    monkeypatch.setattr(scenario, "BY_NAME_ONLY", ("driver", "vllm"))
    monkeypatch.setattr(scenario, "_sources", lambda: "before")
    scenario._record("vllm")
    today = scenario.datetime.date.today()
    never = "by name only: driver (no run that passed is known), "
    assert scenario._by_name_only() == f"{never}vllm (passed on {today})"
    monkeypatch.setattr(scenario, "_sources", lambda: "after")
    assert scenario._by_name_only() == f"{never}vllm (passed on {today}, before later changes of plugins or roles)"


def test_sources_are_those_of_plugins_and_roles(scenario, monkeypatch, tmp_path):
    monkeypatch.setattr(scenario, "ROOT", tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "tests").mkdir()
    before = scenario._sources()
    (tmp_path / "tests/new.py").touch()
    assert scenario._sources() == before
    (tmp_path / "plugins/new.py").touch()
    assert scenario._sources() != before
