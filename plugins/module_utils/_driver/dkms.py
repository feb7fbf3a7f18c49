# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What DKMS has built, from its tree: where it looks itself. No process, for ``dkms status`` is slow.

It unpacks each module to compare it with what it has installed, which takes seconds for a driver and a few kernels.
"""

from __future__ import annotations

import dataclasses
import os
import re

from . import files, versions
from .types import Dkms, DkmsState, Vendor

_TREE = "var/lib/dkms"
# nvidia-current, nvidia-current-open and nvidia-tesla are Debian's, each the name of a module's file; nvidia-fs is no
# driver.
_NAMES: dict[Vendor, re.Pattern[str]] = {
    "nvidia": re.compile(r"nvidia(-(?!fs|peermem).*)?$"),
    "amd": re.compile(r"amdgpu$"),
}
_LOG = re.compile(r"^DKMS .*make\.log for \S+ for kernel (\S+)")
# What the compiler says, else what make does.
_WORST = (re.compile(r"(^|\s)(fatal )?error:"), re.compile(r"\*\*\*|\berror\b", re.IGNORECASE))
_LONGEST = 300


@dataclasses.dataclass(frozen=True)
class Known:
    """The newest version that DKMS has under the name that modprobe would load: ``states`` by kernel."""

    name: str | None = None
    version: str | None = None
    states: tuple[tuple[str, DkmsState], ...] = ()

    def of(self, root: str, release: str) -> Dkms | None:
        if self.name is None or self.version is None:
            return None
        state = dict(self.states).get(release)
        if state:
            return Dkms(self.version, state)
        words = _failure(root, self.name, self.version, release)
        return Dkms(self.version, "failed", words) if words else Dkms(self.version, "added")


NOTHING = Known()


def read(root: str, vendor: Vendor, chosen: str) -> Known:
    """``chosen`` is the module's name on disk."""
    found = [
        (name, version)
        for name in files.names(root, _TREE)
        if _NAMES[vendor].match(name)
        for version in files.names(root, _TREE, name)
        # Next to the versions are links to what is installed, and modules that were there before.
        if os.path.lexists(os.path.join(root, _TREE, name, version, "source"))
    ]
    if not found:
        return NOTHING
    name, version = max(found, key=lambda item: (item[0] == chosen, versions.order(item[1])))
    states: dict[str, DkmsState] = {
        release: "installed" if _is_installed(root, name, version, release, architecture) else "built"
        for release in files.names(root, _TREE, name, version)
        for architecture in files.names(root, _TREE, name, version, release)
        if files.exists(root, _TREE, name, version, release, architecture, "module")
    }
    return Known(name, version, tuple(states.items()))


def _is_installed(root: str, name: str, version: str, release: str, architecture: str) -> bool:
    link = os.path.join(root, _TREE, name, f"kernel-{release}-{architecture}")
    return os.path.islink(link) and os.readlink(link) == f"{version}/{release}/{architecture}"


def _failure(root: str, name: str, version: str, release: str) -> str | None:
    """The end of the log that a failed build leaves behind: that of a good one is put away."""
    log = files.read(root, _TREE, name, version, "build/make.log")
    if log is None:
        return None
    built_for = _LOG.match(log)
    if built_for is None or built_for.group(1) != release:
        return None
    lines = [line.strip() for line in log.splitlines()[1:] if line.strip() and line[0] not in "#-"]
    worst = (line for pattern in _WORST for line in lines if pattern.search(line))
    return next(worst, lines[-1] if lines else "the log is empty")[:_LONGEST].rstrip(".")
