# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host in one program what modules of this collection tell of its GPUs."""

from __future__ import annotations

import typing as t

from ..plugin_utils._roles.built import Question
from . import host_check, role_component

_TIMEOUT = {"timeout_s": 60}
QUESTIONS = {
    "gpus": Question("mlops.hosts.gpu_info", _TIMEOUT),
    "driver": Question("mlops.hosts.driver_info", {}),
    "gpu_events": Question("mlops.hosts.gpu_events_info", {"boot": "current", "max_events": 100}),
    "cdi_nvidia": Question("mlops.hosts.cdi_info", {"vendor": "nvidia", **_TIMEOUT}),
    "cdi_amd": Question("mlops.hosts.cdi_info", {"vendor": "amd", **_TIMEOUT}),
    "docker": Question("mlops.hosts.container_runtime_info", {"provider": "docker"}),
    "podman": Question("mlops.hosts.container_runtime_info", {"provider": "podman"}),
}


class ActionModule(host_check.ActionModule):
    """Controller side of M(mlops.hosts.acceptance_info)."""

    _VALID_ARGS = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super(role_component.component.ActionModule, self).run(tmp, task_vars)
        task_vars = task_vars or {}
        asked = [(question.module, question.args) for question in QUESTIONS.values()]
        with self._reading(dry_run=True):
            answers = self.fast_checks(asked, task_vars)
            # What one module cannot tell is its answer: the others still count.
            found = {
                name: self._in_any_way(question, answer, task_vars)
                for (name, question), answer in zip(QUESTIONS.items(), answers)
            }
        kept = {name: _kept(answer) for name, answer in found.items()}
        return self._with_facts({"changed": False, **kept})


def _kept(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """Without what Ansible adds to a module's own result."""
    return {key: value for key, value in answer.items() if key not in ("changed", "invocation", "ansible_facts")}
