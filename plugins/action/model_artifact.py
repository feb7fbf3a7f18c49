# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks whether the store is right before the module is sent, which would fetch what is missing."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..plugin_utils._fast_check import ask


class ActionModule(ActionBase):
    """Controller side of M(mlops.hosts.model_artifact)."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        found = ask(self, [("mlops.hosts.model_artifact", self._task.args)], task_vars)
        if found.answers[0] is not None:
            return {**found.answers[0], **({"ansible_facts": found.facts} if found.facts else {})}
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        return t.cast("dict[str, t.Any]", self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
