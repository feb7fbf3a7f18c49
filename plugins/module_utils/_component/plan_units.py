# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans units: which are stopped, enabled, started and restarted, and what a component gives back when it goes."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drift import Drift
from . import ownership
from .changes import PathChange, Situation, UnitChanges
from .desired import DesiredUnit, Effect
from .units import Unit, defines, is_unit_file


@dataclasses.dataclass(frozen=True)
class UnitPart:
    drift: tuple[Drift, ...]
    changes: UnitChanges
    records: dict[str, dict[str, t.Any]]


def plan(situation: Situation, changes: t.Sequence[PathChange], package_effects: t.Sequence[Effect]) -> UnitPart:
    """``changes`` are all path changes of the plan: they decide what is read again and restarted."""
    return _Planner(situation, changes, package_effects).plan()


class _Planner:
    def __init__(
        self, situation: Situation, changes: t.Sequence[PathChange], package_effects: t.Sequence[Effect]
    ) -> None:
        self.situation = situation
        self.changes = changes
        self.drift: list[Drift] = []
        self.do: dict[str, list[str]] = {
            verb: []
            for verb in ("stop", "disable", "clean", "reset", "unmask", "mask", "enable", "start", "restart", "reload")
        }
        self.reread = any(is_unit_file(change.path) for change in changes)
        # Their next file may be of another kind, which does not know how to stop what runs by this one.
        self.moving = {defines(change.path) for change in changes if change.after.kind == "absent"}
        everyone = [unit.name for unit in situation.component.units] or list(situation.owned.units)
        self.affected: dict[str, set[str]] = {"restart": set(), "reload": set(), "none": set(), "reboot": set()}
        for effect in (*(change.effect for change in changes), *package_effects):
            self.affected[effect.impact].update(everyone if effect.units is None else effect.units)

    def plan(self) -> UnitPart:
        taken: dict[str, dict[str, t.Any]] = {}
        for desired in self.situation.component.units:
            have = self.situation.seen.units[desired.name]
            taken[desired.name] = self._before(desired.name, have)
            self._boot(desired, have)
            self._state(desired, have)
        for name, before in self.situation.owned.units.items():
            have = self.situation.seen.units[name]
            if name not in taken and not ownership.inherited_unit(name, self.situation.others):
                self._release(name, before, have)
        for name in self.situation.seen.leaving_units:
            known = name in taken or name in self.situation.owned.units
            if not known and not ownership.inherited_unit(name, self.situation.others):
                self._end(name, self.situation.seen.units[name])
        done = {verb: tuple(names) for verb, names in self.do.items()}
        return UnitPart(tuple(self.drift), UnitChanges(reread=self.reread, **done), taken)

    def _before(self, name: str, have: Unit) -> dict[str, t.Any]:
        """How the unit was before the first component that desired it."""
        journal = self.situation.journal
        before = self.situation.owned.units.get(name) or ownership.inherited_unit(name, self.situation.others)
        before = before or (journal.units_before.get(name) if journal else None)
        before = before or {"enabled": have.starts_at_boot, "active": have.running, "masked": have.masked}
        return {
            "enabled": before["enabled"],
            "active": before["active"],
            "masked": before.get("masked", False),
            "drop_ins": self.situation.drop_ins_before(name),
        }

    def _boot(self, desired: DesiredUnit, have: Unit) -> None:
        if have.masked:
            if desired.enabled or desired.state == "started":
                self._do("unmask", desired.name, "masked", False, True)
                # The mask hides whether it is enabled; to say it again does no harm.
                self.do["enable" if desired.enabled else "disable"].append(desired.name)
            return
        if have.stale and not self.reread:
            self.reread = True
            self.drift.append(Drift("unit", desired.name, "definition", "as on disk", "older than on disk"))
        by_its_file = have.file_state == "generated" and desired.name in self.moving
        if desired.enabled and (by_its_file or not have.starts_at_boot):
            self._do("enable", desired.name, "enabled", True, False)
        elif not desired.enabled and have.file_state.startswith("enabled"):
            self._do("disable", desired.name, "enabled", False, True)

    def _state(self, desired: DesiredUnit, have: Unit) -> None:
        if desired.state == "started":
            if not have.running:
                self._do("start", desired.name, "state", "started", _word(have))
            elif have.masked or desired.name in self.moving:
                # systemd 252 forgets a running unit when its mask goes, and would start it beside its own processes.
                self.do["stop"].append(desired.name)
                self.do["start"].append(desired.name)
            elif desired.name in self.affected["restart"]:
                self.do["restart"].append(desired.name)
            elif desired.name in self.affected["reload"]:
                self.do["reload"].append(desired.name)
        elif desired.state == "stopped" and _busy(have):
            self._do("stop", desired.name, "state", "stopped", _word(have))

    def _release(self, name: str, before: t.Mapping[str, t.Any], have: Unit) -> None:
        """Back to what it was before us; a unit whose file goes is stopped in any case."""
        vanishes = any(
            change.after.kind == "absent" and is_unit_file(change.path) and change.path.endswith("/" + name)
            for change in self.changes
        )
        if before.get("masked") and not have.masked and not vanishes:
            self._do("mask", name, "masked", True, False)
        if not have.exists:
            self._end(name, have)  # somebody took its file away
            return
        if have.file_state.startswith("enabled") and (vanishes or not before["enabled"]):
            self._do("disable", name, "enabled", False, True)
        elif before["enabled"] and not have.starts_at_boot and not vanishes:
            self._do("enable", name, "enabled", True, False)
        if vanishes and have.has_cache:
            self.do["clean"].append(name)
        if vanishes or not before["active"]:
            self._end(name, have)
        elif not have.running:
            self._do("start", name, "state", "started", _word(have))
        elif name in self.affected["restart"] | self.affected["reload"]:
            self.do["restart"].append(name)

    def _end(self, name: str, have: Unit) -> None:
        """Nothing of it stays, not even that it failed, which would leave the host degraded."""
        if _busy(have):
            self._do("stop", name, "state", "stopped", _word(have))
        elif have.failed:
            self._do("reset", name, "state", "stopped", _word(have))

    def _do(self, verb: str, name: str, attribute: str, want: t.Any, have: t.Any) -> None:
        self.do[verb].append(name)
        self.drift.append(Drift("unit", name, attribute, want, have))


def _busy(unit: Unit) -> bool:
    return unit.running or (unit.dead and unit.active_state != "failed")


def _word(unit: Unit) -> str | None:
    there = unit.exists or unit.running or unit.failed
    return f"{unit.active_state} ({unit.sub_state})" if there else None
