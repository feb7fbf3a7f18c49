# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The driver's module on disk, for each kernel. One process for all of them."""

from __future__ import annotations

import os
import re
import typing as t

from .._runner import NOT_FOUND, Runner, must
from . import files, modprobe
from .dkms import Known
from .types import Flavour, Module, Origin, Vendor

# Debian gives the file a name of its own, so that several can lie side by side.
_FILES: dict[Vendor, re.Pattern[str]] = {
    "nvidia": re.compile(r"nvidia((?:-(?:current|open|tesla|legacy|server|srv|\d+(?:xx)?))*)\.ko(?:\.\w+)?$"),
    "amd": re.compile(r"amdgpu()\.ko(?:\.\w+)?$"),
}
_PLACES = ("updates", "extra", "weak-updates", "kernel")


def chosen(root: str, vendor: Vendor) -> str:
    """The name of the module's file. On Debian it is what modprobe is configured to load in its place.

    Without the parts for graphics that configuration is not in force, but the alternative is chosen all the same.
    """
    return "amdgpu" if vendor == "amd" else modprobe.instead_of(root, "nvidia", "etc/nvidia") or "nvidia"


def read(
    root: str, vendor: Vendor, releases: t.Iterable[str], known: Known, run: Runner, timeout_s: float
) -> dict[str, Module]:
    """By release. A kernel without the module is not in it."""
    name = chosen(root, vendor)
    paths = {release: path for release in releases if (path := _path(root, vendor, release, name))}
    if not paths:
        return {}
    at = {release: os.path.join(files.below(root, "lib/modules", release), path) for release, path in paths.items()}
    done = run("modinfo", *at.values(), timeout_s=timeout_s)
    if done.timed_out or done.rc == NOT_FOUND:
        # A file that modinfo cannot read is no module; one that it was not asked about may well be.
        must(done, "the driver's modules could not be read")
    said = done.stdout
    told = {
        found.group(1): text
        for text in re.split(r"^(?=filename:)", said, flags=re.MULTILINE)
        if (found := re.match(r"filename:\s+(\S+)", text))
    }
    return {
        release: _module(told[at[release]], vendor, f"/lib/modules/{release}/{path}", by_dkms=known.name is not None)
        for release, path in paths.items()
        if at[release] in told
    }


def _module(text: str, vendor: Vendor, path: str, *, by_dkms: bool) -> Module:
    fields = dict(re.findall(r"^(\w+):[ ]+(\S.*)$", text, re.MULTILINE))
    flavour: Flavour | None = None
    if vendor == "nvidia" and "license" in fields:
        # The open one has the kernel's licence besides MIT.
        flavour = "open" if "GPL" in fields["license"] else "proprietary"
    origin: Origin = "prebuilt"
    if fields.get("intree") == "Y":
        origin = "kernel"
    elif "/updates/dkms/" in path or (by_dkms and re.search(r"/(updates|extra|weak-updates)/", path)):
        origin = "dkms"
    return Module(fields.get("version"), flavour, fields.get("signer"), origin, path)


def _path(root: str, vendor: Vendor, release: str, name: str) -> str | None:
    """Below the kernel's folder. depmod keeps one of each name, in the order in which modprobe prefers them."""
    listed = files.read(root, "lib/modules", release, "modules.dep")
    paths = [line.partition(":")[0] for line in listed.splitlines()] if listed else _walk(root, release)
    found = [path for path in paths if _FILES[vendor].match(path.rsplit("/", 1)[-1])]
    # A list that is older than a removal still has the file.
    found = [path for path in found if files.exists(root, "lib/modules", release, path)]
    return min(found, key=lambda path: (_stem(path) != name, _place(path)), default=None)


def _walk(root: str, release: str) -> list[str]:
    top = files.below(root, "lib/modules", release)
    return sorted(
        os.path.relpath(os.path.join(folder, name), top) for folder, _dirs, inside in os.walk(top) for name in inside
    )


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].partition(".ko")[0]


def _place(path: str) -> int:
    first = path.partition("/")[0]
    return _PLACES.index(first) if first in _PLACES else len(_PLACES)
