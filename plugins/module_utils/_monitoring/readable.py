# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether a user can read a directory. Access control lists are not read: they can only give more."""

from __future__ import annotations

import grp
import os
import pwd
import typing as t
from pathlib import Path


def obstacle(directory: str, user: str, stat: t.Callable[[Path], os.stat_result] = os.stat) -> str | None:
    """The first directory on the way that the user cannot enter, or the last one that it cannot list; None where it
    can. A directory that is not there is one, and a user that is not there has no rights but those of all."""
    try:
        entry = pwd.getpwnam(user)
        ids = entry.pw_uid, {entry.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    except KeyError:
        ids = -1, set()
    there = Path(directory)
    for folder in [*reversed(there.parents), there]:
        try:
            found = stat(folder)
        except OSError:
            return str(folder)
        shift = 6 if found.st_uid == ids[0] else 3 if found.st_gid in ids[1] else 0
        needed = 0o5 if folder == there else 0o1
        if (found.st_mode >> shift) & needed != needed:
            return str(folder)
    return None
