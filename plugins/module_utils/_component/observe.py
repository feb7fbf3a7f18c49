# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What there is on the host of all that a component asks for or owns: everything the plan looks at."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .. import _package_manager
from .._package_manager import Manager
from .._runner import Runner
from . import boot_links, dpkg_repair, fs_entry, packages, repositories, units, users
from .boot_links import BootLinks
from .desired import Component, DesiredFile, DesiredImage
from .fs_entry import Entry
from .packages import Installed
from .store import Ledger, Store, unpack
from .units import Unit
from .users import User


@dataclasses.dataclass(frozen=True)
class Observed:
    """``entries`` by path; ``children``: what lies in each directory that may have to go; ``originals``: what the
    ledger kept of the paths that may have to be given back; ``strays``: all that lies in each directory that is purged,
    ours too; ``drop_ins``: the same of each unit; ``missing_images``: those that their engine does not have;
    ``leaving_units``: units whose file has to go; ``boot_links``: of units whose file is the component's;
    ``interrupted``: dpkg was killed in the middle of its work."""

    manager: Manager | None
    entries: t.Mapping[str, Entry]
    children: t.Mapping[str, t.Sequence[str]]
    originals: t.Mapping[str, Entry]
    strays: t.Mapping[str, t.Sequence[str]]
    drop_ins: t.Mapping[str, t.Sequence[str]]
    packages: t.Mapping[str, Installed]
    users: t.Mapping[str, User | None]
    missing_groups: t.Mapping[str, t.Sequence[str]]
    units: t.Mapping[str, Unit]
    repository_files: tuple[DesiredFile, ...]
    leaving_units: t.Sequence[str] = ()
    boot_links: BootLinks = BootLinks()
    interrupted: bool = False
    missing_images: tuple[DesiredImage, ...] = ()
    own_groups: t.Mapping[str, int] = dataclasses.field(
        default_factory=dict
    )  # of users that are desired, by their name
    # What units that run were given, and what they have, where that is not the same.
    other_models: t.Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)


def observe(component: Component, owned: Ledger, store: Store, run: Runner) -> Observed:
    """Read the host; at most one process for all packages and one for all units."""
    manager = (
        _package_manager.find_manager() if component.packages or component.repositories or owned.packages else None
    )
    repository_files: tuple[DesiredFile, ...] = ()
    if manager is not None:
        repository_files = tuple(
            file for repository in component.repositories for file in repositories.files(repository, manager)
        )
    desired_paths = {
        *(item.path for item in repository_files),
        *(item.path for item in component.directories),
        *(item.path for item in component.files),
        *(item.path for item in component.links),
        *component.absent_paths,
    }
    package_names = sorted({item.name for item in component.packages} | set(owned.packages))
    user_names = {item.name for item in component.users} | set(owned.users)
    released = set(owned.paths) - desired_paths
    leaving = [path for path in sorted(released) if owned.paths[path]["original"]["kind"] == "absent"]
    leaving_units = [name for path in leaving for name in units.of_file(path, run)]
    unit_names = sorted({*(item.name for item in component.units), *owned.units, *leaving_units})
    ours = {*(item.path for item in component.files), *owned.paths}
    strays = {item.path: _below(item.path) for item in component.directories if item.purge}
    drop_ins = {item.name: units.drop_ins(item.name) for item in component.units}
    seen_units = units.observe(unit_names, run)
    unasked = {path for found in (*strays.values(), *drop_ins.values()) for path in found}
    return Observed(
        manager=manager,
        entries={path: fs_entry.read(path) for path in desired_paths | set(owned.paths) | unasked},
        children={path: _children(path) for path in released if owned.paths[path]["kind"] == "directory"},
        originals={
            path: unpack(record["original"], store)
            for path, record in owned.paths.items()
            if path in released or record["kind"] == "json"
        },
        strays=strays,
        drop_ins=drop_ins,
        packages={} if manager is None else packages.observe(package_names, manager, run),
        interrupted=manager == "apt" and dpkg_repair.interrupted(),
        users={name: users.observe(name) for name in user_names},
        missing_groups={item.name: users.missing_groups(item) for item in component.users if item.groups},
        own_groups={item.name: gid for item in component.users if (gid := users.own_group(item.name)) is not None},
        units=seen_units,
        leaving_units=leaving_units,
        boot_links=boot_links.observe([name for name in unit_names if boot_links.file_of(name) in ours]),
        missing_images=_missing(component.images, run) if component.images else (),
        other_models=_other_models(component, seen_units),
        repository_files=repository_files,
    )


def _missing(desired: t.Sequence[DesiredImage], run: Runner) -> tuple[DesiredImage, ...]:
    from .._container_runtime import images  # few components have some, and every fast check would load it

    return tuple(image for image in desired if images.missing([image.name], image.engine, run))


def _other_models(component: Component, seen: t.Mapping[str, Unit]) -> dict[str, tuple[str, str]]:
    found = {}
    for condition in component.ready:
        asked = condition.get("inference") or {}
        if asked.get("models_file") and seen[condition["unit"]].active_state == "active":
            # Few servers take in their models, and every fast check would load it.
            from .._http_plain import PlainFetch
            from .._inference import models

            if difference := models.difference(asked["models_file"], asked["url"], PlainFetch()):
                found[condition["unit"]] = difference
    return found


def _children(path: str) -> list[str]:
    try:
        return [os.path.join(path, name) for name in os.listdir(path)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _below(path: str) -> list[str]:
    """Everything below a directory, at any depth, links not followed. What waits to be swapped in is left out."""
    found = []
    for parent, folders, files in os.walk(path):
        names = (*folders, *(name for name in files if not name.endswith(fs_entry.STAGED_SUFFIX)))
        found += [os.path.join(parent, name) for name in names]
    return found
