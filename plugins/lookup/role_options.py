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

import functools
import pathlib
import typing as t

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ..plugin_utils._options import Spec, convert, misspelt

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18, where every string is a template

    def trust_as_template(value: str) -> str:
        return value


ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
display = Display()


class LookupModule(LookupBase):
    """Runs on the controller, whenever an expression needs an option."""

    def run(self, terms: list[str], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> list[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        (role,) = terms
        there = variables or {}
        spec = specification(role)
        values, unknown = self._values(there, spec)
        if values.get(f"{role}_state") == "absent":
            # What was desired of the host no longer matters, and need not even be defined. An option that is read must
            # be: its default could name a directory that nobody meant to remove.
            spec = {name: option for name, option in spec.items() if name not in unknown or name in _plural(spec)}
            values = {name: value for name, value in values.items() if name not in _plural(spec)}
            unknown = {}
        converted = convert({name: option for name, option in spec.items() if name not in unknown}, values)
        problems = [*unknown.values(), *converted.problems]
        if self.get_option("problems"):
            for name, option in misspelt(role, spec, there).items():
                display.warning(f"{name} is no option of the role {role} and is not read; did you mean {option}?")
            return [problems]
        if problems:
            raise AnsibleError(" ".join(problems))
        return [{name[len(role) + 1 :]: value for name, value in converted.values.items()}]

    def _values(self, variables: t.Mapping[str, t.Any], spec: Spec) -> tuple[dict[str, t.Any], dict[str, str]]:
        """What the variables hold, and why others cannot be evaluated."""
        values, unknown = {}, {}
        for name, option in spec.items():
            try:
                value = plain(self._templar.template(variables[name])) if name in variables else None
                default = option.get("default")
                if value is None and isinstance(default, str):
                    # A default may name another option.
                    value = plain(self._templar.template(trust_as_template(default)))
                values[name] = value
            except AnsibleError as exc:
                unknown[name] = f"{name} cannot be evaluated: {exc}."
        return values, unknown


def _plural(spec: Spec) -> set[str]:
    return {name for name, option in spec.items() if option["type"] in ("list", "dict")}


@functools.cache
def specification(role: str) -> Spec:
    """``argument_specs.main.options`` of a role of this collection."""
    path = ROLES / role / "meta" / "argument_specs.yml"
    if not path.is_file():
        raise AnsibleError(f"mlops.hosts has no role {role}")
    data = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return t.cast("Spec", data["argument_specs"]["main"]["options"])


def plain(value: t.Any) -> t.Any:
    """The same value without Ansible's own types: tags of ansible-core 2.19, vaulted text of 2.18."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) or type(value).__name__ == "AnsibleVaultEncryptedUnicode":
        return str.__str__(value) if isinstance(value, str) else str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, t.Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return value
