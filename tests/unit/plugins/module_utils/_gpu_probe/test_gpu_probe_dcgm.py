# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnostics of DCGM as they are printed. No real run could be recorded here: the texts of DCGM 4 are those of the
fake, which follows its source, and that of DCGM 3 is typed after one that a user reported."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_probe import dcgm
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fake_gpu_host import FakeGpuHost
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu_probe.support import Clock, load


@pytest.fixture
def host(tmp_path, monkeypatch):
    return FakeGpuHost(tmp_path, monkeypatch, "h100x8")


def test_all_pass(host):
    found = dcgm.diagnose(load(host), 3, timeout_s=600)
    assert {test.name: test.status for test in found.tests} == {
        "software": "passed",
        "pcie": "passed",
        "memory": "passed",
        "diagnostic": "passed",
        "targeted_stress": "passed",
        "targeted_power": "passed",
    }
    assert not found.has_failed


def test_the_gpu_that_fails_is_named(host):
    host.control("set", "--gpu", "2", "uncorrected=3")
    found = dcgm.diagnose(load(host), 2, timeout_s=600)
    (memory,) = (test for test in found.tests if test.status == "failed")
    assert memory.name == "memory" and memory.messages[0].startswith("GPU 2 ")
    assert found.has_failed and found.problem is None


def test_dcgm_3_has_texts_and_no_summary():
    results = [{"gpu_id": "0", "status": "Pass"}, {"gpu_id": "1", "status": "Fail", "warnings": "It is too hot."}]
    tests = [{"name": "PCIe", "results": results}, {"name": "EUD Test", "results": [{"gpu_id": "0", "status": "Skip"}]}]
    told = {"DCGM GPU Diagnostic": {"test_categories": [{"category": "Integration", "tests": tests}]}}
    found = dcgm.parse(json.dumps(told))
    assert found.tests == (dcgm.Test("PCIe", "failed", ("It is too hot.",)), dcgm.Test("EUD Test", "skipped"))


def test_a_warning_is_a_failure_and_words_around_the_document_are_none():
    told = {"DCGM Diagnostic": {"test_categories": [{"tests": [{"name": "pcie", "results": [{"status": "Warn"}]}]}]}}
    assert dcgm.parse(f"Running.\n{json.dumps(told)}\nDone.").tests == (dcgm.Test("pcie", "failed"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"DCGM Diagnostic": {"runtime_error": "Error: it is busy.", "version": "4.6.0"}}', "it is busy"),
        ('{"DCGM Diagnostic": {"test_categories": null}}', "ran no test"),
        ('{"DCGM Diagnostic": {"test_categories": [{"tests": [', "not its JSON"),
        ("{}", "not its JSON"),
        ('{"DCGM Diagnostic": []}', "not its JSON"),
    ],
)
def test_what_is_not_whole_has_failed(text, says):
    found = dcgm.parse(text)
    assert says in str(found.problem) and found.has_failed


def test_a_daemon_that_does_not_run_is_told_from_a_failure():
    said = "Error: unable to establish a connection to the specified host: localhost\n"
    found = dcgm.diagnose(load(lambda *argv, **_more: Completed(argv, 255, said, "")), 2, timeout_s=600)
    assert found.no_engine


def test_what_does_not_end_has_failed(host):
    found = dcgm.diagnose(load(host, takes_s=700), 2, timeout_s=600)
    assert found.problem == "dcgmi did not end within 600 s"


def test_a_crash_is_told_with_its_last_words():
    found = dcgm.diagnose(load(lambda *argv, **_more: Completed(argv, 139, "", "it crashed")), 2, timeout_s=600)
    assert found.problem == "dcgmi exited with status 139: it crashed"


@pytest.mark.parametrize(("for_s", "rounds"), [(0, 1), (150, 2), (3600, 3)])
def test_runs_are_repeated_for_a_time_within_the_limit(host, for_s, rounds):
    clock = Clock()
    found = dcgm.repeat(load(host, takes_s=100, clock=clock), 3, for_s=for_s, timeout_s=350, clock=clock)
    assert (found.rounds, found.has_failed) == (rounds, False)
    assert clock.now - 1000 <= 350


def test_no_run_follows_one_that_failed(host):
    host.control("set", "--gpu", "2", "uncorrected=3")
    clock = Clock()
    assert dcgm.repeat(load(host, clock=clock), 3, for_s=1e6, timeout_s=1e7, clock=clock).rounds == 1
