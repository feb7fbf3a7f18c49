# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what hosts of a play were found to be, here. No host is asked anything."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils._acceptance import report
from ..plugin_utils._audit.output import Output, OutputError
from ..plugin_utils._roles.variables import plain


class ActionModule(ActionBase):
    """Controller side of M(mlops.hosts.acceptance_report)."""

    _VALID_ARGS = frozenset({"dir", "results", "not_tested"})
    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(
            {
                "dir": {"type": "str", "required": True},
                "results": {"type": "dict", "required": True},
                "not_tested": {"type": "list", "elements": "str", "default": []},
            }
        )
        results = plain(args["results"])
        try:
            paths = Output(str(args["dir"]), "acceptance_report_dir").write(
                {
                    "acceptance.json": report.document(results, plain(args["not_tested"])),
                    "junit.xml": report.junit(results),
                }
            )
        except OutputError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        return {"changed": False, "paths": paths}
