# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a program that refuses a file: why, and not what it says each time."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

DATA = pathlib.Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(
    ("recorded", "begin", "never"),
    [
        (
            "rsyslog/8.2504/refused.txt",
            "rsyslogd: could not load module 'omelasticsearch', errors: ",
            "Check error log",
        ),
        (
            "syslog-ng/4.8.1/refused.txt",
            "Error parsing log statement, syntax error, unexpected LL_IDENTIFIER, expecting '}' in ",
            "documentation",
        ),
    ],
)
def test_the_reason_comes_first(recorded, begin, never):
    reason = Completed(("check",), 1, "", (DATA / recorded).read_text()).reason
    assert reason.startswith(begin)
    assert never not in reason


def test_it_is_said_at_what_of_the_file_syslog_ng_stopped():
    """What it does not know is there, and no package is named: that of the module for http was not whole."""
    said = (DATA / "syslog-ng/4.8.1/refused_module.txt").read_text()
    assert Completed(("check",), 1, "", said).reason.endswith(
        ' | http(url("http://loghost:8080/_bulk") method("POST") workers(1) timeout(30) retr'
    )


def test_a_headline_is_no_reason():
    """promtool 2.42 and later."""
    said = (
        '  FAILED:\n/tmp/x/bad.yml: group "a", rule 1, "A": annotation "s": template: function "nofunc" not defined\n'
    )
    assert Completed(("promtool",), 1, "Checking /tmp/x/bad.yml\n", said).reason.startswith("/tmp/x/bad.yml: group")


def test_without_a_word_for_a_failure_it_is_the_end():
    assert Completed(("check",), 1, "a\nb\nc\nd\n", "").reason == "b | c | d"
