# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What DKMS has built: ``dkms status``, and the log of a build that failed. One process, where DKMS has a driver."""

from __future__ import annotations

import dataclasses
import re

from .._runner import Runner
from . import files, versions
from .model import Dkms, DkmsState, Vendor

_TREE = "var/lib/dkms"
# nvidia-current, nvidia-current-open and nvidia-tesla are Debian's, each the name of a module's file; nvidia-fs is no
# driver.
_NAMES: dict[Vendor, re.Pattern[str]] = {
    "nvidia": re.compile(r"nvidia(-(?!fs|peermem).*)?$"),
    "amd": re.compile(r"amdgpu$"),
}
# Since DKMS 3 "name/version, kernel, arch: state", before "name, version, kernel, arch: state".
_LINE = re.compile(r"(?P<name>[^/,:]+)(?:/|, )(?P<version>[^,:]+)(?:, (?P<kernel>[^,]+), [^:]+)?: (?P<state>\S+)")
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


def read(root: str, vendor: Vendor, chosen: str, run: Runner, timeout_s: float) -> Known:
    """``chosen`` is the module's name on disk."""
    if not any(_NAMES[vendor].match(name) for name in files.names(root, _TREE)):
        return NOTHING
    said = run("dkms", "status", timeout_s=timeout_s).stdout
    lines = [found for found in map(_LINE.match, said.splitlines()) if found and _NAMES[vendor].match(found["name"])]
    if not lines:
        return NOTHING
    newest = max(lines, key=lambda line: (line["name"] == chosen, versions.order(line["version"])))
    states = tuple(
        (line["kernel"], _state(line["state"]))
        for line in lines
        if line["kernel"] and (line["name"], line["version"]) == (newest["name"], newest["version"])
    )
    return Known(newest["name"], newest["version"], states)


def _state(word: str) -> DkmsState:
    # A weak module is one of another kernel, linked.
    return "installed" if word.startswith("installed") else "built" if word == "built" else "added"


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
