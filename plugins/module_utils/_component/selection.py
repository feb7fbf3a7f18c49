# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What decides on a host which of the versions that repositories have may be installed.

Pins of apt, exclusions and locks of dnf, and disabled repositories are read to name them with file and line.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import os
import re
import typing as t

from .._package_manager import Manager
from .._runner import Runner
from . import packages
from .desired import DesiredPackage
from .packages import Installed

_PREFERENCES = "/etc/apt/preferences"
_DNF_FILES = ("/etc/dnf/dnf.conf", "/etc/yum.conf", "/etc/yum.repos.d/*.repo", "/etc/distro.repos.d/*.repo")
_DNF_OVERRIDES = "/etc/dnf/repos.override.d/*.repo"
_APT_PARTS = "/etc/apt/sources.list.d/*.sources"
# Ansible's apt gives the version that it is asked for this priority, and takes the highest.
_ASKED = 990
_ANY = ("release *", "version *", "origin *", 'origin "*"')


@dataclasses.dataclass(frozen=True)
class Pin:
    """A stanza of apt's preferences; ``place`` is its file and line."""

    place: str
    package: str
    pin: str
    priority: int

    def about(self, name: str) -> bool:
        """Whether it names the package; what holds for all packages does not."""
        return any(word != "*" and _names(word, name) for word in self.package.split())

    @property
    def shown(self) -> str:
        return f"{self.place} (Package: {self.package}, Pin: {self.pin}, Pin-Priority: {self.priority})"


@dataclasses.dataclass(frozen=True)
class _Row:
    """A version in apt's own table. ``specific``: a pin names its package."""

    version: str
    priority: int
    specific: bool


def pinned_away(desired: t.Iterable[DesiredPackage], manager: Manager, run: Runner) -> str | None:
    """Why apt would not install one of the packages, although a repository has it: one sentence, or None."""
    desired = list(desired)
    if manager != "apt" or not desired:
        return None
    said = run("apt-cache", "policy", *(item.name for item in desired)).stdout
    tables = dict(re.findall(r"^(\S+):\n((?:^ .*\n?)+)", said, re.MULTILINE))
    for item in desired:
        trouble = _diagnose(item, tables.get(item.name, ""))
        if trouble:
            return trouble
    return None


def pinned_whatever_comes(desired: t.Iterable[DesiredPackage], manager: Manager) -> str | None:
    """The same for packages whose repository is still to come: only a pin of all that it could have counts."""
    pins = read_pins() if manager == "apt" else []
    for item in desired:
        first = next((pin for pin in pins if pin.about(item.name)), None)
        if first and first.priority < 0 and first.pin in _ANY:
            return _sentence(item, f"at priority {first.priority}", [first])
    return None


def read_pins() -> list[Pin]:
    """All pins, in the order in which apt reads them."""
    paths = [
        path
        for path in sorted(glob.glob(f"{_PREFERENCES}.d/*"))
        if re.fullmatch(r"[\w-]+(\.pref)?", os.path.basename(path))
    ]
    found = []
    for path in (_PREFERENCES, *paths):
        fields: dict[str, str] = {}
        start = 0
        for number, line in enumerate((*lines(path), ""), 1):
            name, colon, value = line.partition(":")
            if line.startswith("#"):
                continue
            if colon and not line[0].isspace():
                start = start if fields else number
                fields[name.strip().lower()] = value.strip()
            elif not line.strip() and fields:
                if re.fullmatch(r"[+-]?\d+", fields.get("pin-priority", "")):
                    words = (fields.get("package", ""), fields.get("pin", ""), int(fields["pin-priority"]))
                    found.append(Pin(f"{path}:{start}", *words))
                fields = {}
    return found


def hint(desired: DesiredPackage, manager: Manager) -> str:
    """What on this host may hide a package or a version that is not offered: files with lines, or nothing."""
    if manager == "apt":
        disabled = [
            place
            for path in sorted(glob.glob(_APT_PARTS))
            for place in _matching(path, r"(?i)enabled:\s*(no|false|0)\s*$")
        ]
        return f"; disabled here: {', '.join(disabled)}" if disabled else ""
    paths = [path for pattern in (*_DNF_FILES, _DNF_OVERRIDES) for path in sorted(glob.glob(pattern))]
    hiding = [place for path in paths for place in _exclusions(path, desired.name)]
    hiding += [lock] if (lock := packages.lock_place(desired.name)) else []
    disabled = [place for path in paths for place in _matching(path, r"enabled\s*=\s*(0|no|false)\s*$")]
    parts = []
    if hiding:
        parts.append(f"; hidden by {', '.join(hiding)}")
    if disabled:
        parts.append(f"; disabled here: {', '.join(disabled)}")
    return "".join(parts)


def behind(words: str, run: Runner) -> str:
    """Pins and holds of the dependencies that apt's own words name."""
    names = set(re.findall(r"Depends: (\S+)", words))
    if not names:
        return ""
    pins = [f"pinned by {pin.shown}" for pin in read_pins() if any(pin.about(name) for name in names)]
    held = sorted(names & set(run("apt-mark", "showhold").stdout.split()))
    found = [*pins, *(f"{name} is held (apt-mark hold)" for name in held)]
    return f"; {'; '.join(found)}" if found else ""


def _diagnose(desired: DesiredPackage, table: str) -> str | None:
    rows = _rows(table)
    pins = [pin for pin in read_pins() if pin.about(desired.name)] or [pin for pin in read_pins() if pin.priority < 0]
    if not rows:
        return None
    if desired.version is None:
        nothing = re.search(r"^ +Candidate: \(none\)$", table, re.MULTILINE)
        return _sentence(desired, f"at priority {rows[0].priority}", pins) if nothing else None
    fitting = [row for row in rows if _fits(row.version, desired)]
    if not fitting:
        return None
    best = max(row.priority if row.specific else _ASKED for row in fitting)
    if best < 0:
        return _sentence(desired, f"at priority {best}", pins)
    rival = next((row for row in rows if row.specific and row not in fitting and row.priority > best), None)
    return _sentence(desired, f"to {rival.version}", pins) if rival else None


def _sentence(desired: DesiredPackage, how: str, pins: t.Sequence[Pin]) -> str:
    at = f" at {desired.version}" if desired.version else ""
    where = " and ".join(pin.shown for pin in pins) or "apt's preferences"
    return (
        f"package {desired.name} is desired{at}, and is pinned {how} by {where}; "
        "remove the pin, or ask for a version that it allows"
    )


def _rows(table: str) -> list[_Row]:
    found = []
    for part in re.split(r"^ (?:\*\*\*|   ) (?=\S)", table, flags=re.MULTILINE)[1:]:
        head, _newline, rest = part.partition("\n")
        shown = re.match(r"(\S+) (-?\d+)", head)
        if shown:
            sources = re.findall(r"^ +(-?\d+) (?!/var/lib/dpkg/status)", rest, re.MULTILINE)
            # What was removed and not purged has a row, too, with priority -1, though no repository or pin has it.
            if sources:
                found.append(_Row(shown[1], int(shown[2]), shown[2] not in sources))
    return found


def _fits(version: str, desired: DesiredPackage) -> bool:
    return packages.matches(dataclasses.replace(desired, present=True), Installed(version), "apt")


def _names(word: str, name: str) -> bool:
    if len(word) > 1 and word.startswith("/") and word.endswith("/"):
        try:
            return re.search(word[1:-1], name) is not None
        except re.error:
            return False
    return fnmatch.fnmatchcase(name, word.partition(":")[0])


def _exclusions(path: str, name: str) -> list[str]:
    """Lines that exclude a package, or include only others."""
    found = []
    option = ""
    for number, line in enumerate(lines(path), 1):
        match = re.match(r"(exclude|excludepkgs|includepkgs)\s*=(.*)", line)
        if match:
            option, text = match[1], match[2]
        elif option and line[:1].isspace():
            text = line
        else:
            option = ""
            continue
        listed = any(
            fnmatch.fnmatchcase(name, word.partition("-[0-9]")[0]) for word in re.split(r"[\s,]+", text) if word
        )
        if listed != (option == "includepkgs"):
            found.append(f"{path}:{number} ({option})")
    return found


def _matching(path: str, pattern: str) -> list[str]:
    return [f"{path}:{number}" for number, line in enumerate(lines(path), 1) if re.match(pattern, line)]


def lines(path: str) -> list[str]:
    """Of a file that may not be there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read().splitlines()
    except OSError:
        return []
