# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/performance-log-shipper.md says of what was measured, and what a host counts."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))

import log_shipper
import log_shipper_host

PLAIN = log_shipper.Load(50_000.0, 1.0)


@pytest.mark.parametrize(("rate", "cells"), [(40_000.0, ["0.80×", "yes |"]), (39_000.0, ["0.78×", "**no** |"])])
def test_a_target_is_reached_or_missed(rate, cells):
    ours = log_shipper.Load(rate, 2.5)
    loads = {
        (provider, kind, name): ours if name == log_shipper.OURS else PLAIN
        for provider in log_shipper.PROVIDERS
        for kind in log_shipper.KINDS
        for name in log_shipper.UNITS
    }
    found = log_shipper.Found({"rsyslog": "8.2504.0", "syslog_ng": "4.8.1"}, 1000, 3, loads, {"rsyslog": 12.4}, 0.5)
    lines = log_shipper.page(found).splitlines()
    assert [line.split(" | ")[1:] for line in lines if "at least" in line] == [cells] * 4
    assert f"| `rsyslog` 8.2504.0, lines of text, the role's | {rate:,.0f} | 2.50 s |" in lines
    assert "| `rsyslog` | 12 MiB |" in lines


@pytest.mark.parametrize("kind", log_shipper.KINDS)
def test_each_line_has_one_mark_and_its_number(capsys, kind):
    log_shipper_host.lines(kind, "20")
    said = capsys.readouterr().out.splitlines()
    marked = [line.count(log_shipper_host.MARK.decode()) for line in said]
    assert marked == [1] * 20
    if kind == "json":
        assert [json.loads(line)["request_id"] for line in said] == [f"req-bench-{n}" for n in range(20)]
        assert sum("prompt" in json.loads(line) for line in said) == 2
