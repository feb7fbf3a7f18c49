# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU instances and compute instances: where they fit, and what making and destroying them says and answers."""

from __future__ import annotations

import typing as t

from . import catalog
from .answer import IN_USE, INSUFFICIENT, INVALID, NOT_FOUND, Refused
from .catalog import Profile
from .state import ComputeInstance, Gpu, GpuInstance

# The IDs of instances of so many slots, in the order in which the driver gives them to those of four.
_HALVES = (2, 1)


def free_starts(gpu: Gpu, profile: Profile) -> list[int]:
    """Where an instance can begin now, in the order in which the driver tries."""
    taken = {slot for one in gpu.instances for slot in range(one.start, one.start + one.size)}
    slices = sum(gpu.profile(one.profile).slices for one in gpu.instances)
    same = sum(one.profile == profile.number for one in gpu.instances)
    media = any(gpu.profile(one.profile).media for one in gpu.instances)
    if slices + profile.slices > 7 or same >= profile.total or (media and profile.media):
        return []
    return [start for start in profile.starts if not taken & set(range(start, start + profile.size))]


def how_many(gpu: Gpu, profile: Profile) -> int:
    """How many more instances of one kind would fit."""
    if not gpu.mig:
        return 0
    same = sum(one.profile == profile.number for one in gpu.instances)
    slices = sum(gpu.profile(one.profile).slices for one in gpu.instances)
    return min(len(free_starts(gpu, profile)), profile.total - same, (7 - slices) // profile.slices)


def find_profile(gpu: Gpu, text: str) -> Profile | None:
    """By number, by name, and by name with "MIG" before it."""
    name = text.strip().removeprefix("MIG ")
    return next((one for one in gpu.kind.profiles if name in (str(one.number), one.name)), None)


def create(gpu: Gpu, index: int, desired: str, *, with_compute: bool) -> t.Iterator[str]:
    """Make the GPU instances of a list such as "9,19:0,2g.10gb", one after the other. Raises Refused at the first that
    does not fit; those before it stay."""
    for tuple_ in desired.split(","):
        text, _colon, start = tuple_.partition(":")
        profile = find_profile(gpu, text)
        what = f"Unable to create a GPU instance on GPU {index:>2} using profile {text.strip()}"
        if profile is None:
            raise Refused(INVALID, f"{what}: Invalid Argument", "Failed to create GPU instances: Invalid Argument")
        if any(client.instance is None for client in gpu.clients()):
            raise _in_use(what, "Failed to create GPU instances")
        free = free_starts(gpu, profile)
        at = int(start) if start.isdigit() else free[0] if free else -1
        if at not in free:
            insufficient = "Insufficient Resources"
            raise Refused(INSUFFICIENT, f"{what}: {insufficient}", f"Failed to create GPU instances: {insufficient}")
        instance = GpuInstance(_number(gpu, profile, at), profile.number, at, profile.size, [])
        gpu.instances.append(instance)
        yield (
            f"Successfully created GPU instance ID {instance.number:>2} on GPU {index:>2} "
            f"using profile MIG {profile.name} (ID {profile.number:>2})"
        )
        if with_compute:
            yield from create_compute(gpu, index, instance, "")


def create_compute(gpu: Gpu, index: int, instance: GpuInstance, desired: str) -> t.Iterator[str]:
    """Make the compute instances of a list such as "0,1"; without one, that which takes the whole GPU instance."""
    profile = gpu.profile(instance.profile)
    for text in desired.split(",") if desired else [str(profile.compute_number)]:
        slices = _slices(profile, text)
        where = f"GPU {index:>2} GPU instance ID {instance.number:>2}"
        what = f"Unable to create a compute instance on {where} using profile {text.strip()}"
        if slices is None:
            raise Refused(INVALID, f"{what}: Invalid Argument", "Failed to create compute instances: Invalid Argument")
        start = _compute_start(profile, instance, slices)
        if start is None:
            insufficient = "Insufficient Resources"
            raise Refused(
                INSUFFICIENT, f"{what}: {insufficient}", f"Failed to create compute instances: {insufficient}"
            )
        number = next(number for number in range(8) if number not in {one.number for one in instance.compute})
        instance.compute.append(ComputeInstance(number, start, slices))
        yield (
            f"Successfully created compute instance ID {number:>2} on {where} using profile MIG "
            f"{compute_name(profile, slices)} (ID {compute_number(profile, slices):>2})"
        )


def destroy_compute(gpu: Gpu, index: int, instance: GpuInstance, numbers: t.Collection[int]) -> t.Iterator[str]:
    for compute in sorted(instance.compute, key=lambda one: one.number):
        if numbers and compute.number not in numbers:
            continue
        where = f"compute instance ID {compute.number:>2} from GPU {index:>2} GPU instance ID {instance.number:>2}"
        if any(
            client.instance == instance.number and client.compute in (None, compute.number) for client in gpu.clients()
        ):
            raise _in_use(f"Unable to destroy {where}", "Failed to destroy compute instances")
        instance.compute.remove(compute)
        yield f"Successfully destroyed {where}"


def destroy(gpu: Gpu, index: int, instance: GpuInstance) -> t.Iterator[str]:
    """Destroy a GPU instance. Raises Refused as long as compute instances are in it."""
    where = f"GPU instance ID {instance.number:>2} from GPU {index:>2}"
    if instance.compute or any(client.instance == instance.number for client in gpu.clients()):
        raise _in_use(f"Unable to destroy {where}", "Failed to destroy GPU instances")
    gpu.instances.remove(instance)
    yield f"Successfully destroyed {where}"


def none_found(what: str) -> Refused:
    return Refused(NOT_FOUND, f"No {what} found: Not Found")


def compute_name(profile: Profile, slices: int) -> str:
    return profile.name if slices == profile.slices else f"{slices}c.{profile.name}"


def compute_number(profile: Profile, slices: int) -> int:
    return profile.compute_number if slices == profile.slices else catalog.COMPUTE_NUMBERS[slices]


def _slices(profile: Profile, text: str) -> int | None:
    """How many slices a compute profile has, by its number or name."""
    for slices in catalog.COMPUTE_NUMBERS:
        is_named = text.strip() in (str(compute_number(profile, slices)), compute_name(profile, slices))
        if slices <= profile.slices and is_named:
            return slices
    return None


def _compute_start(profile: Profile, instance: GpuInstance, slices: int) -> int | None:
    taken = {slot for one in instance.compute for slot in range(one.start, one.start + one.size)}
    starts = range(profile.slices - slices + 1)
    return next((start for start in starts if not taken & set(range(start, start + slices))), None)


def _number(gpu: Gpu, profile: Profile, start: int) -> int:
    """The ID of a GPU instance follows from its size and place: 0, 1 and 2, 3 to 6, 7 to 13."""
    if profile.size == 4:
        return next(number for number in _HALVES if number not in {one.number for one in gpu.instances})
    return {8: 0, 2: 3 + start // 2, 1: 7 + start}[profile.size]


def _in_use(what: str, failed: str) -> Refused:
    return Refused(IN_USE, f"{what}: In use by another client", f"{failed}: In use by another client")
