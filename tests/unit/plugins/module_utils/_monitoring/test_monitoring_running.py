# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What recorded answers of three releases tell of files that are not those that run."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring import (
    exposition,
    info,
    program,
    readable,
    running,
)
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring import plan as plans
from ansible_collections.mlops.hosts.tests.unit.fakes import Told

from .support import ALERTMANAGER, PROMETHEUS, RELEASES, plan, recorded

each_release = pytest.mark.parametrize("release", RELEASES)


@pytest.fixture(autouse=True)
def open_to_all(monkeypatch):
    """Directories of tests are those of one user."""
    monkeypatch.setattr(readable, "obstacle", lambda _directory, _user: None)


def sentences(*args):
    return [problem.sentence for problem in running.found(*args)]


@each_release
def test_all_is_well(release, tmp_path):
    assert running.found(plan(tmp_path), recorded(release)) == []


class TestRules:
    @each_release
    def test_one_that_fails_when_it_is_evaluated_is_told(self, release, tmp_path):
        at = str(tmp_path / "config.yml")
        found = running.found(plan(tmp_path, groups=["test"]), recorded(release, rules_at=at))
        assert {problem.may_end for problem in found} == {False}
        begin = f"Rule fails of {at} cannot be evaluated: found duplicate series for the match group"
        assert [one.sentence.startswith(begin) for one in found] == [True]

    @each_release
    def test_one_that_was_not_evaluated_yet_is_waited_for(self, release, tmp_path):
        at = str(tmp_path / "config.yml")
        fetch = recorded(release, rules="rules_unevaluated", rules_at=at)
        found = running.found(plan(tmp_path, groups=["test"]), fetch)
        assert {problem.may_end for problem in found} == {True}
        assert found[0].sentence == f"Rule Always of {at} has not been evaluated yet"

    @each_release
    def test_one_of_a_slow_group_is_not(self, release, tmp_path):
        fetch = recorded(release, rules="rules_unevaluated", rules_at=str(tmp_path / "config.yml"))
        url = f"{PROMETHEUS}/api/v1/rules"
        fetch.answers[url] = fetch.answers[url].replace('"interval":2,', '"interval":180,')
        assert running.found(plan(tmp_path, groups=["test"]), fetch) == []

    @each_release
    def test_a_group_that_is_not_loaded_is_told(self, release, tmp_path):
        at = str(tmp_path / "config.yml")
        assert sentences(plan(tmp_path, groups=["other"]), recorded(release, rules_at=at)) == [
            f"Prometheus must have rule group other of {at}, and has not loaded it"
        ]


@each_release
def test_a_target_that_is_not_known_is_told(release, tmp_path):
    found = running.found(plan(tmp_path, targets={"node": ["127.0.0.1:9100", "gone:9100"]}), recorded(release))
    assert [(one.sentence, one.may_end) for one in found] == [
        ("Prometheus must scrape gone:9100 as job node, and does not know them", True)
    ]


@each_release
@pytest.mark.parametrize("part", ["prometheus", "alertmanager"])
def test_files_that_were_refused_make_their_unit_stale(release, part, tmp_path):
    (problem,) = running.found(plan(tmp_path), recorded(release, **{part: "metrics_refused"}))
    assert problem.stale == f"mlops-{part}.service"
    assert problem.sentence.startswith(f"{part} has refused the files on disk and runs earlier ones")


@each_release
def test_a_file_that_is_newer_than_what_runs_makes_its_unit_stale(release, tmp_path):
    whole, at = plan(tmp_path), str(tmp_path / "config.yml")
    os.utime(at, (4e9, 4e9))
    found = running.found(whole, recorded(release))
    assert [problem.stale for problem in found] == ["mlops-prometheus.service", "mlops-alertmanager.service"]
    assert found[1].sentence == f"{at} came after what alertmanager runs: systemctl reload mlops-alertmanager.service"


def test_a_file_that_is_gone_is_told(tmp_path):
    whole = plan(tmp_path)
    gone = dataclasses.replace(whole.alertmanager, config=f"{tmp_path}/gone.yml")
    (sentence,) = sentences(dataclasses.replace(whole, alertmanager=gone), recorded("trixie"))
    assert sentence == f"{tmp_path}/gone.yml must be there for alertmanager to read: No such file or directory"


def test_a_part_that_does_not_answer_may_still_start(tmp_path):
    fetch = recorded("trixie")
    fetch.answers[f"{PROMETHEUS}/-/ready"] = (503, "Service Unavailable")
    del fetch.answers[f"{ALERTMANAGER}/-/ready"]
    found = running.found(plan(tmp_path), fetch)
    assert [problem.may_end for problem in found] == [True, True]
    assert "must answer with status 200, not 503: Service Unavailable" in found[0].sentence
    assert found[1].sentence.endswith("journalctl -u mlops-alertmanager.service says why")


def test_another_program_on_the_port_is_told(tmp_path):
    fetch = recorded("trixie")
    fetch.answers.update({f"{ALERTMANAGER}/metrics": "up 1\n", "http://127.0.0.1:9100/metrics": "up 1\n"})
    exporter, alertmanager = sentences(plan(tmp_path), fetch)
    assert "must be the node_exporter of mlops-node-exporter.service" in exporter
    assert "/metrics must be that of alertmanager" in alertmanager


def test_what_is_no_prometheus_is_told(tmp_path):
    fetch = recorded("trixie")
    fetch.answers[f"{PROMETHEUS}/api/v1/rules"] = "<html>"
    with pytest.raises(HostError, match="must answer as Prometheus does, and said: <html>"):
        running.found(plan(tmp_path), fetch)


def test_a_textfile_directory_that_is_closed_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(readable, "obstacle", lambda directory, user: f"/srv of {directory} for {user}")
    (sentence,) = sentences(plan(tmp_path), recorded("trixie"))
    assert sentence.startswith(f"User root must be able to read {tmp_path}, and /srv of {tmp_path} for root keeps it")


class TestWaiting:
    def test_it_ends_when_the_part_has_started(self, tmp_path):
        fetch, slept = recorded("trixie"), []
        ready = fetch.answers.pop(f"{PROMETHEUS}/-/ready")

        def sleep(_s):
            slept.append(1)
            fetch.answers[f"{PROMETHEUS}/-/ready"] = ready

        assert running.problems(plan(tmp_path), fetch, 9, clock=lambda: 0, sleep=sleep) == []
        assert slept == [1]

    def test_it_ends_with_the_time(self, tmp_path):
        fetch, times = recorded("trixie"), iter([0, 1, 10])
        del fetch.answers[f"{PROMETHEUS}/-/ready"]
        found = running.problems(plan(tmp_path), fetch, 9, clock=lambda: next(times), sleep=lambda _s: None)
        assert len(found) == 1

    def test_nothing_is_waited_for_where_something_lasts(self, tmp_path):
        fetch = recorded("trixie", alertmanager="metrics_refused")
        del fetch.answers[f"{PROMETHEUS}/-/ready"]
        (sentence,) = running.problems(plan(tmp_path), fetch, 9, clock=lambda: 0, sleep=pytest.fail)
        assert sentence.startswith("alertmanager has refused")


@each_release
def test_targets_that_are_down_and_files_that_are_not_read_are_noted(release, tmp_path):
    fetch = recorded(release)
    answer = json.loads(fetch.answers[f"{PROMETHEUS}/api/v1/targets?state=active"])
    answer["data"]["activeTargets"][0].update(health="down", lastError="refused")
    fetch.answers[f"{PROMETHEUS}/api/v1/targets?state=active"] = json.dumps(answer)
    (tmp_path / "bad.prom").touch()
    unread, down = running.notes(plan(tmp_path), fetch)
    assert unread.startswith(f"{tmp_path}/bad.prom is not read by node_exporter")
    assert down.endswith("is down: refused")


@each_release
def test_files_that_are_read_are_not_noted(release):
    text = recorded(release).answers["http://127.0.0.1:9100/metrics"]
    assert exposition.value(text, "node_textfile_scrape_error") == 1
    assert exposition.labels(text, "node_textfile_mtime_seconds", "file") == [
        "/var/lib/node_exporter/textfile_collector/good.prom"
    ]


class TestInfo:
    def test_of_a_host_without_monitoring(self, tmp_path):
        nothing = {"parts": [], "stale": [], "problems": [], "notes": []}
        assert info.collect(recorded("trixie"), str(tmp_path / "plan.json")) == nothing

    def test_of_one_with_it(self, tmp_path):
        (tmp_path / "plan.json").write_text(plan(tmp_path).text())
        found = info.collect(recorded("trixie", alertmanager="metrics_refused"), str(tmp_path / "plan.json"))
        assert found["parts"] == ["node_exporter", "prometheus", "alertmanager"]
        assert found["stale"] == ["mlops-alertmanager.service"] and len(found["problems"]) == 1

    @pytest.mark.parametrize("text", ["{", "[]", '{"nobody": {}}', '{"alertmanager": {"url": 1}}'])
    def test_a_plan_that_is_none_is_refused(self, text):
        with pytest.raises(HostError, match="p must be as the role monitoring writes it"):
            plans.read(text, "p")


class TestProgram:
    def test_it_says_what_is_wrong(self, tmp_path, capsys):
        (tmp_path / "plan.json").write_text(plan(tmp_path).text())
        argv = ["--plan", f"{tmp_path}/plan.json", "check"]
        assert program.main(argv, fetch=recorded("trixie", alertmanager="metrics_refused")) == 1
        assert "alertmanager has refused" in capsys.readouterr().err

    def test_it_reloads_what_is_stale_when_it_is_told_to(self, tmp_path):
        (tmp_path / "plan.json").write_text(plan(tmp_path).text())
        run = Told({("systemctl", "reload", "mlops-alertmanager.service"): ""})
        argv = ["--plan", f"{tmp_path}/plan.json", "check", "--repair"]
        assert program.main(argv, run=run, fetch=recorded("trixie", alertmanager="metrics_refused")) == 1
        assert run.calls == [("systemctl", "reload", "mlops-alertmanager.service")]

    def test_a_host_that_is_right_gets_notes_alone(self, tmp_path, capsys):
        (tmp_path / "plan.json").write_text(plan(tmp_path).text())
        (tmp_path / "bad.prom").touch()
        assert program.main(["--plan", f"{tmp_path}/plan.json", "check"], fetch=recorded("trixie")) == 0
        said = capsys.readouterr()
        assert "bad.prom is not read" in said.out and said.err == ""

    def test_a_reload_is_for_units(self, tmp_path, capsys, monkeypatch):
        monkeypatch.delenv("MAINPID", raising=False)
        (tmp_path / "plan.json").write_text(plan(tmp_path).text())
        assert program.main(["--plan", f"{tmp_path}/plan.json", "reload", "prometheus"]) == 1
        assert "run systemctl reload mlops-prometheus.service" in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"[]", b"", b"\xff\x00"])
def test_a_plan_that_is_damaged_is_a_sentence(tmp_path, capsys, raw):
    (tmp_path / "plan.json").write_bytes(raw)
    assert program.main(["--plan", f"{tmp_path}/plan.json", "check"], fetch=recorded("trixie")) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path}/plan.json must be as the role monitoring writes it, and is not (")
    assert said.endswith("); run the role\n")
