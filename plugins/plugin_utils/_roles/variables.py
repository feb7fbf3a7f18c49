# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads the options of a role from Ansible's variables."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

import yaml
from ansible.errors import AnsibleError

from ...module_utils._errors import HostError
from . import mirror as mirrors
from .options import Spec, convert, misspelt
from .platform import ROLES

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18, where every string is a template

    def trust_as_template(value: str) -> str:
        return value


Variables = t.Mapping[str, t.Any]
Template = t.Callable[[t.Any], t.Any]


class Options(dict[str, t.Any]):
    """To read one that cannot be evaluated is an error that names it."""

    def __init__(self, values: t.Mapping[str, t.Any], unknown: t.Mapping[str, str]) -> None:
        super().__init__(values)
        self._unknown = unknown

    def __missing__(self, name: str) -> t.Any:
        if name in self._unknown:
            raise AnsibleError(self._unknown[name])
        raise KeyError(name)


@dataclasses.dataclass(frozen=True)
class Read:
    """``options`` without the name of the role before theirs. ``problems`` are sentences; with one, nothing counts.

    ``warnings`` name variables that are no option, and are almost the name of one. ``mirror``: where its packages come
    from, None where the role keeps to its own repositories.
    """

    options: Options
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    mirror: mirrors.Mirror | None = None


def read(role: str, variables: Variables, template: Template) -> Read:
    """``template`` evaluates an expression over the same variables."""
    spec = specification(role)
    values, unknown = _values(variables, spec, template)
    unread: dict[str, str] = {}
    if values.get(f"{role}_state") == "absent":
        # What was desired of the host no longer matters, and need not even be defined. An option that is read must be:
        # its default could name a directory that nobody meant to remove.
        spec = {name: option for name, option in spec.items() if name not in unknown or name in _plural(spec)}
        values = {name: value for name, value in values.items() if name not in _plural(spec)}
        unread, unknown = unknown, {}
    converted = convert({name: option for name, option in spec.items() if name not in unknown}, values)
    noun = slice(len(role) + 1, None)
    options = Options(
        {name[noun]: value for name, value in converted.values.items()},
        {name[noun]: why for name, why in unread.items()},
    )
    problems = [*unknown.values(), *converted.problems]
    found: mirrors.Mirror | None = None
    if not problems and options.get("state") != "absent":
        try:
            found = mirrors.read(variables, lambda value: plain(template(value)))
        except HostError as exc:
            problems.append(f"{exc}.")
    if found:
        found.options(role, options, spec)
    return Read(
        options=options,
        mirror=None if mirrors.has_own_repository(role, options, spec) else found,
        problems=tuple(problems),
        warnings=tuple(
            f"{name} is no option of the role {role} and is not read; did you mean {option}?"
            for name, option in misspelt(role, spec, variables).items()
        ),
    )


def borrow(
    role: str, noun: str, own: t.Any, lender: str, variables: Variables, template: Template
) -> tuple[t.Any, tuple[str, ...]]:
    """An option that has the form of another role's option of the same name, and its problems.

    ``own`` is the value that the role has itself; null means the variable of the other role, which need not be there.
    """
    theirs = f"{lender}_{noun}"
    option = specification(lender)[theirs]
    if own is None:
        spec = {theirs: option}
        values, unknown = _values(variables, spec, template)
    else:
        spec = {f"{role}_{noun}": option}
        values, unknown = {f"{role}_{noun}": own}, {}
    converted = convert({name: option for name, option in spec.items() if name not in unknown}, values)
    return next(iter(converted.values.values()), None), (*unknown.values(), *converted.problems)


def _values(variables: Variables, spec: Spec, template: Template) -> tuple[dict[str, t.Any], dict[str, str]]:
    """What the variables hold, and why others cannot be evaluated."""
    values, unknown = {}, {}
    for name, option in spec.items():
        try:
            value = plain(template(variables[name])) if name in variables else None
            default = option.get("default")
            if value is None and isinstance(default, str):
                # A default may name another option.
                value = plain(template(trust_as_template(default)))
            values[name] = value
        except AnsibleError as exc:
            unknown[name] = f"{name} cannot be evaluated: {exc}."
    return values, unknown


def defaults(role: str) -> dict[str, t.Any]:
    """Those of a role's options, as templates."""
    found = {name: option.get("default") for name, option in specification(role).items()}
    return {name: trust_as_template(value) if isinstance(value, str) else value for name, value in found.items()}


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
