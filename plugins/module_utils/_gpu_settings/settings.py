# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Settings of one GPU: what it has, what is desired, and the commands from one to the other. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import HostError
from .._gpu.types import Gpu
from .locked_clocks import Locks
from .result import View
from .select import Desired, named

CLOCKS = {"locked_clocks_mhz": ("-lgc", "-rgc"), "locked_memory_clocks_mhz": ("-lmc", "-rmc")}
# The order in which they are set: ECC may need a reset, which loses the others, and persistence mode keeps them.
ORDER = ("ecc", "persistence", "compute_mode", "power_limit_w", *CLOCKS)
_COMPUTE_MODES = {"default": "0", "prohibited": "2", "exclusive_process": "3"}
_SWITCHES = {"enabled": True, "disabled": False}


@dataclasses.dataclass(frozen=True)
class Step:
    """One setting of one GPU that is to change."""

    gpu: Gpu
    setting: str
    want: t.Any
    have: t.Any

    @property
    def argv(self) -> tuple[str, ...]:
        return ("nvidia-smi", "-i", str(self.gpu.uuid), *_arguments(self.setting, self.want))


def view(gpu: Gpu, locks: Locks) -> View:
    """What a GPU has, in the keys of an entry; ``ecc_pending`` is what ECC will be after a reset."""
    # A driver that does not keep the GPU initialised has forgotten its locks.
    locked = locks.get(gpu.uuid or "", {}) if gpu.persistence_mode == "enabled" else {}
    return {
        "uuid": gpu.uuid,
        "pci_address": gpu.pci_address,
        "name": gpu.name,
        "persistence": _SWITCHES.get(gpu.persistence_mode or ""),
        "power_limit_w": gpu.power_limit_w,
        "compute_mode": gpu.compute_mode,
        "ecc": _SWITCHES.get(gpu.ecc_mode or ""),
        "ecc_pending": _SWITCHES.get(gpu.ecc_pending or ""),
        **{setting: locked.get(setting, []) for setting in CLOCKS},
    }


def plan(gpu: Gpu, desired: Desired, locks: Locks) -> list[Step]:
    """The steps from what the GPU has to what is desired, in order. Raises HostError for what it cannot have."""
    problems = list(_refused(gpu, desired))
    if problems:
        raise HostError(" ".join(f"{named(gpu)}: {problem}." for problem in problems))
    have = view(gpu, locks)
    return [
        Step(gpu, setting, desired[setting], has(have, setting))
        for setting in ORDER
        if setting in desired and not is_right(has(have, setting), desired[setting])
    ]


def has(have: View, setting: str) -> t.Any:
    """What a GPU has; of ECC, what it will have, which is all that can be set."""
    return have["ecc_pending" if setting == "ecc" else setting]


def is_right(have: t.Any, want: t.Any) -> bool:
    """Watts are given back with two digits."""
    if isinstance(want, (int, float)) and isinstance(have, float):
        return abs(have - want) < 0.01
    return bool(have == want)


def after(have: View, steps: t.Sequence[Step]) -> View:
    """What the GPU would have after the steps."""
    return {**have, **{"ecc_pending" if step.setting == "ecc" else step.setting: step.want for step in steps}}


def _refused(gpu: Gpu, desired: Desired) -> t.Iterator[str]:
    for setting, told, name in (
        ("persistence", gpu.persistence_mode, "persistence mode"),
        ("compute_mode", gpu.compute_mode, "compute mode"),
        ("ecc", gpu.ecc_mode, "ECC"),
        ("power_limit_w", gpu.power_limit_w, "power limit"),
    ):
        if setting in desired and told is None:
            yield f"{setting} is desired, and the device has no {name} that can be set"
    if desired.get("compute_mode", "default") not in _COMPUTE_MODES:
        yield f"compute_mode {desired['compute_mode']!r} is none of {', '.join(_COMPUTE_MODES)}"
    yield from _refused_power(gpu, desired)
    for setting, limit in (
        ("locked_clocks_mhz", gpu.clock_max_mhz),
        ("locked_memory_clocks_mhz", gpu.memory_clock_max_mhz),
    ):
        yield from _refused_clocks(gpu, desired, setting, limit)
    lasting = [setting for setting in ("power_limit_w", *CLOCKS) if desired.get(setting)]
    if (
        lasting
        and gpu.persistence_mode is not None
        and not desired.get("persistence", gpu.persistence_mode == "enabled")
    ):
        yield (
            f"without persistence mode {' and '.join(lasting)} are forgotten when nobody uses the GPU; ask for "
            "persistence, too"
        )


def _refused_power(gpu: Gpu, desired: Desired) -> t.Iterator[str]:
    watts, low, high = desired.get("power_limit_w"), gpu.power_limit_min_w, gpu.power_limit_max_w
    if watts is None or gpu.power_limit_w is None:
        return
    if low is None or high is None:
        yield "power_limit_w is desired, and the device does not tell between which limits it can be"
    elif not low <= watts <= high:
        yield f"power_limit_w {watts:g} is out of bounds: the device takes {low:g} to {high:g} W"


def _refused_clocks(gpu: Gpu, desired: Desired, setting: str, limit: int | None) -> t.Iterator[str]:
    clocks = desired.get(setting)
    if not clocks:
        return
    if len(clocks) != 2 or not 0 < clocks[0] <= clocks[1]:
        yield f"{setting} is {clocks}; give the lowest and the highest clock in MHz, or an empty list to lock none"
    elif limit is not None and clocks[1] > limit:
        yield f"{setting} {clocks[1]} is out of bounds: the device reaches {limit} MHz"


def _arguments(setting: str, want: t.Any) -> tuple[str, ...]:
    if setting == "persistence":
        return ("-pm", str(int(want)))
    if setting == "ecc":
        return ("-e", str(int(want)))
    if setting == "compute_mode":
        return ("-c", _COMPUTE_MODES[want])
    if setting == "power_limit_w":
        return ("-pl", f"{want:g}")
    lock, free = CLOCKS[setting]
    return (lock, f"{want[0]},{want[1]}") if want else (free,)
