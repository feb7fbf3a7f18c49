# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What asking the tool of a vendor comes to."""

from __future__ import annotations

import dataclasses
import typing as t

from .._runner import NOT_FOUND, Completed
from .types import Driver, Gpu


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the tool of one vendor said.

    ``why_unlisted`` is a clause that explains why a GPU of the PCI bus is not in ``gpus``; ``notes`` holds a better one
    for the PCI addresses that the tool named itself.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: Driver = Driver()
    why_unlisted: str = ""
    notes: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_tool_installed: bool = True


def not_installed(completed: Completed) -> bool:
    """Whether the Runner found no such program; one that cannot start answers the same code, with other words."""
    return completed.rc == NOT_FOUND and completed.stderr == f"{completed.argv[0]}: command not found"
