# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What of a release is on a host, and what has to change. It reads names of files only: a fast check imports it."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._drift import Drift
from .._errors import HostError
from . import paths

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*(-[A-Za-z_][A-Za-z0-9_]*)*\Z")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~_]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_FOLDER = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)-[0-9a-f]{12}\Z")


@dataclasses.dataclass(frozen=True)
class Desired:
    """What the module's options ask for. With the state absent, only ``name`` and ``base`` count."""

    name: str
    state: str
    version: str
    url: str
    sha256: str
    programs: tuple[str, ...]
    base: str

    @property
    def path(self) -> str:
        return paths.path(self.base, self.name, self.version, self.sha256)


@dataclasses.dataclass(frozen=True)
class Plan:
    """``removed``: names of folders that go. ``makes``: whether the release has to come."""

    desired: Desired
    drift: tuple[Drift, ...] = ()
    removed: tuple[str, ...] = ()
    makes: bool = False

    @property
    def result(self) -> dict[str, t.Any]:
        """Return values of the module."""
        return {
            "changed": bool(self.drift),
            "path": self.desired.path if self.desired.state == "present" else None,
            "removed": [os.path.join(self.desired.base, folder) for folder in self.removed],
            "drift": [difference.as_row() for difference in self.drift],
        }


def invalid(name: str, version: str, url: str, sha256: str) -> t.Iterator[str]:
    """A phrase for each value of a release that is invalid."""
    if not _NAME.match(name):
        yield f"name must be letters, digits, _ and -, such as node_exporter, not {name!r}"
    if not _VERSION.match(version):
        yield f"version must be letters, digits and '.', such as 3.5.0, not {version!r}"
    if not _SHA256.match(sha256):
        yield f"sha256 must be 64 digits of hexadecimal in small letters, as the vendor lists them, not {sha256!r}"
    if not re.match(r"https?://[^\s/@]+/", url):
        yield f"url must be an address as https://HOST/PATH without a login, not {url!r}"


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """HostError with a sentence on what is invalid."""
    found = Desired(
        name=params["name"],
        state=params["state"],
        version=params["version"] or "",
        url=params["url"] or "",
        sha256=params["sha256"] or "",
        programs=tuple(params["programs"]),
        base=params["base"].rstrip("/"),
    )
    given = (found.version, found.url, found.sha256)
    # Of what goes, nobody needs to know where it came from.
    shown = given if found.state == "present" else ("1", "https://host/", "0" * 64)
    wrong = list(invalid(found.name, *shown))
    if not found.base.startswith("/"):
        wrong.append(f"base must be an absolute path of a folder, not {params['base']!r}")
    if bad := [program for program in found.programs if program.startswith("/") or ".." in program.split("/")]:
        wrong.append(f"programs must be paths in the release, not {', '.join(bad)}")
    if wrong:
        raise HostError("; ".join(wrong))
    return found


def make(release: Desired) -> Plan:
    """What has to change on this host."""
    there = _complete(release)
    if release.state == "absent":
        drift = [_row(release, _version(folder), "state", "absent", "present") for folder in there]
        return Plan(release, tuple(drift), tuple(there))
    folder = os.path.basename(release.path)
    others = [name for name in there if name != folder]
    if folder not in there:
        have = _version(others[-1]) if others else "absent"
        drift = [_row(release, release.version, "version", release.version, have)]
    elif lost := [name for name in release.programs if not is_program(os.path.join(release.path, name))]:
        drift = [_row(release, release.version, "content", "complete", f"without {', '.join(lost)}")]
    else:
        return Plan(release)
    # The one that came last stays, for whoever goes back.
    return Plan(release, tuple(drift), tuple(others[:-1]), makes=True)


def is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _complete(release: Desired) -> list[str]:
    """Folders of all versions of the release, oldest first."""
    try:
        names = os.listdir(release.base)
    except FileNotFoundError:
        return []
    except NotADirectoryError as exc:
        raise HostError(f"base must be a folder, and {release.base} is a file; move it away") from exc
    of_release = [name for name in names if (found := _FOLDER.match(name)) and found["name"] == release.name]
    markers = {name: os.path.join(release.base, name, paths.MARKER) for name in of_release}
    complete = [name for name in of_release if os.path.isfile(markers[name])]
    return sorted(complete, key=lambda name: os.stat(markers[name]).st_mtime_ns)


def _version(folder: str) -> str:
    found = _FOLDER.match(folder)
    return found["version"] if found else folder


def _row(release: Desired, version: str, attribute: str, want: str, have: str) -> Drift:
    return Drift("release", f"{release.name} {version}", attribute, want, have)
