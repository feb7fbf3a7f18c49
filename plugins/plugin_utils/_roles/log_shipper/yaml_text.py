# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Configurations that are YAML, from data. Pure."""

from __future__ import annotations

import typing as t

import yaml


def yaml_text(data: t.Mapping[str, t.Any]) -> str:
    """In the order of the data, each value on a line of its own: the same data are the same text."""
    return t.cast("str", yaml.dump(_plain(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6))


class Quoted(str):
    """A text between double marks."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # to mypy it is Any
    def ignore_aliases(self, data: t.Any) -> bool:
        """What is there twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> t.Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def _quoted(dumper: yaml.SafeDumper, value: Quoted) -> t.Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(value), style='"')


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Quoted, _quoted)


def _plain(value: t.Any) -> t.Any:
    """Values from variables of Ansible have types of their own, which no dumper knows."""
    if isinstance(value, t.Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bool, Quoted)) or value is None:
        return value
    return int(value) if isinstance(value, int) else str(value)
