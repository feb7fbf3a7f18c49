# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""From the instances that a GPU has to the profiles that are desired, with as little destroyed as can be. Pure."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import typing as t

from .._errors import HostError
from .mig_tables import Instance, Profile

Place = tuple[Profile, int]


@dataclasses.dataclass(frozen=True)
class Change:
    """What differs. ``fill``: instances that stay and lack their compute instance. ``create``: profiles with a slot."""

    destroy: tuple[Instance, ...] = ()
    fill: tuple[Instance, ...] = ()
    create: tuple[Place, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.destroy or self.fill or self.create)


def layout(instances: t.Iterable[Instance]) -> list[str]:
    """Profiles in an order that does not depend on who was created first."""
    return sorted(instance.profile for instance in instances)


def is_right(instances: t.Sequence[Instance], desired: t.Sequence[str]) -> bool:
    """Whether the instances are those that are desired, each with one compute instance."""
    return layout(instances) == sorted(desired) and all(instance.is_whole for instance in instances)


def change(
    have: t.Sequence[Instance],
    desired: t.Sequence[str],
    offered: t.Sequence[Profile],
    *,
    busy: t.Collection[int | None] = (),
) -> Change:
    """What to destroy, fill and create; of instances that can go, rather those that are not ``busy``.

    Raises HostError for a profile that there is not, and for what does not fit.
    """
    if is_right(have, desired):
        return Change()
    known = {profile.name: profile for profile in offered}
    unknown = sorted(set(desired) - known.keys())
    if unknown:
        raise HostError(
            f"{', '.join(unknown)}: the device has no such profile. It has: {', '.join(_by_size(known.values()))}"
        )
    order = _largest_first([known[name] for name in desired])
    if _fit(order, set()) is None:
        raise HostError(_does_not_fit(order, offered))
    # Instances that were split further are no whole slices, and cannot be kept.
    usable = [one for one in have if one.is_whole or not one.compute]
    for count in range(len(usable), -1, -1):
        choices = itertools.combinations(usable, count)
        for kept in sorted(choices, key=lambda some: -sum(one.number in busy for one in some)):
            missing = collections.Counter(desired)
            missing.subtract(one.profile for one in kept)
            if min(missing.values(), default=0) < 0:
                continue
            new = _largest_first([known[name] for name in missing.elements()])
            places = _fit(new, {slot for one in kept for slot in one.slots})
            if places is not None:
                return Change(
                    destroy=tuple(one for one in have if one not in kept),
                    fill=tuple(one for one in kept if not one.compute),
                    create=places,
                )
    raise HostError(_does_not_fit(order, offered))


def _largest_first(profiles: t.Iterable[Profile]) -> list[Profile]:
    """A large instance has few slots where it can begin; after small ones there may be none."""
    return sorted(profiles, key=lambda one: (-one.size, len(one.starts), one.name))


def _fit(profiles: t.Sequence[Profile], taken: t.Collection[int]) -> tuple[Place, ...] | None:
    """A slot for each, or None where there is no way."""
    if not profiles:
        return ()
    first, rest = profiles[0], profiles[1:]
    if sum(one.name == first.name for one in profiles) > first.total:
        return None
    for start in first.starts:
        slots = set(range(start, start + first.size))
        if slots.isdisjoint(taken):
            others = _fit(rest, {*taken, *slots})
            if others is not None:
                return ((first, start), *others)
    return None


def _does_not_fit(order: t.Sequence[Profile], offered: t.Sequence[Profile]) -> str:
    fitting: list[Profile] = []
    for profile in order:
        if _fit([*fitting, profile], set()) is not None:
            fitting.append(profile)
    left = collections.Counter(one.name for one in order)
    left.subtract(one.name for one in fitting)
    return (
        f"{', '.join(one.name for one in order)} do not fit on the device. Of them fit: "
        f"{', '.join(one.name for one in fitting) or 'none'}; not: {', '.join(left.elements())}. At most fit, of one "
        f"kind alone: {', '.join(f'{one.total} of {one.name}' for one in _largest_first(offered))}"
    )


def _by_size(profiles: t.Iterable[Profile]) -> list[str]:
    return [one.name for one in _largest_first(profiles)]
