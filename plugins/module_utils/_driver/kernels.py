# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The installed kernels, with the driver's module for each: one process for all of them."""

from __future__ import annotations

import re

from .._runner import Runner
from . import dkms, files, modules, versions
from .types import Kernel, Vendor

_RESCUE = re.compile(r"0-rescue-")


def running(root: str) -> str | None:
    return (files.read(root, "proc/sys/kernel/osrelease") or "").strip() or None


def installed(root: str) -> tuple[str, ...]:
    """Releases with modules of their own or an image, oldest first.

    A folder with nothing but what DKMS has put there is what a removed kernel leaves behind. Containers run the kernel
    of another machine, which is not installed.
    """
    found = {release for release in files.names(root, "lib/modules") if _is_kernel(root, release)}
    images = (re.fullmatch(r"vmlinu[xz]-(\d.*)", name) for name in files.names(root, "boot"))
    found |= {image.group(1) for image in images if image}
    return tuple(sorted((name for name in found if not _RESCUE.match(name)), key=versions.order))


def read(
    root: str, vendor: Vendor | None, releases: tuple[str, ...], next_boot: str | None, run: Runner, timeout_s: float
) -> tuple[Kernel, ...]:
    """What each has of the driver. Without a vendor there is nothing to look for."""
    known = dkms.read(root, vendor, modules.chosen(root, vendor)) if vendor else dkms.NOTHING
    found = modules.read(root, vendor, releases, known, run, timeout_s) if vendor else {}
    now = running(root)
    return tuple(
        Kernel(
            release=release,
            running=release == now,
            next_boot=release == next_boot,
            headers=files.exists(root, "lib/modules", release, "build/Makefile"),
            module=found.get(release),
            dkms=known.of(root, release),
        )
        for release in releases
    )


def _is_kernel(root: str, release: str) -> bool:
    return any(files.exists(root, "lib/modules", release, name) for name in ("kernel", "vmlinuz"))
