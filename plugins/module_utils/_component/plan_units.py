# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans units: which are stopped, enabled, started and restarted, and what a component gives back when it goes."""

from __future__ import annotations

import dataclasses
import typing as t

from . import claims
from .changes import Drift, PathChange, Situation, UnitChanges
from .units import Unit, is_unit_file
from .wanted import Effect, WantedUnit


@dataclasses.dataclass(frozen=True)
class UnitPart:
    drift: tuple[Drift, ...]
    changes: UnitChanges
    claims: dict[str, dict[str, t.Any]]


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
            verb: [] for verb in ("stop", "disable", "reset", "unmask", "mask", "enable", "start", "restart", "reload")
        }
        self.reread = any(is_unit_file(change.path) for change in changes)
        everyone = [unit.name for unit in situation.component.units] or list(situation.owned.units)
        self.affected: dict[str, set[str]] = {"restart": set(), "reload": set(), "none": set(), "reboot": set()}
        for effect in (*(change.effect for change in changes), *package_effects):
            self.affected[effect.impact].update(everyone if effect.units is None else effect.units)

    def plan(self) -> UnitPart:
        taken: dict[str, dict[str, t.Any]] = {}
        for wanted in self.situation.component.units:
            have = self.situation.seen.units[wanted.name]
            taken[wanted.name] = self._before(wanted.name, have)
            self._boot(wanted, have)
            self._state(wanted, have)
        for name, before in self.situation.owned.units.items():
            have = self.situation.seen.units[name]
            if name not in taken and not claims.inherited_unit(name, self.situation.others):
                self._release(name, before, have)
        for name in self.situation.seen.leaving_units:
            known = name in taken or name in self.situation.owned.units
            if not known and not claims.inherited_unit(name, self.situation.others):
                self._end(name, self.situation.seen.units[name])
        done = {verb: tuple(names) for verb, names in self.do.items()}
        return UnitPart(tuple(self.drift), UnitChanges(reread=self.reread, **done), taken)

    def _before(self, name: str, have: Unit) -> dict[str, t.Any]:
        """How the unit was before the first component that wanted it."""
        journal = self.situation.journal
        before = self.situation.owned.units.get(name) or claims.inherited_unit(name, self.situation.others)
        before = before or (journal.units_before.get(name) if journal else None)
        before = before or {"enabled": have.starts_at_boot, "active": have.running, "masked": have.masked}
        return {
            "enabled": before["enabled"],
            "active": before["active"],
            "masked": before.get("masked", False),
            "drop_ins": self.situation.drop_ins_before(name),
        }

    def _boot(self, wanted: WantedUnit, have: Unit) -> None:
        if have.masked:
            if wanted.enabled or wanted.state == "started":
                self._do("unmask", wanted.name, "masked", False, True)
                # The mask hides whether it is enabled; to say it again does no harm.
                self.do["enable" if wanted.enabled else "disable"].append(wanted.name)
            return
        if have.stale and not self.reread:
            self.reread = True
            self.drift.append(Drift("unit", wanted.name, "definition", "as on disk", "older than on disk"))
        if wanted.enabled and not have.starts_at_boot:
            self._do("enable", wanted.name, "enabled", True, False)
        elif not wanted.enabled and have.file_state.startswith("enabled"):
            self._do("disable", wanted.name, "enabled", False, True)

    def _state(self, wanted: WantedUnit, have: Unit) -> None:
        if wanted.state == "started":
            if not have.running:
                self._do("start", wanted.name, "state", "started", _word(have))
            elif have.masked:
                # systemd 252 forgets a running unit when its mask goes, and would start it beside its own processes.
                self.do["stop"].append(wanted.name)
                self.do["start"].append(wanted.name)
            elif wanted.name in self.affected["restart"]:
                self.do["restart"].append(wanted.name)
            elif wanted.name in self.affected["reload"]:
                self.do["reload"].append(wanted.name)
        elif wanted.state == "stopped" and _busy(have):
            self._do("stop", wanted.name, "state", "stopped", _word(have))

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
