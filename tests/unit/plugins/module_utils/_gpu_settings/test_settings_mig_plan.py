# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings import mig_plan
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings.mig_tables import Instance, Profile
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu_settings.support import A100
from hypothesis import given
from hypothesis import strategies as st

OFFERED = tuple(Profile(name, number, total, size, starts) for name, number, total, size, starts in A100)
SIZES = {profile.name: profile.size for profile in OFFERED}


def there(*places: str) -> tuple[Instance, ...]:
    """Instances from "3g.20gb@4"; the number is the order of creation."""
    found = []
    for number, place in enumerate(places, 1):
        name, start = place.split("@")
        found.append(Instance(name, number, int(start), SIZES[name], (name,)))
    return tuple(found)


def done(have: tuple[Instance, ...], change: mig_plan.Change) -> tuple[Instance, ...]:
    """What is there after a change. Fails where slots overlap."""
    left = [one for one in have if one not in change.destroy and one not in change.fill]
    left += [Instance(one.profile, one.number, one.start, one.size, (one.profile,)) for one in change.fill]
    number = max((one.number for one in have), default=0)
    for profile, start in change.create:
        number += 1
        left.append(Instance(profile.name, number, start, profile.size, (profile.name,)))
    slots = [slot for one in left for slot in one.slots]
    assert len(slots) == len(set(slots)) and max(slots, default=0) < 8
    return tuple(left)


@pytest.mark.parametrize(
    ("have", "desired", "destroyed", "created"),
    [
        pytest.param(["3g.20gb@0", "1g.5gb@4"], ["1g.5gb", "3g.20gb"], [], [], id="right-in-another-order"),
        pytest.param([], ["1g.5gb", "3g.20gb", "2g.10gb"], [], ["3g.20gb", "2g.10gb", "1g.5gb"], id="largest-first"),
        pytest.param(["3g.20gb@0", "3g.20gb@4"], ["3g.20gb", "2g.10gb"], [2], ["2g.10gb"], id="one-of-two-stays"),
        pytest.param(["3g.20gb@0", "1g.5gb@4"], ["3g.20gb"], [2], [], id="one-too-many"),
        pytest.param(
            ["1g.5gb@0"], ["1g.5gb", "4g.20gb"], [1], ["4g.20gb", "1g.5gb"], id="a-kept-one-would-be-in-the-way"
        ),
        pytest.param(
            ["1g.5gb@0", "1g.5gb@4"],
            ["1g.5gb", "1g.5gb", "4g.20gb"],
            [1],
            ["4g.20gb", "1g.5gb"],
            id="only-that-one-goes",
        ),
        pytest.param(
            ["1g.5gb@5", "1g.5gb@1", "2g.10gb@2"],
            ["1g.5gb", "1g.5gb", "3g.20gb"],
            [2, 3],
            ["3g.20gb", "1g.5gb"],
            id="as-many-as-make-room-go",
        ),
        pytest.param(["7g.40gb@0"], [], [1], [], id="nothing-desired"),
    ],
)
def test_as_little_as_can_be_is_destroyed(have, desired, destroyed, created):
    before = there(*have)
    change = mig_plan.change(before, desired, OFFERED)
    assert [one.number for one in change.destroy] == destroyed
    assert [profile.name for profile, _start in change.create] == created
    assert mig_plan.is_right(done(before, change), desired)


def test_of_two_that_can_go_the_idle_one_goes():
    before = there("3g.20gb@0", "3g.20gb@4")
    for busy, gone in ((1, 2), (2, 1)):
        change = mig_plan.change(before, ["3g.20gb"], OFFERED, busy={busy})
        assert [one.number for one in change.destroy] == [gone]


def test_an_instance_without_a_compute_instance_gets_one():
    bare = Instance("3g.20gb", 1, 0, 4)
    change = mig_plan.change((bare,), ["3g.20gb"], OFFERED)
    assert change == mig_plan.Change(fill=(bare,))


def test_an_instance_that_was_split_further_is_made_anew():
    split = Instance("3g.20gb", 1, 0, 4, ("1c.3g.20gb", "2c.3g.20gb"))
    change = mig_plan.change((split,), ["3g.20gb"], OFFERED)
    assert (change.destroy, [profile.name for profile, _start in change.create]) == ((split,), ["3g.20gb"])


def test_a_profile_that_the_device_does_not_have():
    with pytest.raises(HostError, match=r"3g.71gb: the device has no such profile. It has: 7g.40gb, .*3g.20gb"):
        mig_plan.change((), ["3g.71gb"], OFFERED)


@pytest.mark.parametrize(
    ("desired", "why"),
    [
        pytest.param(["3g.20gb"] * 2 + ["1g.5gb"], "Of them fit: 3g.20gb, 3g.20gb; not: 1g.5gb", id="no-room"),
        pytest.param(["1g.5gb+me"] * 2, r"Of them fit: 1g.5gb\+me; not: 1g.5gb\+me", id="one-media-engine"),
        pytest.param(["1g.5gb"] * 8, "7 of 1g.5gb", id="one-too-many"),
    ],
)
def test_a_geometry_that_does_not_fit_says_what_fits(desired, why):
    with pytest.raises(HostError, match=why):
        mig_plan.change((), desired, OFFERED)


names = st.lists(st.sampled_from(sorted(SIZES)), max_size=7)


@given(names, names)
def test_after_any_change_that_fits_nothing_is_left_to_do(first, second):
    try:
        one = done((), mig_plan.change((), first, OFFERED))
        change = mig_plan.change(one, second, OFFERED)
    except HostError:
        return
    two = done(one, change)
    assert mig_plan.is_right(two, second)
    assert not mig_plan.change(two, second, OFFERED)
    # No smaller set of instances would have done.
    for count in range(len(change.destroy)):
        for gone in itertools.combinations(one, count):
            kept = [instance for instance in one if instance not in gone]
            rest = list(second)
            if all(instance.profile in rest and not rest.remove(instance.profile) for instance in kept):
                taken = {slot for instance in kept for slot in instance.slots}
                by_name = {profile.name: profile for profile in OFFERED}
                left = sorted((by_name[name] for name in rest), key=lambda profile: -profile.size)
                assert mig_plan._fit(left, taken) is None
