# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What runs on the host of a gateway without Ansible."""

from __future__ import annotations

import typing as t

from ...module_utils._gateway.paths import PROGRAM
from .._packed_program import Program

GATEWAY = Program(
    name="gateway",
    path=PROGRAM,
    entry="_gateway.program",
    about="Reloads the gateway so that clients notice nothing, and says whether what is on disk is what runs.",
)


def resources(*, python: str) -> dict[str, t.Any]:
    """``directories`` and ``files`` for the component of the gateway."""
    return GATEWAY.resources(python=python)
