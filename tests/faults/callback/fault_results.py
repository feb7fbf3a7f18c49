# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the result of every task to a file, a line of JSON each: what a fault test asks of a run."""

from __future__ import annotations

DOCUMENTATION = """
name: fault_results
type: notification
short_description: results as lines of JSON
description: Results of tasks, written to the file that FAULT_RESULTS names.
"""

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = "fault_results"

    def v2_runner_on_ok(self, result):
        self._write(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, "failed")

    def v2_runner_on_unreachable(self, result):
        self._write(result, "unreachable")

    def _write(self, result, how):
        found = getattr(result, "result", None) or result._result
        with open(os.environ["FAULT_RESULTS"], "a") as out:
            out.write(json.dumps({**found, "how": how}, default=str) + "\n")
