# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What only root is told. A fact that could not be read must not look like one that was."""

from __future__ import annotations

import os
import pwd

from ._errors import HostError

_HOW = "set become: true on the task or the play"


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def require_root(module: str, what_for: str) -> None:
    """Raise HostError for any other user; ``what_for`` is a clause such as "to ask Docker for its containers"."""
    uid = os.geteuid()
    if uid != 0:
        raise HostError(f"{module} needs root {what_for}, and this task runs as user {user_name(uid)}; {_HOW}")


def denied(path: str) -> HostError:
    """The error for a path that the kernel does not let this user read."""
    uid = os.geteuid()
    if uid == 0:
        return HostError(f"{path} cannot be read, not even by root; find out who denies it (SELinux, a network share)")
    return HostError(f"{path} can be read by root only, and this task runs as user {user_name(uid)}; {_HOW}")
