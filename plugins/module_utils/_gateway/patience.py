# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asking a gateway that somebody may be reloading: a master that replaces itself has no socket for a moment, and what
two questions say need not be of one worker."""

from __future__ import annotations

import typing as t

from .cli import NoAnswer
from .host import Gateway

_LIMIT_S = 5.0
_POLL_S = 0.05
T = t.TypeVar("T")


def answered(gateway: Gateway, ask: t.Callable[[], T]) -> T:
    """What is asked, again for a while when there is NoAnswer."""
    until = gateway.clock() + _LIMIT_S
    while True:
        try:
            return ask()
        except NoAnswer:
            if gateway.clock() >= until:
                raise
        gateway.sleep(_POLL_S)
