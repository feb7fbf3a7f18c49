# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Packages with all that they depend on, as dnf itself resolves them for a host on which nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import typing as t

from .. import _env_file, _text_file
from .._component import repositories
from .._component.desired import Repository as Source
from .._errors import HostError
from .._runner import Completed, Runner, must
from . import files, gpg
from .host import major
from .manifest import Entry
from .packages import FRESH_S, TIMEOUT_S, Place, beside, names, replace

_RELEASES = ("/etc/dnf/vars/releasever", "/etc/yum/vars/releasever")
# Names are not cut short here, as they are in lines of what it fetches.
_SKIPPED = re.compile(r"^\[SKIPPED\] (\S+\.rpm): ", re.MULTILINE)
_INSTALLS = re.compile(r"^Install +(\d+) Packages?$", re.MULTILINE)
_INDEX = ("--quiet", "--no-database", "--location-prefix=..", "--revision=0", "--set-timestamp-to-revision")
_IDENTITY = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{VENDOR}\\n"


class Dnf:
    """A dnf 4 of its own, with the repositories of this host and some more, that knows of no installed package."""

    top = "rpm"
    signature = "repodata/repomd.xml.asc"

    def __init__(self, work: str, run: Runner) -> None:
        self._work = work
        self._run = run
        self._archives = os.path.join(work, "archives")
        self._root = os.path.join(work, "root")
        os.makedirs(self._archives, exist_ok=True)
        # Keys are trusted for one component.
        shutil.rmtree(self._root, ignore_errors=True)

    def configure(self, sources: t.Sequence[Source], preferences: t.Sequence[str], etc: str = "/etc") -> None:
        """Have these beside those of the host. ``preferences``: files that enable streams of modules."""
        folder = beside(f"{etc}/yum.repos.d", os.path.join(self._work, "repos.d"))
        for one in sources:
            key = os.path.join(self._work, "keys", f"{one.name}.asc")
            files.write(key, one.key.encode())
            replace(os.path.join(folder, f"{one.name}.repo"), repositories.yum(one, key))
        for text in preferences:
            name = text.partition("[")[2].partition("]")[0]
            files.write(os.path.join(self._root, "etc/dnf/modules.d", f"{name}.module"), text.encode())

    def fetch(self, packages: t.Iterable[t.Mapping[str, t.Any]], place: Place) -> list[tuple[str, Entry]]:
        """Have these and all that they depend on here, signed by the keys of their repositories. Path and entry of
        each. Those that are here are not fetched again."""
        what = place.component
        before = self._there()
        said = self._dnf("--downloadonly", f"--destdir={self._archives}", "install", *names(packages, "dnf"))
        must(said, f"the packages of {what} cannot be fetched", why=_reason(said))
        found = {file for file, _is in {*self._there().items()} - {*before.items()}} | {*_SKIPPED.findall(said.stdout)}
        count = sum(int(number) for number in _INSTALLS.findall(said.stdout))
        if len(found) != count:
            raise HostError(
                f"the packages of {what} cannot be fetched: dnf names {len(found)} files of {count}; remove "
                f"{self._archives}, and run again"
            )
        return [(os.path.join(self._archives, file), self._entry(file, place)) for file in sorted(found)]

    def _there(self) -> dict[str, tuple[int, int]]:
        """The files, and what is another of each when it was written again."""
        found = os.scandir(self._archives)
        return {one.name: (one.inode(), one.stat().st_ctime_ns) for one in found}

    def index(self, published: t.Sequence[tuple[str, Entry]], place: Place) -> dict[str, bytes]:
        """The repodata of these, the same for the same packages."""
        folder = os.path.join(self._work, "index")
        shutil.rmtree(folder, ignore_errors=True)
        for path, entry in published:
            link = os.path.join(folder, os.path.relpath(entry.path, place.top))
            os.makedirs(os.path.dirname(link))
            os.symlink(path, link)
            # It is in the index, and dnf copies a package of a file: repository anew each time.
            os.utime(path, (0, 0))
        said = self._run("createrepo_c", *_INDEX, folder, timeout_s=TIMEOUT_S)
        must(said, f"the packages of {place.component} cannot be indexed")
        at = os.path.join(folder, "repodata")
        found = sorted(os.listdir(at), key=lambda name: (name == "repomd.xml", name))
        return {f"repodata/{name}": _bytes(os.path.join(at, name)) for name in found}

    def sign(self, index: t.Mapping[str, bytes], _place: Place, signer: gpg.Signer) -> bytes:
        return signer.sign(index["repodata/repomd.xml"].decode(), detached=True)

    def _entry(self, file: str, place: Place) -> Entry:
        path = os.path.join(self._archives, file)
        said = must(self._run("rpm", "-qp", "--nosignature", "--qf", _IDENTITY, path), f"{file} cannot be read")
        name, version, arch, vendor = said.stdout.rstrip("\n").split("\t")
        sha256, size = files.digest(path), os.path.getsize(path)
        arch = "all" if arch == "noarch" else place.arch
        at, source = place.pooled(sha256, file), vendor.replace("(none)", "dnf")
        version, components = version.removeprefix("0:"), (place.component,)
        return Entry("rpm", name, version, arch, place.suite, at, sha256, size, source, components)

    def _dnf(self, *argv: str) -> Completed:
        settings = {
            "reposdir": f"{self._work}/repos.d",
            "cachedir": f"{self._work}/cache",
            "metadata_expire": FRESH_S,
            "install_weak_deps": False,
            "module_platform_id": _env_file.parse(_text_file.read("/etc/os-release")).get("PLATFORM_ID"),
        }
        options = [f"--setopt={name}={value}" for name, value in settings.items() if value is not None]
        release = next((text for path in _RELEASES if (text := _text_file.read(path).strip())), major())
        start = ("dnf", "--assumeyes", f"--installroot={self._root}", f"--releasever={release}")
        return self._run(*start, *options, *argv, timeout_s=TIMEOUT_S)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as source:
        return source.read()


def _reason(said: Completed) -> str | None:
    """What dnf complains of, which is not in its last line."""
    words = re.findall(r"^(?:Error: +|.*(?=Failing package is)| +Problem(?: \d+)?: | +- )(.+)$", said.stderr, re.M)
    return " | ".join(word.strip() for word in words[:3]) or None
