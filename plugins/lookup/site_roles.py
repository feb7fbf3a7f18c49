# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roles of a site run on a host, and in which order."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site_roles
short_description: Roles of a site in the order in which they run
author: The mlops.hosts founders (@mlops-hosts)
version_added: 0.1.0
description:
  - Roles whose variable C(<role>_state) is V(absent) come first, in reverse order, so that servers go before the models
    that they have open and the driver that they use. The others follow in their order.
  - Tags of the run choose among them, each role having its own name as tag. A playbook that includes all of them in one
    loop costs a host one task, where a task for each role costs as many as there are roles.
options:
  _terms:
    description: Names of the roles, in the order in which they are made present.
    required: true
"""

EXAMPLES = r"""
- name: Roles
  ansible.builtin.include_role:
    name: mlops.hosts.{{ site_role }}
    apply: {tags: [always]}
  loop: "{{ query('mlops.hosts.site_roles', 'gpu_driver', 'model_server') }}"
  loop_control:
    loop_var: site_role
  tags: [gpu_driver, model_server]
"""

RETURN = r"""
_raw:
  description: Names of the roles that run.
  type: list
  elements: str
"""

import typing as t

from ansible.plugins.lookup import LookupBase

_ALL = {"all", "tagged"}


class LookupModule(LookupBase):
    """Runs on the controller, once a host."""

    def run(self, terms: list[str], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        there = variables or {}

        def value(name: str, default: t.Any) -> t.Any:
            return self._templar.template(there[name]) if name in there else default

        states = {role: str(value(f"{role}_state", "present")) for role in terms}
        return ordered(states, value("ansible_run_tags", ["all"]), value("ansible_skip_tags", []))


def ordered(states: t.Mapping[str, str], run_tags: t.Collection[str], skip_tags: t.Collection[str]) -> list[str]:
    """``states``: of the roles, in the order in which they are made present. The tags are those of the whole run."""
    chosen = [
        role for role in states if (_ALL & set(run_tags) or role in run_tags) and not {role, *_ALL} & set(skip_tags)
    ]
    absent = [role for role in reversed(chosen) if states[role] == "absent"]
    return absent + [role for role in chosen if states[role] != "absent"]
