# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where environments are, known from what they hold alone. No host is asked."""

from __future__ import annotations

import hashlib
import re
import typing as t

from .._errors import HostError
from .requirements import parse, render

_VERSION = re.compile(r"python(3\.\d+t?)")


def path(base: str, name: str, requirements: str, python_version: str) -> str:
    """Absolute path of an environment. HostError for requirements that the module would refuse.

    ``python_version`` is that of the ABI, as in the name of the program: ``3.12``, or ``3.13t`` for free threads. A
    later patch of it is the same environment.
    """
    return f"{base.rstrip('/')}/{name}/{digest(requirements, python_version)[:12]}"


def digest(requirements: str, python_version: str) -> str:
    """What tells environments apart: sha256 as 64 hexadecimal digits. Comments and order do not count."""
    return hashlib.sha256(f"{render(parse(requirements))}python {python_version}\n".encode()).hexdigest()


def python_version(program: str) -> str | None:
    """The version in the name or path of a program, such as ``/usr/bin/python3.12``. None when it does not say it."""
    found = _VERSION.fullmatch(program.rpartition("/")[2])
    return found[1] if found else None


def program_path(items: t.Sequence[t.Mapping[str, t.Any]], name: str, *, base: str, program: str) -> str:
    """Absolute path of a program of an environment.

    ``items``: environments, each with the options of the module ``python_environment``. HostError when the environment
    is not among them, is to be absent, or has a Python whose name does not say its version.
    """
    present = {str(item["name"]): item for item in items if (item.get("state") or "present") == "present"}
    if name not in present:
        raise HostError(f"there is no environment {name}; those that are present: {', '.join(present) or 'none'}")
    python, requirements = (present[name].get(key) or "" for key in ("python", "requirements"))
    version = python_version(python)
    if version is None:
        raise HostError(f"the environment {name} has python {python!r}; name its version, as in python3.12")
    return f"{path(base, name, requirements, version)}/bin/{program}"
