# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which package manager a host has."""

from __future__ import annotations

import os
import typing as t

from . import _env_file
from ._errors import HostError

Manager = t.Literal["apt", "dnf", "dnf5"]
# What decides which packages a host is offered. A module stream of dnf hides all versions of the others.
SOURCES = ("/etc/apt/sources.list", "/etc/yum.repos.d/", "/etc/dnf/modules.d/")
_RPM_FAMILY = {"fedora", "rhel", "centos"}
_DPKG_FAMILY = {"debian", "ubuntu"}


def find_manager(root: str = "/") -> Manager:
    """The host's package manager. HostError when it has none that is known.

    A Debian may have dnf installed, and an EL may have dpkg: what the host says that it is comes first, what is
    installed is only asked where it says nothing of use.
    """
    family = _family(root)
    dnf, dnf5, dpkg = (os.path.join(root, "usr/bin", name) for name in ("dnf", "dnf5", "dpkg-query"))
    if os.path.exists(dpkg) and not family & _RPM_FAMILY:
        return "apt"
    # As Ansible's own facts do: on Fedora 41 and later dnf is a link to dnf5, before that and on EL one to dnf-3.
    if os.path.exists(dnf) and not family & _DPKG_FAMILY:
        return "dnf5" if os.path.basename(os.path.realpath(dnf)) == "dnf5" else "dnf"
    if os.path.exists(dnf5) and not family & _DPKG_FAMILY:
        return "dnf5"
    raise HostError("this host has neither apt nor dnf, and packages or repositories were asked for")


def _family(root: str) -> set[str]:
    """ID and ID_LIKE of os-release, as words."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        try:
            with open(os.path.join(root, path), encoding="utf-8") as source:
                said = _env_file.parse(source.read())
        except FileNotFoundError:
            continue
        return {word for name in ("ID", "ID_LIKE") for word in said.get(name, "").split()}
    return set()
