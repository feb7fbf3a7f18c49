# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads os-release where that says all, and lets Ansible gather facts elsewhere."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils._platform.fast_check import facts
from ..plugin_utils._marked_output import BEGIN, END, between_marks

_COMMAND = f"echo {BEGIN} && uname -m && cat /etc/os-release && echo {END}"
_SETUP = {"gather_subset": ["!all", "!min", "distribution", "platform"]}


class ActionModule(ActionBase):
    """Controller side of M(mlops.hosts.platform_facts)."""

    _supports_check_mode = True
    _VALID_ARGS = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        return gather(self, task_vars)


def gather(action: ActionBase, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """What the module returns, for an action that needs the facts before it goes on."""
    said = action._low_level_execute_command(_COMMAND, sudoable=False)
    machine, _newline, text = (between_marks(str(said.get("stdout", ""))) or "").strip().partition("\n")
    found = facts(machine.strip(), text)
    if said.get("rc") == 0 and found:
        return {"changed": False, "ansible_facts": found}
    gathered = action._execute_module(module_name="ansible.builtin.setup", module_args=_SETUP, task_vars=task_vars)
    return t.cast("dict[str, t.Any]", gathered)
