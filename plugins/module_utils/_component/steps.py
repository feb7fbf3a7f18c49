# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The steps of a transaction and the phases around them, in order."""

from __future__ import annotations

import typing as t

Step = t.Literal[
    "journal",
    "hold",
    "users",
    "directories",
    "stage",
    "validate",
    "stop",
    "swap",
    "apply",
    "reread",
    "enable",
    "start",
    "ready",
    "commit",
    "clean",
]
STEPS: tuple[Step, ...] = t.get_args(Step)
# What the engine does around the steps: before the package manager works, after the commit, and on the way back.
Phase = t.Literal["repositories", "packages", "removals", "undo", "restore", "resume", "close"]
PHASES: tuple[Phase, ...] = t.get_args(Phase)
# It is told each step and phase before it.
Reach = t.Callable[[str], None]
