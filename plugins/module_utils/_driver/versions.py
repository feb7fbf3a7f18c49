# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Versions of drivers and releases of kernels, compared as their makers mean them."""

from __future__ import annotations

import re

_UPSTREAM = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)*)")


def upstream(version: str) -> str:
    """The version without what packaging adds: "535.309.01" of "3:535.309.01-0+deb12u1"."""
    found = _UPSTREAM.match(version)
    return found.group(1) if found else version


def same(one: str | None, other: str | None) -> bool:
    """Whether both name one version. AMD's module says 6.12.12 where its package says 6.12.12.60402000."""
    if one is None or other is None:
        return one is other
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def fits(version: str | None, desired: str) -> bool:
    """Whether a version is the desired one, or of the desired branch. AMD's release 31.50 is in 7.1.3.31500000."""
    if version is None:
        return False
    release = version.rpartition(".")[2]
    by_release = (
        len(release) == 8 and bool(re.fullmatch(r"\d+(\.\d+)+", desired)) and release.startswith(digits(desired))
    )
    return version == desired or version.startswith(f"{desired}.") or by_release


def digits(release: str) -> str:
    """A release of amdgpu as its packages have it: 31.50 is 3150."""
    return "".join(f"{int(part):02}" for part in release.split("."))


def branch(version: str | None) -> int | None:
    found = re.match(r"\d+", version or "")
    return int(found.group()) if found else None


def order(release: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts releases of kernels, oldest first. A tilde comes before anything, its absence included."""
    parts = re.findall(r"\d+|~|[^\d~]+", release)
    key = [(2, int(part), "") if part.isdigit() else (-1 if part == "~" else 1, 0, part) for part in parts]
    return (*key, (0, 0, ""))
