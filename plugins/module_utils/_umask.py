# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The umask of modules that change a host."""

from __future__ import annotations

import os


def usual_umask() -> None:
    """Set 022, whatever sudo or a login shell has set.

    With 077 the parent directories that are created, and what the programs that are run create, could be read by root
    alone, and services that run as other users would not start. What must be private is created with its own mode.
    """
    os.umask(0o022)
