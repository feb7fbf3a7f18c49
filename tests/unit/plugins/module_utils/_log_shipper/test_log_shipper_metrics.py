# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._log_shipper import metrics, program

DATA = pathlib.Path(__file__).parents[3] / "data/rsyslog"
# Recorded: impstats of rsyslog 8.2302 with a sink that is down and a buffer of 1 MiB, 3010 lines.
RECORDED = """\
{ "name": "global", "origin": "dynstats", "values": { } }
{ "name": "mlops_stats", "origin": "core.action", "processed": 20, "failed": 0, "suspended": 0, "suspended.duration": 0, "resumed": 0 }
{ "name": "TCP-127.0.0.1-7009", "origin": "omfwd", "bytes.sent": 0 }
{ "name": "mlops_sink_a", "origin": "core.action", "processed": 4, "failed": 0, "suspended": 1, "suspended.duration": 12, "resumed": 0 }
{ "name": "resource-usage", "origin": "impstats", "utime": 96068, "stime": 84185, "maxrss": 8704, "minflt": 931, "majflt": 0 }
{ "name": "imjournal", "origin": "imjournal", "submitted": 3010, "read": 3010, "discarded": 0, "failed": 0, "rotations": 1 }
{ "name": "mlops_sink_a[DA]", "origin": "core.queue", "size": 946, "enqueued": 2994, "full": 2048, "discarded.full": 2048, "discarded.nf": 0 }
{ "name": "mlops_sink_a", "origin": "core.queue", "size": 12, "enqueued": 3010, "full": 4, "discarded.full": 4, "discarded.nf": 0 }
"""  # noqa: E501


def page(text):
    counters = metrics.Counters()
    for line in text.splitlines():
        counters.take(line)
    return counters.page()


def test_what_rsyslog_counts_becomes_metrics():
    assert [line for line in page(RECORDED).splitlines() if not line.startswith("#")] == [
        "mlops_log_shipper_read_lines_total 3010",
        'mlops_log_shipper_buffered_lines{sink="a"} 958',
        'mlops_log_shipper_dropped_lines_total{sink="a"} 2052',
        'mlops_log_shipper_sink_suspended_seconds_total{sink="a"} 0',
        'mlops_log_shipper_failed_lines_total{sink="a"} 0',
    ]


def test_later_values_replace_earlier_ones_and_nonsense_is_left_out():
    again = page(RECORDED + RECORDED.replace("3010", "6000") + "nonsense\n[]\n{}\n")
    assert "mlops_log_shipper_read_lines_total 6000\n" in again
    assert page("") == ""


def test_each_metric_has_help_and_a_type_once():
    lines = page(RECORDED).splitlines()
    assert len([line for line in lines if line.startswith("# TYPE ")]) == 5
    assert len([line for line in lines if line.startswith("# HELP ")]) == 5


def reports(*rows):
    """The counter of a sink after reports of its action and its queues, 15 s apart: processed, and what waits."""
    seconds = iter(range(100, 1000, 15))
    counters = metrics.Counters(clock=lambda: next(seconds))
    for processed, *sizes in rows:
        counters.take(json.dumps({"name": "mlops_sink_a", "origin": "core.action", "processed": processed}))
        for name, size in zip(("mlops_sink_a", "mlops_sink_a[DA]"), sizes):
            counters.take(json.dumps({"name": name, "origin": "core.queue", "size": size}))
    return next(float(line.split()[-1]) for line in counters.page().splitlines() if "suspended_seconds_total{" in line)


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        pytest.param([(9, 3)], 0, id="it has just begun"),
        pytest.param([(9, 3), (9, 3), (9, 40), (9, 40)], 45, id="it takes none of what waits"),
        pytest.param([(9, 3), (9, 3), (12, 0), (12, 0)], 15, id="it takes some again"),
        pytest.param([(9, 0), (9, 0), (9, 0)], 0, id="nothing waits"),
        pytest.param([(9, 0), (9, 3)], 0, id="lines came after the last report"),
        pytest.param([(9, 40), (20, 40), (31, 40)], 0, id="it is slow"),
        pytest.param([(9, 0, 7), (9, 0, 7)], 15, id="what waits is on disk"),
    ],
)
def test_a_sink_that_takes_nothing_is_told_by_what_waits_and_is_not_processed(rows, seconds):
    assert reports(*rows) == seconds


def test_a_sink_that_was_down_is_told_from_a_recording():
    """rsyslog 8.2504 with omrelp, nobody at the other end and three lines: its own counters of that stay 0."""
    seconds = iter(range(0, 1000, 5))
    counters = metrics.Counters(clock=lambda: next(seconds))
    recorded = (DATA / "8.2504/impstats_down.txt").read_text()
    for line in recorded.splitlines():
        counters.take(line)
    assert '"suspended": 0, "suspended.duration": 0' in recorded and '"suspended": 1' not in recorded
    assert 'mlops_log_shipper_buffered_lines{sink="relp"} 3\n' in counters.page()
    assert 'mlops_log_shipper_sink_suspended_seconds_total{sink="relp"} 65\n' in counters.page()


def test_the_program_keeps_a_page_of_what_it_is_told(tmp_path, monkeypatch):
    plan, target = tmp_path / "plan.json", tmp_path / "metrics.prom"
    plan.write_text(json.dumps({"unit": "u", "receipts": "", "complaints": "", "lines": [], "arrivals": [],
                                "certificates": [], "state": "", "sinks": []}))  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.StringIO(RECORDED))
    assert program.main(["--plan", str(plan), "metrics", "--to", str(target)]) == 0
    assert target.read_text() == page(RECORDED)
    assert f"{target.stat().st_mode & 0o777:o}" == "644"
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("plan.json", "metrics.prom")] == []


def test_a_large_counter_is_exact():
    counters = metrics.Counters()
    counters.take('{"name": "imjournal", "origin": "imjournal", "read": 1234567}')
    assert counters.page().splitlines()[-1] == "mlops_log_shipper_read_lines_total 1234567"


@pytest.mark.parametrize(
    ("version", "read", "buffered", "dropped"), [("8.2504", 10034, 1336, 8665), ("8.2608", 12828, 11391, 1309)]
)
def test_each_version_of_rsyslog_is_understood(version, read, buffered, dropped):
    """Recorded with a sink that was down: what waits and what was dropped is all that came to its queue."""
    text = (DATA / version / "impstats.txt").read_text()
    queued = [json.loads(line) for line in text.splitlines()]
    (all_lines,) = [row["enqueued"] for row in queued if row["name"] == "mlops_sink_small" and "enqueued" in row]
    assert buffered + dropped == all_lines
    assert [line for line in page(text).splitlines() if not line.startswith("#")] == [
        f"mlops_log_shipper_read_lines_total {read}",
        f'mlops_log_shipper_buffered_lines{{sink="small"}} {buffered}',
        f'mlops_log_shipper_dropped_lines_total{{sink="small"}} {dropped}',
        'mlops_log_shipper_sink_suspended_seconds_total{sink="small"} 0',
        'mlops_log_shipper_failed_lines_total{sink="small"} 0',
    ]
