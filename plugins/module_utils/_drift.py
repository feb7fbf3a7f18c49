# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A difference between what is desired and what a host has, in the shape that audits read."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Drift:
    """One difference; see the return value ``drift`` of the modules."""

    kind: str
    item: str
    attribute: str
    want: t.Any
    have: t.Any

    def as_row(self) -> dict[str, t.Any]:
        return {name: getattr(self, name) for name in ("kind", "item", "attribute", "want", "have")}
