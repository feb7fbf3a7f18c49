# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/scenario.py knows of Molecule's sequence, and says of a run."""

from __future__ import annotations

import datetime
import importlib.util
import json
import pathlib
import sys
import types

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


def test_the_verdict_names_the_task_that_failed(scenario):
    output = "[ERROR]: Task failed: as it has to\nfatal: [a]\n...ignoring\n[ERROR]: Task failed: no disk\nfatal: [a]\n"
    assert scenario._why(output) == ": Task failed: no disk"
    assert scenario._why("PLAY RECAP\n") == ""


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


class Hosts:
    """A group of hosts that is simulated: each answers with a text."""

    def __init__(self, *answers):
        self.answers = answers

    def __call__(self, engine, name):
        return self

    def ask(self, program):
        assert "os-release" in program
        return [(types.SimpleNamespace(name="one", suite="trixie"), answer) for answer in self.answers]


def test_hosts_are_asked_what_they_run(scenario, monkeypatch, tmp_path, capsys):
    answer = {"distribution": {"id": "debian", "name": "", "version": "13"}, "ledger": [], "environments": False}
    monkeypatch.setattr(scenario, "engine", lambda: None)
    monkeypatch.setattr(scenario, "Group", Hosts(json.dumps({**answer, "packages": [["haproxy", "3.0", ""]]})))
    (found,) = scenario.Scenario(tmp_path, keep=False)._what_runs()
    assert (found["runs"], found["components"]) == ("Debian 13", {"HAProxy": {"version": "3.0", "simulated": False}})
    monkeypatch.setattr(scenario, "Group", Hosts("OCI runtime exec failed"))
    assert scenario.Scenario(tmp_path, keep=False)._what_runs() is None
    assert "not recorded, for a host did not say what it runs" in capsys.readouterr().out


def test_when_a_scenario_that_runs_by_name_only_last_passed_is_told(scenario, monkeypatch, tmp_path):
    monkeypatch.setattr(scenario.runs, "NOTES", tmp_path / "notes")
    monkeypatch.setattr(scenario.runs, "RECORDS", tmp_path / "runs.json")
    monkeypatch.setattr(scenario, "BY_NAME_ONLY", ("driver", "vllm"))
    monkeypatch.setattr(scenario.runs, "sources", lambda: "before")
    scenario.runs.note("molecule/vllm")
    today = datetime.date.today()
    never = "by name only: driver (no run that passed is noted), "
    assert scenario._by_name_only() == f"{never}vllm (passed on {today})"
    monkeypatch.setattr(scenario.runs, "sources", lambda: "after")
    assert scenario._by_name_only() == f"{never}vllm (passed on {today}, before later changes of plugins or roles)"
