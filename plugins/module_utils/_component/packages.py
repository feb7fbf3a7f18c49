# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Packages: what is installed, what has to be asked of the package manager, and native locks."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
import typing as t

from .._errors import HostError
from .._runner import Runner, must
from .repositories import Manager
from .wanted import WantedPackage

_NO_DPKG_MATCH = 1
_VERSIONLOCK_LIST = "/etc/dnf/plugins/versionlock.list"
_VERSIONLOCK_TOML = "/etc/dnf/versionlock.toml"


@dataclasses.dataclass(frozen=True)
class Installed:
    """``version`` is None for a package that is not installed. ``whole`` is false for one half installed."""

    version: str | None
    held: bool = False
    whole: bool = True


@dataclasses.dataclass(frozen=True)
class Work:
    """One call of the package manager: ``names`` as it takes them, with versions."""

    state: t.Literal["present", "absent"]
    names: tuple[str, ...]
    refresh: bool = False


def find_manager() -> Manager:
    """The host's package manager. HostError when it has none that is known."""
    if os.path.exists("/usr/bin/dnf-3"):
        return "dnf"
    if os.path.exists("/usr/bin/dnf5"):
        return "dnf5"
    if os.path.exists("/usr/bin/dpkg-query"):
        return "apt"
    raise HostError("this host has neither apt nor dnf, and packages or repositories were asked for")


def observe(names: t.Sequence[str], manager: Manager, run: Runner) -> dict[str, Installed]:
    """The state of each named package, by one process."""
    if not names:
        return {}
    found = _observe_dpkg(names, run) if manager == "apt" else _observe_rpm(names, run)
    return {name: found.get(name, Installed(None)) for name in names}


def matches(wanted: WantedPackage, found: Installed) -> bool:
    """Whether what is installed is what was asked for, the lock left aside."""
    if not wanted.present:
        return found.version is None
    if found.version is None or not found.whole:
        return False
    return wanted.version is None or fnmatch.fnmatchcase(_bare(found.version, wanted.version), wanted.version)


def install_name(wanted: WantedPackage, manager: Manager) -> str:
    if wanted.version is None:
        return wanted.name
    return f"{wanted.name}{'=' if manager == 'apt' else '-'}{wanted.version}"


def exact_name(name: str, version: str, manager: Manager) -> str:
    return f"{name}{'=' if manager == 'apt' else '-'}{version}"


def set_hold(name: str, *, held: bool, manager: Manager, run: Runner) -> None:
    """Lock or unlock one package by the package manager's own means."""
    verb = "locked" if held else "unlocked"
    command: tuple[str, ...]
    if manager == "apt":
        command = ("apt-mark", "hold" if held else "unhold", name)
    else:
        command = ("dnf", "versionlock", "add" if held else "delete", name)
    must(run(*command, timeout_s=120), f"package {name} could not be {verb}")


def _bare(version: str, pattern: str) -> str:
    """Without the epoch, when the pattern has none: people write 26.1.*, dpkg says 1:26.1.5."""
    return version if ":" in pattern else version.partition(":")[2] or version


def _observe_dpkg(names: t.Sequence[str], run: Runner) -> dict[str, Installed]:
    asked = run("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${db:Status-Abbrev}\n", *names)
    if asked.rc not in (0, _NO_DPKG_MATCH):
        must(asked, "the installed packages could not be read")
    found: dict[str, Installed] = {}
    for line in asked.stdout.splitlines():
        name, version, status = line.split("\t")
        want, state = status[0], status[1]
        # n: not installed, c: only its configuration files are left
        if state not in "nc":
            found[name] = Installed(version, held=want == "h", whole=status.rstrip() in ("ii", "hi"))
    return found


def _observe_rpm(names: t.Sequence[str], run: Runner) -> dict[str, Installed]:
    asked = run("rpm", "-q", "--qf", "%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n", *names)
    held = _versionlocks()
    found: dict[str, Installed] = {}
    for line in asked.stdout.splitlines():
        name, tab, version = line.partition("\t")
        if tab:
            found[name] = Installed(version.removeprefix("0:"), held=name in held)
    if not found and asked.rc != len(names):
        must(asked, "the installed packages could not be read")
    return found


def _versionlocks() -> set[str]:
    """Names locked by dnf4's plugin (``name-epoch:version-release.*`` a line) or by dnf5 (TOML, ``name = "…"``)."""
    locked: set[str] = set()
    for path, pattern in (
        (_VERSIONLOCK_LIST, r"^(?!!|#)(.+?)-\d+:.+$"),
        (_VERSIONLOCK_TOML, r'^\s*name\s*=\s*"([^"]+)"'),
    ):
        try:
            with open(path, encoding="utf-8") as source:
                locked.update(re.findall(pattern, source.read(), re.MULTILINE))
        except FileNotFoundError:
            continue
    return locked
