# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans packages: what the package manager has to do, native locks, and what goes when nobody needs it any more."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import HostError
from . import claims, packages
from .changes import NOTHING, Drift, Situation
from .packages import Installed, Work
from .repositories import Manager
from .wanted import Effect, WantedPackage


@dataclasses.dataclass(frozen=True)
class PackagePart:
    """``work`` is for the package manager before anything else, ``asked`` what a repository must have for it,
    ``removals`` for after the commit. ``changed`` are the wanted packages that this transaction installs, removes or
    moves to another version."""

    drift: tuple[Drift, ...]
    work: tuple[Work, ...]
    asked: tuple[WantedPackage, ...]
    removals: tuple[str, ...]
    holds: tuple[tuple[str, bool], ...]
    changed: tuple[str, ...]
    effects: tuple[Effect, ...]
    claims: dict[str, dict[str, t.Any]]


def plan(situation: Situation) -> PackagePart:
    component, owned, others, seen = situation.component, situation.owned, situation.others, situation.seen
    manager = t.cast(Manager, seen.manager)
    drift: list[Drift] = []
    taken: dict[str, dict[str, t.Any]] = {}
    holds: list[tuple[str, bool]] = []
    early: list[str] = []
    install: list[str] = []
    asked: list[WantedPackage] = []
    remove: list[str] = []
    changed = set(situation.journal.packages_changed) if situation.journal else set()
    for wanted in component.packages:
        have = seen.packages[wanted.name]
        had_hold = bool(owned.packages.get(wanted.name, {}).get("held"))
        ours = had_hold or not _was_held(situation, wanted.name, have)
        if wanted.own:
            taken[wanted.name] = {
                "original": _original(situation, wanted.name, have),
                "held": wanted.hold and ours,
                "early": wanted.early,
            }
        if not packages.matches(wanted, have, manager):
            changed.add(wanted.name)
            drift.append(_drift(wanted, have))
            if wanted.present:
                (early if wanted.early else install).append(packages.install_name(wanted, manager))
                asked.append(wanted)
            else:
                remove.append(wanted.name)
            if have.held and not (wanted.hold or had_hold):
                at = f" at {have.version}" if have.version else ""
                by = f" ({have.lock})" if have.lock else ""
                raise HostError(
                    f"package {wanted.name} is locked{at} by somebody else{by}, and "
                    f"{wanted.version or 'another' if wanted.present else 'none'} is wanted; open the lock, "
                    "or say hold: true"
                )
        if wanted.hold != have.held and (wanted.hold or had_hold):
            holds.append((wanted.name, wanted.hold))
            if have.version is not None:  # what is not there cannot be locked, and is one difference, not two
                drift.append(Drift("package", wanted.name, "hold", wanted.hold, have.held))
    removals: list[str] = []
    named = {wanted.name for wanted in component.packages}
    for name, claim in owned.packages.items():
        if name in named or claims.inherited_package(name, others):
            continue
        have = seen.packages[name]
        if claim["held"] and have.held:
            holds.append((name, False))
            drift.append(Drift("package", name, "hold", False, True))
        if claim["original"] is None and have.version is not None:
            removals.append(name)
            drift.append(Drift("package", name, "state", None, have.version))
        elif claim["original"] is not None and have.version is None:
            install.append(name)
            asked.append(WantedPackage(name, True, None, False, NOTHING))
            drift.append(Drift("package", name, "state", claim["original"], None))
    if seen.interrupted and (early or install or remove or removals):
        drift.append(Drift("package", "dpkg", "state", "configured", "interrupted"))
    work = []
    if remove:
        work.append(Work("absent", tuple(remove)))
    if early:
        work.append(Work("present", tuple(early)))
    if install:
        # What is no longer asked for may conflict with what is.
        work.append(Work("present", tuple(install), erasing=bool(removals)))
    moved = [wanted for wanted in component.packages if wanted.name in changed]
    return PackagePart(
        drift=tuple(drift),
        work=tuple(work),
        asked=tuple(asked),
        removals=tuple(removals),
        holds=tuple(holds),
        changed=tuple(wanted.name for wanted in moved),
        effects=tuple(wanted.effect for wanted in moved),
        claims=taken,
    )


def _original(situation: Situation, name: str, have: Installed) -> str | None:
    """The version from before the first component that wanted this package."""
    claim = situation.owned.packages.get(name) or claims.inherited_package(name, situation.others)
    if claim:
        return t.cast("str | None", claim["original"])
    if situation.journal and name in situation.journal.packages_before:
        return t.cast("str | None", situation.journal.packages_before[name]["version"])
    return have.version


def _was_held(situation: Situation, name: str, have: Installed) -> bool:
    """Whether somebody had locked the package before this transaction."""
    if situation.journal and name in situation.journal.packages_before:
        return bool(situation.journal.packages_before[name]["held"])
    return have.held


def _drift(wanted: WantedPackage, have: Installed) -> Drift:
    if not have.whole:
        return Drift("package", wanted.name, "state", "installed", "half installed")
    if not wanted.present:
        return Drift("package", wanted.name, "state", None, have.version)
    return Drift("package", wanted.name, "version", wanted.version or "any", have.version)
