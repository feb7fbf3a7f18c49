# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans packages: what the package manager has to do, native locks, and what goes when nobody needs it any more."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drift import Drift
from .._errors import HostError
from .._package_manager import Manager
from . import ownership, packages
from .changes import NOTHING, Situation
from .desired import DesiredPackage, Effect
from .packages import Installed, Work


@dataclasses.dataclass(frozen=True)
class PackagePart:
    """``work`` is for the package manager before anything else, ``to_install`` what a repository must have for it,
    ``removals`` for after the commit. ``changed`` are the desired packages that this transaction installs, removes or
    moves to another version."""

    drift: tuple[Drift, ...]
    work: tuple[Work, ...]
    to_install: tuple[DesiredPackage, ...]
    removals: tuple[str, ...]
    holds: tuple[tuple[str, bool], ...]
    changed: tuple[str, ...]
    effects: tuple[Effect, ...]
    records: dict[str, dict[str, t.Any]]


def plan(situation: Situation) -> PackagePart:
    component, owned, others, seen = situation.component, situation.owned, situation.others, situation.seen
    manager = t.cast(Manager, seen.manager)
    drift: list[Drift] = []
    taken: dict[str, dict[str, t.Any]] = {}
    holds: list[tuple[str, bool]] = []
    first: list[str] = []
    install: list[str] = []
    to_install: list[DesiredPackage] = []
    remove: list[str] = []
    changed = set(situation.journal.packages_changed) if situation.journal else set()
    for desired in component.packages:
        have = seen.packages[desired.name]
        had_hold = bool(owned.packages.get(desired.name, {}).get("held"))
        ours = had_hold or not _was_held(situation, desired.name, have)
        if desired.owned:
            taken[desired.name] = {
                "original": _original(situation, desired.name, have),
                "held": desired.hold and ours,
                "before_packages": desired.before_packages,
            }
        if not packages.matches(desired, have, manager):
            changed.add(desired.name)
            drift.append(_drift(desired, have))
            if desired.present:
                (first if desired.before_packages else install).append(packages.install_name(desired, manager))
                to_install.append(desired)
            else:
                remove.append(desired.name)
            if have.held and not (desired.hold or had_hold):
                at = f" at {have.version}" if have.version else ""
                by = f" ({have.lock})" if have.lock else ""
                raise HostError(
                    f"package {desired.name} is locked{at} by somebody else{by}, and "
                    f"{desired.version or 'another' if desired.present else 'none'} is desired; open the lock, "
                    "or say hold: true"
                )
        if desired.hold != have.held and (desired.hold or had_hold):
            holds.append((desired.name, desired.hold))
            if have.version is not None:  # what is not there cannot be locked, and is one difference, not two
                drift.append(Drift("package", desired.name, "hold", desired.hold, have.held))
    removals: list[str] = []
    named = {desired.name for desired in component.packages}
    for name, record in owned.packages.items():
        if name in named or ownership.inherited_package(name, others):
            continue
        have = seen.packages[name]
        if record["held"] and have.held:
            holds.append((name, False))
            drift.append(Drift("package", name, "hold", False, True))
        if record["original"] is None and have.version is not None:
            removals.append(name)
            drift.append(Drift("package", name, "state", None, have.version))
        elif record["original"] is not None and have.version is None:
            install.append(name)
            to_install.append(DesiredPackage(name, True, None, False, NOTHING))
            drift.append(Drift("package", name, "state", record["original"], None))
    if seen.interrupted and (first or install or remove or removals):
        drift.append(Drift("package", "dpkg", "state", "configured", "interrupted"))
    work = []
    if remove:
        work.append(Work("absent", tuple(remove)))
    if first:
        work.append(Work("present", tuple(first)))
    if install:
        # What is no longer asked for may conflict with what is.
        work.append(Work("present", tuple(install), erasing=bool(removals)))
    moved = [desired for desired in component.packages if desired.name in changed]
    return PackagePart(
        drift=tuple(drift),
        work=tuple(work),
        to_install=tuple(to_install),
        removals=tuple(removals),
        holds=tuple(holds),
        changed=tuple(desired.name for desired in moved),
        effects=tuple(desired.effect for desired in moved),
        records=taken,
    )


def _original(situation: Situation, name: str, have: Installed) -> str | None:
    """The version from before the first component that desired this package."""
    record = situation.owned.packages.get(name) or ownership.inherited_package(name, situation.others)
    if record:
        return t.cast("str | None", record["original"])
    if situation.journal and name in situation.journal.packages_before:
        return t.cast("str | None", situation.journal.packages_before[name]["version"])
    return have.version


def _was_held(situation: Situation, name: str, have: Installed) -> bool:
    """Whether somebody had locked the package before this transaction."""
    if situation.journal and name in situation.journal.packages_before:
        return bool(situation.journal.packages_before[name]["held"])
    return have.held


def _drift(desired: DesiredPackage, have: Installed) -> Drift:
    if not have.whole:
        return Drift("package", desired.name, "state", "installed", "half installed")
    if not desired.present:
        return Drift("package", desired.name, "state", None, have.version)
    return Drift("package", desired.name, "version", desired.version or "any", have.version)
