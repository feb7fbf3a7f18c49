# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether a driver runs the CUDA of a container image, from the variables of NVIDIA's base images. Pure; of an image or
a release that is not known nothing is said."""

from __future__ import annotations

import re
import typing as t

from . import compat
from .cuda_table import RELEASES

_BOUND = re.compile(r"driver(>=|<=|<|>|=)(\d+(?:\.\d+)*)")
_PADDED = 4  # numbers of a driver's version
_COMPARED: dict[str, t.Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": lambda have, bound: have >= bound,
    "<=": lambda have, bound: have <= bound,
    "<": lambda have, bound: have < bound,
    ">": lambda have, bound: have > bound,
    "=": lambda have, bound: have == bound,
}


def conflict(environment: t.Mapping[str, str], driver: str) -> str | None:
    """A sentence where the driver cannot run it. ``environment``: that of the image."""
    release = compat.release(environment.get("CUDA_VERSION", ""))
    if release not in RELEASES or environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in ("1", "t", "true"):
        return None
    found = compat.conflicts({"image": environment["CUDA_VERSION"]}, driver=driver)
    if not found or _admits(environment.get("NVIDIA_REQUIRE_CUDA", ""), driver):
        return None
    return found[0]


def _admits(required: str, driver: str) -> bool:
    """Whether the image names this driver among older ones that run it, with libraries that it brings. Blanks are "or",
    commas "and"; for which boards is left to the image."""
    for choice in required.split():
        bounds = [found for found in map(_BOUND.fullmatch, choice.split(",")) if found]
        if bounds and all(_COMPARED[found[1]](_numbers(driver), _numbers(found[2])) for found in bounds):
            return True
    return False


def _numbers(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in version.split(".")]
    return tuple([*parts, *[0] * _PADDED][:_PADDED])
