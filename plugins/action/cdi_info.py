# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parses a host's CDI specifications here, where a YAML parser is, and compares them with what the host told."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..plugin_utils._cdi.found import Found


class ActionModule(ActionBase):
    """Controller side of M(mlops.hosts.cdi_info)."""

    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        return gather(self, self._task.args, task_vars)


def gather(action: ActionBase, args: t.Mapping[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """What the module returns, for an action that asks for it."""
    result, found = _ask(action, args, task_vars)
    if found and found.unknown_paths:
        result, found = _ask(action, {**args, "_paths": found.unknown_paths}, task_vars)
    return {**result, **(found.as_result() if found else {})}


def _ask(
    action: ActionBase, args: t.Mapping[str, t.Any], task_vars: dict[str, t.Any] | None
) -> tuple[dict[str, t.Any], Found | None]:
    """The module's answer without what it found, and that; no findings of a module that failed."""
    result = action._execute_module(module_name="mlops.hosts.cdi_info", module_args=dict(args), task_vars=task_vars)
    host = result.pop("host", None)
    return result, Found.of(host["vendor"], host) if host else None
