# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the collection knows of a host's platform: ``vars/`` of each role, by one rule for all of them."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing as t

import yaml

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"

Data = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Platform:
    """``known`` is what the role's files say of the platform, by the names of their variables without ``__<role>_``.

    The others are Ansible's facts of these names, None where none was needed.
    """

    distribution: str | None = None
    distribution_release: str | None = None
    distribution_version: str | None = None
    distribution_major_version: str | None = None
    os_family: str | None = None
    architecture: str | None = None
    known: Data = dataclasses.field(default_factory=dict)


FACTS = tuple(field.name for field in dataclasses.fields(Platform) if field.name != "known")


def platform(role: str, facts: Data, roles: pathlib.Path = ROLES) -> Platform:
    """``facts`` as in ``ansible_facts``."""
    found = {name: facts.get(name) for name in FACTS}
    return Platform(**found, known=_known(role, found, roles))


def _known(role: str, facts: Data, roles: pathlib.Path) -> dict[str, t.Any]:
    """From the general to the special, all files that there are: any, family, distribution, distribution and release.

    Of a dictionary that two files have, the keys of the later one replace those of the earlier.
    """
    family, distribution, release = (facts[name] for name in ("os_family", "distribution", "distribution_release"))
    layers = ["any", family, distribution, f"{distribution}_{release}"]
    known: dict[str, t.Any] = {}
    for layer in dict.fromkeys(str(layer).replace(" ", "_") for layer in layers):
        path = roles / role / "vars" / f"{layer}.yml"
        for name, value in (_load(path) if path.is_file() else {}).items():
            noun = name.removeprefix(f"__{role}_")
            both = isinstance(value, dict) and isinstance(known.get(noun), dict)
            known[noun] = {**known[noun], **value} if both else value
    return known


def load_all(role: str, roles: pathlib.Path = ROLES) -> None:
    """Read the role's files, to have them."""
    for path in (roles / role / "vars").glob("*.yml"):
        _load(path)


@functools.cache
def _load(path: pathlib.Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
