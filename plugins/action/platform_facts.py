# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads os-release where that says all, and lets Ansible gather facts elsewhere."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils import _env_file
from ..plugin_utils._marked_output import BEGIN, END, between_marks

# What these hosts call themselves, and what Ansible calls them. Derivatives that keep the ID of their parent do not
# keep its name.
_KNOWN = {("debian", "Debian GNU/Linux"): "Debian", ("ubuntu", "Ubuntu"): "Ubuntu"}
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
    facts = _facts((between_marks(str(said.get("stdout", ""))) or "").strip())
    if said.get("rc") == 0 and facts:
        return {"changed": False, "ansible_facts": facts}
    found = action._execute_module(module_name="ansible.builtin.setup", module_args=_SETUP, task_vars=task_vars)
    return t.cast("dict[str, t.Any]", found)


def _facts(text: str) -> dict[str, str]:
    """Facts from the machine and, below it, the text of os-release; none where that does not say enough."""
    machine, _newline, text = text.partition("\n")
    said = _env_file.parse(text)
    distribution = _KNOWN.get((said.get("ID", ""), said.get("NAME", "")))
    release = said.get("VERSION_CODENAME", "")
    if not distribution or not release:
        return {}
    return {
        "ansible_architecture": machine.strip(),
        "ansible_distribution": distribution,
        "ansible_distribution_release": release,
        "ansible_os_family": "Debian",
    }
