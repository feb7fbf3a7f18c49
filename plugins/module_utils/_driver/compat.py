# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether CUDA, a driver, its kernel module and GPUs fit each other. Pure; what is not known is said, never guessed."""

from __future__ import annotations

import re
import typing as t

from .._errors import HostError
from . import cuda_table
from .cuda_table import RELEASES, Release
from .generations import FIRST_BRANCH, GENERATIONS, LAST_BRANCH, Flavour, flavour_for

_KEYS = {"cuda": "CUDA", "image": "The image's CUDA"}
# As packages write it ("13-4") and as NVIDIA does, with or without the digits of a build ("13.4.1").
_RELEASE = re.compile(r"(\d+)[.-](\d+)(?:[.-]\d+)*")
_DRIVER = re.compile(r"\d+(?:\.\d+)*")


def conflicts(
    desired: t.Mapping[str, t.Any],
    driver: str | int | None = None,
    generations: t.Sequence[str] = (),
    flavour: Flavour | None = None,
    full: bool = False,
) -> list[str]:
    """A sentence for each conflict, and for each thing of which nothing is known. Empty: it fits.

    ``desired`` has ``cuda`` and ``image``, each a CUDA release or a list of them; ``full`` asks for a driver with all
    that a release brings, not only for one that runs it.
    """
    if not isinstance(desired, t.Mapping) or set(desired) - set(_KEYS):
        raise HostError(f"compat compares a dictionary with the keys {' and '.join(_KEYS)}, and got {desired!r}")
    known = [name for name in dict.fromkeys(generations) if name in GENERATIONS]
    found = [
        f"GPU generation {name!r} is not known, so that nothing can be said of it; known are {', '.join(GENERATIONS)}."
        for name in dict.fromkeys(generations)
        if name not in GENERATIONS
    ]
    version = None if driver is None else str(driver).strip()
    if version is not None and not _DRIVER.fullmatch(version):
        found.append(
            f"{version!r} is no driver version, so that nothing can be said of it; write 580.178.04, for example."
        )
        version = None
    found += _of_the_driver(_parts(version)[0] if version else None, known, flavour)
    for key, what in _KEYS.items():
        releases = desired.get(key) or []
        for text in [releases] if isinstance(releases, (str, int, float)) else releases:
            found += _of_cuda(what, str(text), version, known, full=full)
    return list(dict.fromkeys(found))


def fits(desired: t.Mapping[str, t.Any], **options: t.Any) -> bool:
    return not conflicts(desired, **options)


def release(text: str) -> Release | None:
    """The release that a version names: "13.4", "13-4" and "13.4.1" are (13, 4)."""
    parts = _RELEASE.fullmatch(text.strip())
    return (int(parts[1]), int(parts[2])) if parts else None


def _of_the_driver(branch: int | None, known: list[str], flavour: Flavour | None) -> t.Iterator[str]:
    gpus = {name: name for name in known}
    # Each question alone, because it answers with the first reason that it finds.
    for choice in (
        flavour_for(gpus, branch),
        flavour_for(gpus, None, flavour),
        flavour_for({}, branch, flavour, from_vendor=False),
    ):
        if choice.refusal:
            yield choice.refusal


def _of_cuda(what: str, text: str, driver: str | None, known: list[str], *, full: bool) -> t.Iterator[str]:
    desired = release(text)
    if desired is None:
        yield f"{text!r} is no CUDA release, so that nothing can be said of it; write 13.4, for example."
        return
    name = f"{what} {_dotted(desired)}"
    if desired not in RELEASES:
        yield (
            f"{name} is not known, so that nothing can be said of what it needs; known are "
            f"{', '.join(map(_dotted, RELEASES))}."
        )
        return
    for generation in known:
        first, last = cuda_table.FIRST_RELEASE.get(generation), cuda_table.LAST_RELEASE.get(generation)
        if last and desired > last:
            yield f"{name} makes no code for {generation.capitalize()}; {_dotted(last)} is the last that does."
        if first and desired < first:
            yield f"{name} makes no code for {generation.capitalize()}; {_dotted(first)} is the first that does."
    if driver:
        yield from _of_floor(name, desired, driver, known, full=full)


def _of_floor(name: str, desired: Release, driver: str, known: list[str], *, full: bool) -> t.Iterator[str]:
    needs = RELEASES[desired]
    if full and needs.full is None:
        yield f"{name} has parts that want a newer driver than others, and it is not known which driver has them all."
    floor = needs.full if full and needs.full else str(needs.runs)
    have, least = _parts(driver), _parts(floor)
    # A branch alone stands for its newest driver.
    if have >= least[: len(have)]:
        return
    yield (
        f"{name} needs driver {floor} or newer{' for all that it brings' if full else ''}, and {driver} is there. "
        f"{_which_driver(least[0], known)}{_which_release(have[0])}. On data-centre boards the package "
        f"cuda-compat-{desired[0]}-{desired[1]} helps as well, where NVIDIA lists branch {have[0]} for it."
    )


def _which_driver(first: int, known: list[str]) -> str:
    first = max([first, *(FIRST_BRANCH[name] for name in known if name in FIRST_BRANCH)])
    last = min((LAST_BRANCH[name] for name in known if name in LAST_BRANCH), default=None)
    if last is None:
        return f"Driver branch {first} or newer fits"
    if first < last:
        return f"Driver branches {first} to {last} fit"
    return f"Driver branch {first} fits" if first == last else "No driver of these GPUs fits"


def _which_release(branch: int) -> str:
    newest = max((found for found, needs in RELEASES.items() if needs.runs <= branch), default=None)
    return f"; driver {branch} runs CUDA {_dotted(newest)} and older" if newest else ""


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _dotted(found: Release) -> str:
    return f"{found[0]}.{found[1]}"
