# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What os-release says of a host, by the names that Ansible's facts have."""

from __future__ import annotations

import os
import typing as t

from .. import _env_file
from .._runner import Runner

# What these hosts call themselves, and what Ansible calls them. Derivatives that keep the ID of their parent do not
# keep its name.
_KNOWN = {("debian", "Debian GNU/Linux"): "Debian", ("ubuntu", "Ubuntu"): "Ubuntu"}
_PATH = "/etc/os-release"


def fast_check(_params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """The return values of ``platform_facts``; None where os-release does not say enough."""
    try:
        with open(_PATH, encoding="utf-8", errors="replace") as source:
            found = facts(os.uname().machine, source.read())
    except OSError:
        return None
    return {"changed": False, "ansible_facts": found} if found else None


def facts(machine: str, text: str) -> dict[str, str]:
    """Facts from the machine's architecture and the text of os-release; none where that does not say enough."""
    said = _env_file.parse(text)
    distribution = _KNOWN.get((said.get("ID", ""), said.get("NAME", "")))
    release = said.get("VERSION_CODENAME", "")
    if not distribution or not release:
        return {}
    return {
        "ansible_architecture": machine,
        "ansible_distribution": distribution,
        "ansible_distribution_release": release,
        "ansible_os_family": "Debian",
    }
