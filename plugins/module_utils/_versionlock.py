# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What dnf5 keeps its locks in, which is TOML."""

from __future__ import annotations

import typing as t

from ._errors import HostError

try:
    import tomllib
except ImportError:  # before Python 3.11, which distributions with dnf5 have
    tomllib = None  # type: ignore[assignment]


def names(text: str) -> set[str]:
    """The packages that are locked; what is merely excluded is not. None in a text that dnf5 cannot read either."""
    if not text:
        return set()
    if tomllib is None:
        raise HostError(
            "dnf5 has locks in /etc/dnf/versionlock.toml, and Python 3.11 or later is needed to read them: set "
            "ansible_python_interpreter to the distribution's own Python"
        )
    try:
        packages = tomllib.loads(text).get("packages", [])
        return {str(package["name"]) for package in packages if not _is_exclusion(package)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def _is_exclusion(package: t.Mapping[str, t.Any]) -> bool:
    return any(condition.get("comparator") == "!=" for condition in package.get("conditions", []))
