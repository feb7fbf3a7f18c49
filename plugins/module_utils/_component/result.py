# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a look at the host finds, and how it is told."""

from __future__ import annotations

import dataclasses
import typing as t

from .._runner import Runner
from . import diff, observe
from .changes import Situation
from .desired import Component
from .journal import Journal
from .packages import Move
from .plan import Plan, make
from .store import Ledger, Store


def compare(component: Component, store: Store, run: Runner, journal: Journal | None = None) -> Plan:
    """Read the host, and plan."""
    ledgers = store.read_ledgers()
    owned = ledgers.pop(component.name, Ledger(component.name))
    seen = observe.observe(component, owned, store, run)
    return make(Situation(component, owned, list(ledgers.values()), seen, journal))


def adopts(planned: Plan, store: Store) -> bool:
    """Whether a plan that changes nothing else changes what the component owns."""
    old = store.read_ledgers().get(planned.ledger.component)
    if old is None:
        return not planned.ledger.empty
    return planned.ledger.empty or dataclasses.replace(planned.ledger, txn=old.txn) != old


def waiting(planned: Plan, pending: t.Sequence[t.Mapping[str, str]]) -> dict[str, t.Any]:
    """The module's return values for a plan that waits: all that differs, and nothing that is done about it."""
    nothing = {"changed": False, "diff": [], "reboot_required": False}
    units: dict[str, list[str]] = {verb: [] for verb in ("stopped", "started", "restarted", "reloaded")}
    return {**returned(planned), **nothing, **units, "pending": list(pending)}


def returned(
    planned: Plan, *, after_install: t.Sequence[str] = (), moves: t.Mapping[str, Move] | None = None
) -> dict[str, t.Any]:
    """The module's return values for a plan that is carried out, or would be. ``moves``: see the diff."""
    return {
        "changed": not planned.empty,
        "component": planned.ledger.component,
        "drift": [item.as_row() for item in planned.drift],
        "diff": diff.entries(planned, moves or {}),
        "stopped": list(planned.units.stop),
        "started": list(planned.units.start),
        "restarted": list(planned.units.restart),
        "reloaded": list(planned.units.reload),
        "rolled_back": False,
        "recovered": "none",
        "reboot_required": planned.reboot_required,
        "after_install": list(after_install),
        "ready": [],
        "pending": [],
        "warnings": list(planned.notes),
    }
