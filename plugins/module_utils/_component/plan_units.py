# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans units: which are stopped, enabled, started and restarted, and what a component gives back when it goes."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._drift import Drift
from . import boot_links, ownership
from .changes import PathChange, Situation, UnitChanges
from .desired import DesiredUnit, Effect
from .fs_entry import ABSENT, Entry
from .units import Unit, defines, is_unit_file


@dataclasses.dataclass(frozen=True)
class UnitPart:
    """``paths`` are the links of units that are enabled otherwise than their files say, and ``gone`` the directories
    that may have held the last one."""

    drift: tuple[Drift, ...]
    changes: UnitChanges
    records: dict[str, dict[str, t.Any]]
    paths: tuple[PathChange, ...] = ()
    gone: tuple[str, ...] = ()


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
        self.paths: list[PathChange] = []
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
        gone = {os.path.dirname(change.path) for change in self.paths if change.after.kind == "absent"}
        return UnitPart(
            tuple(self.drift),
            UnitChanges(reread=self.reread, **done),
            taken,
            tuple(self.paths),
            tuple(sorted(gone - {boot_links.PLACE})),
        )

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
        enable = desired.enabled and (by_its_file or not have.starts_at_boot)
        if desired.enabled:
            self._links(desired.name, enable=enable)
        if enable:
            self._do("enable", desired.name, "enabled", True, False)
        elif not desired.enabled and have.file_state.startswith("enabled"):
            self._do("disable", desired.name, "enabled", False, True)

    def _links(self, name: str, *, enable: bool) -> None:
        """Make of the unit's links what its file will ask for. They are changed as any other path is, and come back
        with them; those that a component owns are its own."""
        changed = {change.path: change for change in self.changes}
        texts = self._texts(name, changed)
        desired = None if texts is None else boot_links.desired_links(name, texts)
        if desired is None:
            return
        links = self.situation.seen.boot_links
        leaving = {path for path, change in changed.items() if change.after.kind == "absent"}
        owned = {item.path for item in self.situation.component.links}
        have = {path: entry for path, entry in links.of.get(name, {}).items() if path not in leaving}
        strange = [path for path in have if path not in desired | owned and not self._is_others(path)]
        missing = [
            path for path in sorted(desired - have.keys() - owned) if not (enable and boot_links.made_by_enable(path))
        ]
        if not (strange or missing):
            return
        self.reread = True
        self.drift.append(Drift("unit", name, "links", boot_links.shown(desired), boot_links.shown(have)))
        self.paths += [PathChange(path, have[path], ABSENT, "root", "root") for path in strange]
        folders = {os.path.dirname(path) for path in missing} - {*links.folders, *changed, boot_links.PLACE}
        folder = Entry("directory", mode=0o755)
        self.paths += [PathChange(path, ABSENT, folder, "root", "root") for path in sorted(folders)]
        to = Entry("link", target=boot_links.file_of(name))
        self.paths += [PathChange(path, ABSENT, to, "root", "root") for path in missing]

    def _texts(self, name: str, changed: t.Mapping[str, PathChange]) -> list[str] | None:
        """Those of its file and of its drop-ins, as they will be. None where the file is not the component's."""
        files = {item.path: item.content for item in self.situation.component.files}
        own = boot_links.file_of(name)
        if own not in files and own not in changed:
            return None
        known = [*self.situation.seen.drop_ins.get(name, ()), *files, *changed]
        folders = (f"{name}.d", f"{os.path.basename(own)}.d")
        drop_ins = {
            path for path in known if os.path.basename(os.path.dirname(path)) in folders and path.endswith(".conf")
        }
        texts = []
        for path in (own, *sorted(drop_ins, key=os.path.basename)):
            content = changed[path].after.content if path in changed else files.get(path)
            if content is None and path not in changed:
                content = self.situation.seen.entries[path].content
            texts.append((content or b"").decode("utf-8", "replace"))
        return texts

    def _is_others(self, path: str) -> bool:
        return ownership.has_owner(path, self.situation.others)

    def _state(self, desired: DesiredUnit, have: Unit) -> None:
        if desired.state == "started":
            if not have.running:
                self._do("start", desired.name, "state", "started", _word(have))
            elif have.masked or desired.name in self.moving:
                # systemd 252 forgets a running unit when its mask goes, and would start it beside its own processes.
                self.do["stop"].append(desired.name)
                self.do["start"].append(desired.name)
            elif desired.name in self.situation.seen.other_models:
                self._do("restart", desired.name, "models", *self.situation.seen.other_models[desired.name])
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
        elif before["enabled"] and not vanishes:
            self._links(name, enable=not have.starts_at_boot)
            if not have.starts_at_boot:
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
