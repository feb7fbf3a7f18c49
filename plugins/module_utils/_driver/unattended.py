# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether the tool that upgrades packages by itself leaves the driver alone. One process, where it is installed."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from .._runner import Runner
from . import files
from .model import Package
from .packages import is_part

_DNF_CONFIGS = ("etc/dnf/dnf.conf", "etc/dnf/automatic.conf")
_DNF_PROGRAMS = ("usr/bin/dnf-automatic", "usr/bin/dnf-automatic-3", "usr/lib/systemd/system/dnf5-automatic.timer")
_OFF = ("0", "", "no", "false")


def read(root: str, packages: t.Iterable[Package], run: Runner, timeout_s: float) -> bool | None:
    """True when no part of the driver would be moved. None without such a tool, or without a driver."""
    parts = [package for package in packages if is_part(package)]
    if not parts:
        return None
    if files.exists(root, "usr/bin/unattended-upgrade"):
        return _apt(run, parts, timeout_s)
    if any(files.exists(root, path) for path in _DNF_PROGRAMS):
        return _dnf(root, parts)
    return None


def _apt(run: Runner, parts: t.Iterable[Package], timeout_s: float) -> bool | None:
    asked = run("apt-config", "dump", "Unattended-Upgrade", "APT::Periodic", timeout_s=timeout_s)
    if asked.rc != 0:
        return None
    periodic = re.findall(r'^APT::Periodic::Unattended-Upgrade "(.*)";$', asked.stdout, re.MULTILINE)
    if not periodic or periodic[-1].lower() in _OFF:
        return True
    listed = re.findall(r'^Unattended-Upgrade::Package-Blacklist:: "(.*)";$', asked.stdout, re.MULTILINE)
    return all(package.held or any(_begins(pattern, package.name) for pattern in listed) for package in parts)


def _begins(pattern: str, name: str) -> bool:
    """As unattended-upgrades compares: a regular expression at the start of the name."""
    try:
        return bool(re.match(pattern, name))
    except re.error:
        return False


def _dnf(root: str, parts: t.Iterable[Package]) -> bool:
    excluded: list[str] = []
    for path in _DNF_CONFIGS:
        for line in re.findall(r"^\s*exclude(?:pkgs)?\s*=\s*(.*)$", files.read(root, path) or "", re.MULTILINE):
            excluded += re.split(r"[\s,]+", line.strip())
    return all(
        package.held or any(fnmatch.fnmatchcase(package.name, pattern) for pattern in excluded) for package in parts
    )
