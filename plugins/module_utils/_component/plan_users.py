# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans users: who is created, who joins which group, and who goes with the component."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drift import Drift
from .._errors import HostError
from . import ownership
from .changes import Situation, UserChange


@dataclasses.dataclass(frozen=True)
class UserPart:
    """``gone`` lists ``{name, created, groups, group}``: users to remove after the commit, or to take out of groups."""

    drift: tuple[Drift, ...]
    changes: tuple[UserChange, ...]
    gone: tuple[dict[str, t.Any], ...]
    records: dict[str, dict[str, t.Any]]


def plan(situation: Situation, *, pending: bool) -> UserPart:
    """``pending`` says that packages are still to be installed: they may bring a group that is missing now."""
    owned, others, seen = situation.owned, situation.others, situation.seen
    drift: list[Drift] = []
    changes: list[UserChange] = []
    taken: dict[str, dict[str, t.Any]] = {}
    for desired in situation.component.users:
        have = seen.users[desired.name]
        missing = seen.missing_groups.get(desired.name, ())
        if missing and not pending:
            raise HostError(f"user {desired.name} is to be in group {', '.join(missing)}, which does not exist")
        joined = have.groups if have else frozenset()
        add = tuple(group for group in desired.groups if group not in joined)
        record = owned.users.get(desired.name) or ownership.inherited_user(desired.name, others)
        created = record["created"] if record else have is None
        ours = set(record["groups"] if record else ()) | set(add)
        taken[desired.name] = {"created": created, "groups": sorted(ours & set(desired.groups))}
        there = record.get("group") if record else seen.own_groups.get(desired.name)
        if created and there is not None:
            taken[desired.name]["group"] = there
        differs = have is not None and (have.home, have.shell) != (desired.home, desired.shell)
        if have is None:
            drift.append(Drift("user", desired.name, "state", "present", None))
        else:
            if have.home != desired.home:
                drift.append(Drift("user", desired.name, "home", desired.home, have.home))
            if have.shell != desired.shell:
                drift.append(Drift("user", desired.name, "shell", desired.shell, have.shell))
            if add:
                drift.append(Drift("user", desired.name, "groups", list(desired.groups), sorted(joined)))
        if have is None or differs or add:
            changes.append(UserChange(desired, have is None, add))
    gone = []
    for name, record in owned.users.items():
        found = seen.users[name]
        if name in taken or ownership.inherited_user(name, others) or found is None:
            continue
        joined = found.groups
        if record["created"]:
            drift.append(Drift("user", name, "state", None, "present"))
        elif joined.intersection(record["groups"]):
            drift.append(Drift("user", name, "groups", sorted(joined.difference(record["groups"])), sorted(joined)))
        if record["created"] or record["groups"]:
            gone.append({"name": name, "group": record.get("group"), **record})
    return UserPart(tuple(drift), tuple(changes), tuple(gone), taken)
