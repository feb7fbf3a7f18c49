# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where a store has what others look for: known to those, too, that never open one."""

from __future__ import annotations

import os


def models_path(store: str) -> str:
    return os.path.join(store, "models")


def progress_path(store: str) -> str:
    """How far a download is, while there is one."""
    return os.path.join(store, ".progress")


def version_path(store: str, name: str, version: str) -> str:
    return os.path.join(models_path(store), name, version)
