# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a host is, as a manifest names it."""

from __future__ import annotations

import os

from .. import _text_file
from .._runner import Runner

# As dpkg and images call them.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def suite() -> str:
    """The name of the distribution's release, such as trixie. Empty for a distribution that names none, of which a
    bundle has no packages."""
    for line in (_text_file.read("/etc/os-release") or "").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip("\"'")
    return ""


def architecture(run: Runner) -> str:
    """Where there is no dpkg, that of the kernel."""
    found = run("dpkg", "--print-architecture")
    machine = os.uname().machine
    return found.stdout.strip() if found.rc == 0 else _ARCHITECTURES.get(machine, machine)
