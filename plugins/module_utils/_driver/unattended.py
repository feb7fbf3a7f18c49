# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether the tool that upgrades packages by itself leaves the driver alone. One process, where it is installed."""

from __future__ import annotations

import configparser
import contextlib
import fnmatch
import re
import typing as t

from .._runner import Runner
from . import files
from .packages import is_part
from .types import Package

# Files with the section that counts for all repositories; dnf-automatic's goes over dnf's own.
_DNF_CONFIGS = (("etc/dnf/dnf.conf", "main"), ("etc/dnf/automatic.conf", "base"))
_DNF_KEYS = ("exclude", "excludepkgs")
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
    done = run("apt-config", "dump", "Unattended-Upgrade", "APT::Periodic", timeout_s=timeout_s)
    if done.rc != 0:
        return None
    periodic = re.findall(r'^APT::Periodic::Unattended-Upgrade "(.*)";$', done.stdout, re.MULTILINE)
    if not periodic or periodic[-1].lower() in _OFF:
        return True
    listed = re.findall(r'^Unattended-Upgrade::Package-Blacklist:: "(.*)";$', done.stdout, re.MULTILINE)
    return all(package.held or any(_begins(pattern, package.name) for pattern in listed) for package in parts)


def _begins(pattern: str, name: str) -> bool:
    """As unattended-upgrades compares: a regular expression at the start of the name."""
    try:
        return bool(re.match(pattern, name))
    except re.error:
        return False


def _dnf(root: str, parts: t.Iterable[Package]) -> bool:
    excluded: list[str] = []
    for path, section in _DNF_CONFIGS:
        config = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), allow_no_value=True)
        # dnf does not start with a file that cannot be read, and nothing is upgraded then.
        with contextlib.suppress(configparser.Error):
            config.read_string(files.read(root, path) or "")
        for key in _DNF_KEYS:
            excluded += re.split(r"[\s,]+", config.get(section, key, fallback="") or "")
    return all(
        package.held or any(fnmatch.fnmatchcase(package.name, pattern) for pattern in excluded) for package in parts
    )
