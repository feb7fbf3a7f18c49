# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a host is, as a manifest names it."""

from __future__ import annotations

import os

from .. import _env_file, _text_file
from .._runner import Runner

# Oracle's has nothing of them in its ID_LIKE.
_ENTERPRISE = {"rhel", "centos", "ol"}
# As dpkg and images call them.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def suite() -> str:
    """The name of the distribution's release, such as trixie, or el9 for an Enterprise Linux. Empty for a distribution
    that names none, of which a bundle has no packages."""
    said = _env_file.parse(_text_file.read("/etc/os-release"))
    if _ENTERPRISE & {said.get("ID", ""), *said.get("ID_LIKE", "").split()}:
        return f"el{major()}"
    return said.get("VERSION_CODENAME", "")


def major() -> str:
    """The first number of the distribution's version."""
    return _env_file.parse(_text_file.read("/etc/os-release")).get("VERSION_ID", "").partition(".")[0]


def architecture(run: Runner) -> str:
    """Where there is no dpkg, that of the kernel."""
    found = run("dpkg", "--print-architecture")
    machine = os.uname().machine
    return found.stdout.strip() if found.rc == 0 else _ARCHITECTURES.get(machine, machine)
