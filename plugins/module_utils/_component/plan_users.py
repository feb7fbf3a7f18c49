# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans users: who is created, who joins which group, and who goes with the component."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import HostError
from . import claims
from .changes import Drift, Situation, UserChange


@dataclasses.dataclass(frozen=True)
class UserPart:
    """``gone`` lists ``{name, created, groups, group}``: users to remove after the commit, or to take out of groups."""

    drift: tuple[Drift, ...]
    changes: tuple[UserChange, ...]
    gone: tuple[dict[str, t.Any], ...]
    claims: dict[str, dict[str, t.Any]]


def plan(situation: Situation, *, pending: bool) -> UserPart:
    """``pending`` says that packages are still to be installed: they may bring a group that is missing now."""
    owned, others, seen = situation.owned, situation.others, situation.seen
    drift: list[Drift] = []
    changes: list[UserChange] = []
    taken: dict[str, dict[str, t.Any]] = {}
    for wanted in situation.component.users:
        have = seen.users[wanted.name]
        missing = seen.missing_groups.get(wanted.name, ())
        if missing and not pending:
            raise HostError(f"user {wanted.name} is to be in group {', '.join(missing)}, which does not exist")
        joined = have.groups if have else frozenset()
        add = tuple(group for group in wanted.groups if group not in joined)
        claim = owned.users.get(wanted.name) or claims.inherited_user(wanted.name, others)
        created = claim["created"] if claim else have is None
        ours = set(claim["groups"] if claim else ()) | set(add)
        taken[wanted.name] = {"created": created, "groups": sorted(ours & set(wanted.groups))}
        there = claim.get("group") if claim else seen.own_groups.get(wanted.name)
        if created and there is not None:
            taken[wanted.name]["group"] = there
        differs = have is not None and (have.home, have.shell) != (wanted.home, wanted.shell)
        if have is None:
            drift.append(Drift("user", wanted.name, "state", "present", None))
        else:
            if have.home != wanted.home:
                drift.append(Drift("user", wanted.name, "home", wanted.home, have.home))
            if have.shell != wanted.shell:
                drift.append(Drift("user", wanted.name, "shell", wanted.shell, have.shell))
            if add:
                drift.append(Drift("user", wanted.name, "groups", list(wanted.groups), sorted(joined)))
        if have is None or differs or add:
            changes.append(UserChange(wanted, have is None, add))
    gone = []
    for name, claim in owned.users.items():
        found = seen.users[name]
        if name in taken or claims.inherited_user(name, others) or found is None:
            continue
        joined = found.groups
        if claim["created"]:
            drift.append(Drift("user", name, "state", None, "present"))
        elif joined.intersection(claim["groups"]):
            drift.append(Drift("user", name, "groups", sorted(joined.difference(claim["groups"])), sorted(joined)))
        if claim["created"] or claim["groups"]:
            gone.append({"name": name, "group": claim.get("group"), **claim})
    return UserPart(tuple(drift), tuple(changes), tuple(gone), taken)
