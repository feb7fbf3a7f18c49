# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue is what the tool makes of its facts, and facts that do not fit together are refused."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest

from tools import gpu_event_catalogue as tool


def test_what_is_committed_is_what_the_tool_writes():
    facts = tool.facts()
    written = tool.catalogue(facts)
    argv = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "catalogue.py", "-"]
    formatted = subprocess.run(argv, input=written, capture_output=True, text=True, check=True).stdout
    assert formatted == tool.CATALOGUE.read_text(), "run tools/gpu_event_catalogue.py"
    page = tool.PAGE.read_text()
    assert tool.page(page, facts) == page, "run tools/gpu_event_catalogue.py"


def changed(name, row, **more):
    facts = copy.deepcopy(tool.facts())
    facts[name][row].update(more)
    return facts


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (("xids", 0, {"bucket": "REPLACE"}), "Xid 1 has the bucket 'REPLACE'"),
        (("xids", 1, {"code": "1"}), "has a code twice"),
        (("xids", 0, {"kind": "gpu"}), "xids.csv: the kind must be one of application, driver, hardware, fabric"),
        (("xids", 12, {"kind": "hardware", "bucket": "RESET_GPU"}), "Xid 13 is a fault of hardware"),
        (("unnumbered", 0, {"kind": "gpu"}), "unnumbered.csv: the kind must be one of"),
        (("sxids", 0, {"severity": "fatal"}), "sxids.csv: the severity must be one of"),
        (("buckets", 0, {"bucket": "OTHER"}), "no row of xids.csv has the bucket OTHER"),
        (("sources", 0, {"version": None}), "sources.csv has a row of another length"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts, says):
    with pytest.raises(tool.Problem, match=says):
        tool.check(changed(facts[0], facts[1], **facts[2]))


def test_a_page_without_marks_is_refused():
    with pytest.raises(tool.Problem, match="has no marks of the catalogue"):
        tool.page("# GPUs", tool.facts())
