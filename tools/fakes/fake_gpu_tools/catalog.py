# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that can be simulated, and the machines that are made of them."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Profile:
    """A kind of GPU instance. ``size`` counts memory slots, ``starts`` are tried in this order, ``slices`` is compute.

    ``memory_mib`` is what one instance has, ``sm`` its multiprocessors, the rest are engines.
    """

    name: str
    number: int
    total: int
    slices: int
    size: int
    starts: tuple[int, ...]
    memory_mib: int
    sm: int
    copy: int
    decoders: int
    jpeg: int
    media: int = 0

    @property
    def compute_number(self) -> int:
        """The number of the compute profile that takes all of it."""
        return 7 if self.number == 15 else COMPUTE_NUMBERS[self.slices]


COMPUTE_NUMBERS = {1: 0, 2: 1, 3: 2, 4: 3, 7: 4}
# In which order drivers were seen to fill the slots.
_ONE, _DOUBLE, _TWO, _HALF = (6, 4, 5, 0, 1, 2, 3), (4, 0, 2, 6), (0, 2, 4), (4, 0)

# Of each slice: memory in MiB, multiprocessors, copy engines, decoders, JPEG engines.
_Slice = tuple[int, int, int, int, int]


def _profiles(
    gb: tuple[int, int, int, int], one: _Slice, double: _Slice, two: _Slice, three: _Slice, four: _Slice, all_: _Slice
) -> tuple[Profile, ...]:
    """The seven profiles of a GPU with seven slices; ``gb`` are the sizes in their names."""
    small, middle, half, whole = gb
    media = (one[0], one[1], one[2], max(one[3], 1), max(one[4], 1))
    return (
        Profile(f"1g.{small}gb", 19, 7, 1, 1, _ONE, *one),
        Profile(f"1g.{small}gb+me", 20, 1, 1, 1, _ONE, *media, media=1),
        Profile(f"1g.{middle}gb", 15, 4, 1, 2, _DOUBLE, *double),
        Profile(f"2g.{middle}gb", 14, 3, 2, 2, _TWO, *two),
        Profile(f"3g.{half}gb", 9, 2, 3, 4, _HALF, *three),
        Profile(f"4g.{half}gb", 5, 1, 4, 4, (0,), *four),
        Profile(f"7g.{whole}gb", 0, 1, 7, 8, (0,), *all_, media=1),
    )


def _ampere(gb: tuple[int, int, int, int], mib: tuple[int, int, int, int]) -> tuple[Profile, ...]:
    one, two, half, whole = mib
    return _profiles(
        gb,
        (one, 14, 1, 0, 0),
        (two, 14, 1, 1, 0),
        (two, 28, 2, 1, 0),
        (half, 42, 3, 2, 0),
        (half, 56, 4, 2, 0),
        (whole, 98, 7, 5, 1),
    )


def _hopper(
    gb: tuple[int, int, int, int], mib: tuple[int, int, int, int], sm: tuple[int, int, int, int, int, int]
) -> tuple[Profile, ...]:
    one, two, half, whole = mib
    return _profiles(
        gb,
        (one, sm[0], 1, 1, 1),
        (two, sm[1], 1, 1, 1),
        (two, sm[2], 2, 2, 2),
        (half, sm[3], 3, 3, 3),
        (half, sm[4], 4, 4, 4),
        (whole, sm[5], 8, 7, 7),
    )


_HOPPER_SM = (16, 26, 32, 60, 64, 132)


@dataclasses.dataclass(frozen=True)
class Model:
    """One kind of NVIDIA GPU. Memory is in MiB, power in W, clocks in MHz; ``part`` and what follows are identities.

    ``power`` is lowest, default and highest limit; ``clocks`` the highest of graphics, memory and video, and
    ``application_clock`` the graphics clock of programs by default, 0 for the highest. ``memory_without_ecc_mib``
    differs where ECC takes a part of the memory. ``profiles`` is empty without MIG.
    """

    name: str
    architecture: str
    device: str
    subsystem: str
    compute_capability: str
    memory_mib: int
    reserved_mib: int
    bar1_mib: int
    power: tuple[int, int, int]
    clocks: tuple[int, int, int]
    idle_clocks: tuple[int, int, int]
    idle_watts: float
    link_generation: int
    part: str
    board_part: str
    vbios: str
    inforom: tuple[str, str, str]
    remap_banks: int
    application_clock: int = 0
    clock_step: int = 15
    lowest_clock: int = 210
    memory_clocks: tuple[int, ...] = ()
    memory_without_ecc_mib: int = 0
    profiles: tuple[Profile, ...] = ()
    is_linked: bool = False

    @property
    def keeps_mig_mode(self) -> bool:
        """Ampere writes the mode down in the infoROM; newer ones forget it when the driver is unloaded."""
        return self.architecture == "Ampere"


MODELS = {
    "t4": Model(
        "Tesla T4", "Turing", "1EB8", "12A210DE", "7.5", 15360, 448, 256, (60, 70, 70), (1590, 5001, 1470),
        (300, 405, 540), 9.5, 3, "1EB8-895-A1", "900-2G183-A800-001", "90.04.96.00.02",
        ("G183.0200.00.02", "1.1", "5.0"), 0, 585, memory_clocks=(5001, 405), lowest_clock=300,
        memory_without_ecc_mib=16384,
    ),
    "a100-40": Model(
        "NVIDIA A100-SXM4-40GB", "Ampere", "20B0", "134F10DE", "8.0", 40960, 518, 65536, (100, 400, 400),
        (1410, 1215, 1290), (210, 1215, 585), 49.7, 4, "20B0-884-A1", "692-2G506-0200-003", "92.00.45.00.03",
        ("G506.0200.00.04", "2.0", "6.16"), 640, 1095,
        profiles=_ampere((5, 10, 20, 40), (4864, 9984, 20096, 40192)), is_linked=True,
    ),
    "a100-80": Model(
        "NVIDIA A100-SXM4-80GB", "Ampere", "20B2", "147F10DE", "8.0", 81920, 869, 131072, (100, 400, 400),
        (1410, 1593, 1290), (210, 1593, 585), 62.0, 4, "20B2-895-A1", "692-2G506-0212-002", "92.00.36.00.02",
        ("G506.0212.00.01", "2.0", "6.16"), 640, 1275,
        profiles=_ampere((10, 20, 40, 80), (9728, 19968, 40192, 80384)), is_linked=True,
    ),
    "h100": Model(
        "NVIDIA H100 80GB HBM3", "Hopper", "2330", "16C110DE", "9.0", 81559, 480, 131072, (200, 700, 700),
        (1980, 2619, 1545), (345, 2619, 765), 68.6, 5, "2330-885-A1", "692-2G520-0200-000", "96.00.99.00.01",
        ("G520.0200.00.05", "2.1", "7.16"), 2560, memory_clocks=(2619, 1593),
        profiles=_hopper((10, 20, 40, 80), (9984, 20096, 40448, 81152), _HOPPER_SM), is_linked=True,
    ),
    "h200": Model(
        "NVIDIA H200", "Hopper", "2335", "18BE10DE", "9.0", 143771, 614, 262144, (200, 700, 700), (1980, 3201, 1545),
        (345, 3201, 765), 78.3, 5, "2335-895-A1", "695-2G520-0280-001", "96.00.A5.00.03",
        ("G520.0280.02.02", "2.1", "7.16"), 3072, memory_clocks=(3201, 1593),
        profiles=_hopper((18, 35, 71, 141), (16384, 33280, 71424, 143104), _HOPPER_SM), is_linked=True,
    ),
    "b200": Model(
        "NVIDIA B200", "Blackwell", "2901", "199910DE", "10.0", 183359, 730, 262144, (200, 1000, 1000),
        (1965, 3996, 1815), (120, 3996, 600), 142.0, 5, "2901-886-A1", "692-2G525-0220-000", "97.00.88.00.0F",
        ("G525.0220.00.03", "2.1", "7.16"), 4096, memory_clocks=(3996,),
        profiles=_hopper((23, 45, 90, 180), (22272, 45568, 91648, 182784), (18, 30, 36, 70, 72, 148)), is_linked=True,
    ),
    "l40s": Model(
        "NVIDIA L40S", "Ada Lovelace", "26B9", "185110DE", "8.9", 46068, 603, 65536, (100, 350, 350),
        (2520, 9001, 1965), (210, 405, 1185), 35.0, 4, "26B9-896-A1", "900-2G133-0080-000", "95.02.66.00.02",
        ("G133.0242.00.03", "2.1", "6.16"), 192, memory_clocks=(9001, 405), memory_without_ecc_mib=49140,
    ),
}  # fmt: skip

_COUNTED = ("t4", "a100-40", "a100-80", "h100", "h200", "b200", "l40s")
# "a100x2" is short for two with 40 GB; any model can be counted so: "h100x8", "a100-80x4".
MACHINES = {
    "mixed": ("a100-40", "h100", "t4"),
    "mixed-mig": ("a100-80", "h100"),
    "none": (),
    "mi300x": (),
    "mi300x8": (),
}
AMD_COUNTS = {"mi300x": 1, "mi300x8": 8}


def machine(name: str) -> tuple[str, ...]:
    """The models of a machine, such as "a100x2". Raises KeyError for a name that means nothing."""
    if name in MACHINES:
        return MACHINES[name]
    model, _x, count = name.rpartition("x")
    model = "a100-40" if model == "a100" else model
    if model not in MODELS or not count.isdigit() or not 1 <= int(count) <= 16:
        raise KeyError(name)
    return (model,) * int(count)


def names() -> str:
    """All machines, for a message."""
    return ", ".join((*(f"{model}xN" for model in _COUNTED), *MACHINES))
