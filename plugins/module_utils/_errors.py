# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Errors that carry evidence: the message is a sentence for a person, the details are for a program."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ._runner import Completed


class HostError(Exception):
    """Something on the host conflicts with what is desired.

    The message says what was desired, what was found and what to do. ``details`` are JSON-native
    and become return values of the module.
    """

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.details = details

    def as_result(self) -> dict[str, t.Any]:
        """What a module that failed returns."""
        return {"failed": True, "msg": str(self), **self.details}


class CommandError(HostError):
    """A command failed; ``details`` holds ``cmd``, ``rc``, ``stdout`` and ``stderr``."""

    def __init__(self, message: str, completed: Completed, **details: t.Any) -> None:
        super().__init__(
            message,
            cmd=list(completed.argv),
            rc=completed.rc,
            stdout=completed.stdout,
            stderr=completed.stderr,
            **details,
        )
