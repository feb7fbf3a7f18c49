# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The plan: from what is desired, owned and observed to what will change. Pure; check mode is this, printed."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drift import Drift
from .._package_manager import SOURCES, Manager
from . import plan_packages, plan_paths, plan_units, plan_users
from .changes import PathChange, Situation, UnitChanges, UserChange
from .desired import DesiredImage, DesiredPackage
from .packages import Work
from .store import Ledger


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a transaction does. ``ledger`` is what the component owns when it is committed."""

    drift: tuple[Drift, ...]
    manager: Manager | None
    before_packages: tuple[PathChange, ...]
    work: tuple[Work, ...]
    to_install: tuple[DesiredPackage, ...]
    packages_changed: tuple[str, ...]
    holds: tuple[tuple[str, bool], ...]
    users: tuple[UserChange, ...]
    paths: tuple[PathChange, ...]
    revalidated: tuple[PathChange, ...]
    units: UnitChanges
    removals: tuple[str, ...]
    users_gone: tuple[dict[str, t.Any], ...]
    directories_gone: tuple[str, ...]
    ledger: Ledger
    ready: tuple[t.Mapping[str, t.Any], ...]
    reboot_required: bool
    notes: tuple[str, ...] = ()
    images: tuple[DesiredImage, ...] = ()

    @property
    def repins(self) -> bool:
        """Whether what decides on versions changes before packages do."""
        packages_first = any(desired.before_packages for desired in self.to_install)
        return packages_first or any(change.path.startswith("/etc/apt/preferences") for change in self.before_packages)

    @property
    def adds_sources(self) -> tuple[str, ...]:
        """Repositories, module streams, and packages that may hold some, which come before the other packages."""
        written = [change.path for change in self.before_packages if change.after.kind == "file"]
        repositories = [path for path in written if path.startswith(SOURCES)]
        return (*repositories, *(f"package {desired.name}" for desired in self.to_install if desired.before_packages))

    @property
    def interrupted(self) -> bool:
        """Whether a killed dpkg has to be ended first."""
        return any((item.kind, item.item) == ("package", "dpkg") for item in self.drift)

    @property
    def empty(self) -> bool:
        return not self.drift and not self.units.any


def make(situation: Situation) -> Plan:
    component = situation.component
    path = plan_paths.plan(situation)
    package = plan_packages.plan(situation)
    user = plan_users.plan(situation, pending=bool(package.work))
    unit = plan_units.plan(situation, (*path.before_packages, *path.changes), package.effects)
    images = tuple(Drift("image", image.name, "state", "present", "absent") for image in situation.seen.missing_images)
    effects = (*(change.effect for change in path.changes), *package.effects)
    return Plan(
        drift=(*images, *package.drift, *user.drift, *path.drift, *unit.drift),
        manager=situation.seen.manager,
        before_packages=path.before_packages,
        work=package.work,
        to_install=package.to_install,
        packages_changed=package.changed,
        holds=package.holds,
        users=user.changes,
        paths=(*path.changes, *unit.paths),
        revalidated=path.revalidated,
        units=unit.changes,
        removals=package.removals,
        users_gone=user.gone,
        directories_gone=(*path.gone, *unit.gone),
        ledger=Ledger(
            component=component.name,
            paths=path.records,
            packages=package.records,
            users=user.records,
            units=unit.records,
            ready=[dict(condition) for condition in component.ready],
            settle_s=component.settle_s,
        ),
        ready=tuple(
            condition
            for condition in component.ready
            if condition.get("unit") is None or condition["unit"] in unit.changes.activated
        ),
        reboot_required=any(effect.impact == "reboot" for effect in effects),
        notes=path.notes,
        images=situation.seen.missing_images,
    )
