# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where a release is on a host, which whoever runs a program of it knows without asking. Pure."""

from __future__ import annotations

BASE = "/opt/mlops.hosts/releases"
# The last file that is written: what has none is not a release.
MARKER = ".mlops-release.json"


def folder(name: str, version: str, sha256: str) -> str:
    """Its name below the base: an archive of the same version with another content is another folder."""
    return f"{name}-{version}-{sha256[:12]}"


def path(base: str, name: str, version: str, sha256: str) -> str:
    return f"{base}/{folder(name, version, sha256)}"
