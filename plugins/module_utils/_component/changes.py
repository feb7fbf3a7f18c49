# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The words of a plan: differences, and the changes that end them."""

from __future__ import annotations

import dataclasses
import typing as t

from .desired import Component, DesiredUser, Effect
from .fs_entry import Entry
from .journal import Journal
from .observe import Observed
from .store import Ledger

NOTHING = Effect("none")


@dataclasses.dataclass(frozen=True)
class PathChange:
    """One path goes from ``before`` to ``after``. ``owner`` and ``group`` are names; they are resolved when applied,
    since the same transaction may create them."""

    path: str
    before: Entry
    after: Entry
    owner: str
    group: str
    effect: Effect = NOTHING
    validate: tuple[str, ...] = ()
    validate_as: str | None = None
    validate_with: tuple[str, ...] = ()
    secret: bool = False


@dataclasses.dataclass(frozen=True)
class UserChange:
    desired: DesiredUser
    create: bool
    add_groups: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class UnitChanges:
    """Names of units, by what is done to them, in this order. ``reset`` failed, and nobody runs them any more.

    ``clean`` have a cache that systemd made for them, and go.
    """

    stop: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    clean: tuple[str, ...] = ()
    reread: bool = False
    reset: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()

    @property
    def activated(self) -> tuple[str, ...]:
        """Units that must be up afterwards."""
        return (*self.start, *self.restart, *self.reload)

    @property
    def any(self) -> bool:
        return self != UnitChanges()


@dataclasses.dataclass(frozen=True)
class Situation:
    """All that the planners look at. ``journal`` is that of this very transaction when the package manager has been at
    work: what it says was there before counts, not what is there now."""

    component: Component
    owned: Ledger
    others: t.Sequence[Ledger]
    seen: Observed
    journal: Journal | None

    def drop_ins_before(self, unit: str) -> list[str]:
        """Drop-ins that the unit had before the first component that desired it: they are none of our business."""
        for ledger in (self.owned, *self.others):
            if "drop_ins" in ledger.units.get(unit, {}):
                return list(ledger.units[unit]["drop_ins"])
        return list(self.seen.drop_ins[unit])
