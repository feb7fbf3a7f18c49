# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A dpkg that was killed in the middle of its work: apt refuses everything until somebody ends it.

Ansible's apt module has no way to. What is done here is done with a policy in place that starts nothing.
"""

from __future__ import annotations

import os
import typing as t

from .._runner import Completed, Runner, must
from .lock import package_manager_pid

_UPDATES = "/var/lib/dpkg/updates"
# Building a kernel module can take minutes; a script that hangs must not hold the host for ever.
_CONFIGURE_TIMEOUT_S = 900
_REINSTALL_TIMEOUT_S = 900
_DPKG_TIMEOUT_S = 120
_OWN_FILES = ("--force-confdef", "--force-confold")


def interrupted() -> bool:
    """Whether dpkg left notes of work that it did not end, and nobody is at it now."""
    try:
        notes = any(name.isdigit() for name in os.listdir(_UPDATES))
    except FileNotFoundError:
        return False
    return notes and package_manager_pid() is None


def merge_updates(run: Runner) -> None:
    """Let dpkg take its notes over, and nothing else. apt works again; what is half installed stays so."""
    must(
        run("dpkg", "--set-selections", stdin="\n", timeout_s=_DPKG_TIMEOUT_S),
        "dpkg was interrupted and does not go on",
    )


def configure(run: Runner) -> None:
    """Configure all that is unpacked. What cannot be is left to the package manager, which says why."""
    _quietly(run, ["dpkg", *_OWN_FILES, "--configure", "-a"], _CONFIGURE_TIMEOUT_S)
    if interrupted():
        merge_updates(run)


def reinstall(names: t.Sequence[str], run: Runner) -> None:
    """Unpack again what was caught while it was unpacked; ``names`` with the versions that they have. apt thinks that
    nothing is to be done about them."""
    options = [word for option in _OWN_FILES for word in ("-o", f"Dpkg::Options::={option}")]
    argv = ["apt-get", "-q", "-y", *options, "--reinstall", "install", *names]
    must(_quietly(run, argv, _REINSTALL_TIMEOUT_S), f"{', '.join(names)} is half installed and could not be repaired")


def remove(names: t.Sequence[str], run: Runner) -> None:
    """Remove what was caught while it was unpacked for the first time; apt would want its archive first."""
    argv = ["dpkg", "--remove", "--force-remove-reinstreq", *names]
    must(_quietly(run, argv, _DPKG_TIMEOUT_S), f"{', '.join(names)} is half installed and could not be removed")


def _quietly(run: Runner, argv: t.Sequence[str], timeout_s: float) -> Completed:
    return run("env", "DEBIAN_FRONTEND=noninteractive", *argv, timeout_s=timeout_s)
