# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A plan in Ansible's diff format: all that it changes, in the order in which it does."""

from __future__ import annotations

import itertools
import typing as t

from .._drift import Drift
from .changes import PathChange
from .fs_entry import Entry, group_name, owner_name
from .packages import Move
from .plan import Plan

DiffEntry = dict[str, str]
# Of these a path change shows more.
_OF_PATHS = ("repository", "file", "json_key", "link", "path")
_ATTRIBUTES = ("mode", "owner", "group")
_SHOWN_BY_PATHS = ("drop_in", "links")


def entries(planned: Plan, moves: t.Mapping[str, Move]) -> list[DiffEntry]:
    """``moves`` are packages that the package manager says will change, dependencies too, by name."""
    found = [_entry(f"image {image.name}", [], ["present"]) for image in planned.images]
    found += [_path(change) for change in planned.before_packages]
    drift = {
        kind: {name: list(same) for name, same in itertools.groupby(items, key=lambda item: item.item)}
        for kind, items in _by_kind(planned.drift).items()
    }
    for name, items in drift.get("package", {}).items():
        found.append(_entry(f"package {name}", *_package(items, moves.get(name))))
    for name in sorted(moves.keys() - drift.get("package", {}).keys()):
        found.append(_entry(f"package {name}", *_versions(moves[name].before, moves[name].after)))
    created = {change.desired.name: change.desired for change in planned.users if change.create}
    for name, items in drift.get("user", {}).items():
        before, after = _lines(items)
        if name in created:
            user = created[name]
            after = [f"home: {user.home}", f"shell: {user.shell}", f"groups: {_shown([name, *user.groups])}"]
        found.append(_entry(f"user {name}", before, after))
    found += [_path(change) for change in planned.paths]
    changed = {change.path for change in planned.paths}
    for item in drift.get("directory", {}):
        if item not in changed:
            found.append(_entry(item, ["directory"], []))
    for kind in _OF_PATHS:
        for path, items in drift.get(kind, {}).items():
            attributes = [item for item in items if item.attribute in _ATTRIBUTES]
            if attributes:
                found.append(_entry(f"{path} (attributes)", *_lines(attributes)))
    for change in (*planned.before_packages, *planned.paths):
        if change.effect.command:
            found.append(_entry(f"{change.path} (applied)", [], [" ".join(change.effect.command)]))
    if planned.units.reread:
        found.append(_entry("systemd", [], ["daemon-reload"]))
    found += _units(planned, drift.get("unit", {}))
    if planned.reboot_required:
        found.append(_entry("host", [], ["reboot required"]))
    return [entry for entry in found if entry["before"] != entry["after"]]


def _by_kind(drift: t.Iterable[Drift]) -> dict[str, list[Drift]]:
    found: dict[str, list[Drift]] = {}
    for item in sorted(drift, key=lambda item: (item.kind, item.item)):
        found.setdefault(item.kind, []).append(item)
    return found


def _units(planned: Plan, drift: t.Mapping[str, t.Sequence[Drift]]) -> list[DiffEntry]:
    verbs = (("restarted", planned.units.restart), ("reloaded", planned.units.reload))
    names = dict.fromkeys([*drift, *planned.units.stop, *planned.units.activated])
    found = []
    for name in names:
        before, after = _lines([item for item in drift.get(name, ()) if item.attribute not in _SHOWN_BY_PATHS])
        after += [verb for verb, having in verbs if name in having]
        found.append(_entry(f"unit {name}", before, after))
    return found


def _package(items: t.Iterable[Drift], move: Move | None) -> tuple[list[str], list[str]]:
    before: list[str] = []
    after: list[str] = []
    for item in items:
        if item.attribute == "hold" or "half installed" in (item.have, item.want) or item.item == "dpkg":
            old, new = _lines([item])
        else:
            old, new = _versions(item.have, move.after if move else item.want)
        before += old
        after += new
    return before, after


def _versions(before: str | None, after: str | None) -> tuple[list[str], list[str]]:
    return [f"version: {before}"] if before else [], [f"version: {after}"] if after else []


def _lines(items: t.Iterable[Drift]) -> tuple[list[str], list[str]]:
    items = list(items)
    return (
        [f"{item.attribute}: {_shown(item.have)}" for item in items if item.have is not None],
        [f"{item.attribute}: {_shown(item.want)}" for item in items if item.want is not None],
    )


def _shown(value: t.Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _entry(header: str, before: t.Sequence[str], after: t.Sequence[str]) -> DiffEntry:
    return {
        "before_header": header,
        "after_header": header,
        "before": "".join(f"{line}\n" for line in before),
        "after": "".join(f"{line}\n" for line in after),
    }


def _path(change: PathChange) -> DiffEntry:
    before, after = change.before, change.after
    new = change.secret and after.kind == "file" and before.kind == "file" and before.content != after.content
    return {
        "before_header": change.path,
        "after_header": change.path,
        "before": _content(before, secret=change.secret),
        "after": "(not shown, new content)\n" if new else _content(after, secret=change.secret, change=change),
    }


def _content(found: Entry, *, secret: bool, change: PathChange | None = None) -> str:
    if found.kind == "absent":
        return ""
    if found.kind == "link":
        return f"-> {found.target}\n"
    if found.kind == "directory":
        owner, group = (change.owner, change.group) if change else (owner_name(found.uid), group_name(found.gid))
        return f"directory\nmode: {found.mode:04o}\nowner: {owner}\ngroup: {group}\n"
    if found.kind != "file":
        return f"{found.kind}\n"
    return "(not shown)\n" if secret else (found.content or b"").decode("utf-8", "replace") or "(empty)\n"
