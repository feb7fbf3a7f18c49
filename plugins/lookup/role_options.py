# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a role of this collection, with the types of its argument specification."""

from __future__ import annotations

DOCUMENTATION = r"""
name: role_options
short_description: Options of a role with the types of its argument specification
author: The mlops.hosts founders (@mlops-hosts)
version_added: 0.1.0
description:
  - Reads the variables of a role of this collection and converts them as its C(meta/argument_specs.yml) says. Extra
    vars, surveys of AWX and inventories in INI bring text, such as V(false) and V(300).
  - Booleans and numbers are read from text, a single item where a list is meant is a list of one, and text where a
    list or a dictionary is meant is read as YAML or JSON. Options of options are converted too.
  - What has no meaning, or two, is a problem. The roles of this collection read their options in no other way.
options:
  _terms:
    description: Name of the role.
    required: true
  problems:
    description: Return the sentences that say what is wrong, in the place of the options.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show how a role reads a variable
  ansible.builtin.debug:
    msg: "{{ (lookup('mlops.hosts.role_options', 'model_store')).purge }}"
"""

RETURN = r"""
_raw:
  description:
    - A dictionary of the options, each without the name of the role in front of it.
    - With O(problems) a list of sentences, empty when there is nothing wrong.
  type: raw
"""

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ..plugin_utils._roles import variables as role_variables

display = Display()


class LookupModule(LookupBase):
    """Runs on the controller, whenever an expression needs an option."""

    def run(self, terms: list[str], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> list[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        (role,) = terms
        found = role_variables.read(role, variables or {}, self._templar.template)
        if self.get_option("problems"):
            for warning in found.warnings:
                display.warning(warning)
            return [list(found.problems)]
        if found.problems:
            raise AnsibleError(" ".join(found.problems))
        return [dict(found.options)]
