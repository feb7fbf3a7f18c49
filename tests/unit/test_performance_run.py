# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole run of benchmarks/ in which nothing runs: what is run how often, on which hosts, in which order."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import engine
import fleet
import measure
import run
import stack


class Machine:
    """Takes the place of ansible-playbook and of test hosts."""

    def __init__(self, folder):
        self.folder = folder
        self.plays, self.verbs = [], []

    def play(self, play, program):
        self.plays.append((play.name, play.options, play.must_change))
        if "count_forks.py" in str(program[1:2]):
            counts = {"forks": {"host01": 3}, "round_trips": {"host01": 2}, "tasks": {}, "cpu": {}}
            cpu = dict.fromkeys(("main", "workers", "commands"), 0.1)
            (self.folder / "counts.json").write_text(json.dumps({**counts, "cpu": cpu}))

    def hosts(self, *argv, stdin=None):
        names = [host["name"] for host in json.loads(stdin)] if stdin and stdin.startswith('[{"') else []
        self.verbs.append((argv[0], *names))
        return ""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path)
    for module in (measure, engine, fleet, stack, run):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    for module in (engine, stack):
        monkeypatch.setattr(module, "hosts", made.hosts)
    monkeypatch.setattr(measure.Play, "_run", lambda play, program: made.play(play, program))
    monkeypatch.setattr(stack, "_make_models", lambda: None)
    monkeypatch.setattr(stack, "_vars", lambda names: {"names": names})
    monkeypatch.setattr(stack, "_of_repositories", dict)
    monkeypatch.setattr(fleet, "_check_out", lambda commit, folder: True)
    monkeypatch.setattr(measure.Play, "cost", cost)
    (tmp_path / "peers" / fleet.PEER).mkdir(parents=True)
    return made


def cost(play):
    play.run()
    return measure.Cost(1.0, 1.0) if play.name == "empty" else measure.Cost(3.0, 2.0)


def ran(machine, *arguments):
    out = machine.folder / "out"
    assert run.main([f"--out={out}", f"--peers={machine.folder / 'peers'}", *arguments]) == 0
    return (out / "performance.md").read_text()


def test_a_whole_run_measures_all_and_writes_the_page(machine):
    text = ran(machine, "--most-hosts=5", "--most-rounds=1")
    assert "`geerlingguy.docker`" in text and "not measured" in text
    names = {name for name, _options, _must_change in machine.plays}
    assert names >= {"empty", "plain", "component", "facts", "site", "peer", "audit", "role", "differ", "first"}
    assert (machine.folder / "out" / "performance.svg").exists()


def test_a_first_change_can_be_left_out_and_the_page_says_so(machine):
    text = ran(machine, "--most-hosts=5", "--most-rounds=1", "--no-first-change")
    assert "Left out of this run, by `--no-first-change`." in text
    assert not any(name.startswith("first") for name, _options, _must_change in machine.plays)


def test_many_hosts_start_from_an_image_of_the_first(machine):
    ran(machine, "--most-hosts=5", "--most-rounds=1")
    ups = [verb for verb in machine.verbs if verb[0] == "up"]
    assert ("up", "loghost", "host01") in ups and ("up", "host02", "host03", "host04", "host05") in ups
    order = [verb[0] for verb in machine.verbs]
    assert order.count("snapshot") == 2 and order[-3:] == ["down", "forget", "forget"]


def test_a_first_change_has_a_host_of_its_own_each_time(machine):
    assert run.main(["--first-changes=2"]) == 0
    first = [options[0] for name, options, _must_change in machine.plays if name.startswith("first")]
    assert first == [f"--limit=fresh{number}" for number in range(1, 5)]


def test_a_difference_is_made_before_each_run_and_none_is_left(machine):
    ran(machine, "--most-hosts=1", "--most-rounds=2")
    plays = [(name, must_change) for name, _options, must_change in machine.plays]
    begun = plays.index(("differ", True))
    changes = [("differ", True), ("site", True), ("differ", True), ("role", True)]
    assert plays[begun : begun + 4] == changes
    assert plays[-1] == ("site", False)


def test_hosts_are_removed_when_a_play_fails(machine, monkeypatch):
    def fail(play, program):
        machine.play(play, program)
        if play.name == "site":
            raise SystemExit("bench: site exited with status 2")

    monkeypatch.setattr(measure.Play, "_run", fail)
    with pytest.raises(SystemExit):
        ran(machine)
    assert machine.verbs[-3:] == [("down",), ("forget",), ("forget",)]
