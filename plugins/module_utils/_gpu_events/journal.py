# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Lines of the journal that may be of GPUs."""

from __future__ import annotations

import os

from .._journal import SOCKET, Journal, Place, argv, datagram, entry, place, text
from .fold import Line

# What its users need of the journal in general comes with it.
__all__ = ["SOCKET", "Journal", "Place", "argv", "datagram", "entry", "place", "text", "line", "matches"]

MATCH = "MLOPS_GPU_EVENTS_MATCH"
KERNEL = "_TRANSPORT=kernel"
FIELDS = "MESSAGE,_BOOT_ID"


def matches() -> list[str]:
    """What of the journal is read, as journalctl takes it."""
    return os.environ.get(MATCH, KERNEL).split()


def line(raw: bytes | str) -> Line:
    found = entry(raw)
    return Line(
        text(found.get("MESSAGE")),
        int(found.get("__REALTIME_TIMESTAMP", 0)),
        str(found["__CURSOR"]),
        found.get("_BOOT_ID"),
    )
