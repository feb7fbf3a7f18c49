# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Packages with all that they depend on, as apt itself resolves them for a host on which nothing is installed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import time
import typing as t
import urllib.parse

from .._component import repositories
from .._component.desired import Repository as Source
from .._errors import HostError
from .._runner import Completed, Runner, must
from . import files, gpg
from .manifest import Entry
from .packages import FRESH_S, TIMEOUT_S, Place, beside, names, replace

# What Ansible's own module installs first where it is not there.
ALWAYS = ("python3-apt",)
_URI = re.compile(r"'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})")


@dataclasses.dataclass(frozen=True)
class File:
    """A package that apt would fetch. ``name``: what apt calls the file; ``sha256`` is that of its signed index."""

    uri: str
    name: str
    size: int
    sha256: str

    @property
    def published(self) -> str:
        return urllib.parse.unquote(self.uri.rsplit("/", 1)[-1])


class Apt:
    """An apt of its own, with the sources of this host and some more, that knows of no installed package."""

    top = "apt"
    signature = "InRelease"

    def __init__(self, work: str, run: Runner) -> None:
        self._work = work
        self._run = run
        self._archives = os.path.join(work, "archives")
        self._controls: dict[str, str] = {}
        for name in ("keys", "lists/partial", "archives/partial", "none/partial"):
            os.makedirs(os.path.join(work, name), exist_ok=True)
        for name in ("status", "extended_states"):
            with open(os.path.join(work, name), "w", encoding="utf-8"):
                pass

    def configure(self, sources: t.Sequence[Source], preferences: t.Sequence[str], etc: str = "/etc/apt") -> None:
        """Have these beside those of the host, each source trusted by its own key alone."""
        folder = beside(f"{etc}/sources.list.d", os.path.join(self._work, "sources.d"))
        pins = beside(f"{etc}/preferences.d", os.path.join(self._work, "preferences.d"))
        for place, text in enumerate(preferences):
            files.write(os.path.join(pins, f"mlops-bundle-{place}"), text.encode())
        for one in sources:
            key = os.path.join(self._work, "keys", f"{one.name}.asc")
            files.write(key, one.key.encode())
            replace(os.path.join(folder, f"{one.name}.sources"), repositories.deb822(one, key))
        if not self._is_fresh():
            self._update()

    def _is_fresh(self) -> bool:
        """Whether these lists were read a short while ago, for another component."""
        try:
            age = time.time() - os.stat(self._stamp).st_mtime
            with open(self._stamp, encoding="utf-8") as stamp:
                return 0 <= age < FRESH_S and stamp.read() == self._sources_digest()
        except FileNotFoundError:
            return False

    def _sources_digest(self) -> str:
        folder = os.path.join(self._work, "sources.d")
        return "".join(f"{name} {files.digest(os.path.join(folder, name))}\n" for name in sorted(os.listdir(folder)))

    @property
    def _stamp(self) -> str:
        return os.path.join(self._work, "updated")

    def _update(self) -> None:
        said = self._apt("-q", "update")
        must(said, "the package lists cannot be read")
        failed = re.findall(r"^(?:E|W): (.*(?:Failed to fetch|GPG error|not signed).*)$", said.stderr, re.MULTILINE)
        if failed:
            raise HostError(f"the package lists cannot be read: {failed[0]}; correct the repository, and run again")
        files.write(self._stamp, self._sources_digest().encode())
        os.utime(self._stamp)

    def fetch(self, packages: t.Iterable[t.Mapping[str, t.Any]], place: Place) -> list[tuple[str, Entry]]:
        """Have these and all that they depend on here. Path and entry of each."""
        asked = [*names(packages, "apt"), *ALWAYS]
        found = sorted(self.closure(asked, place.component), key=lambda one: one.name)
        self.download(asked, found, place.component)
        return [(self.path(one), self.entry(one, place)) for one in found]

    def closure(self, names: t.Sequence[str], what: str) -> list[File]:
        """The files of these packages and of all that they depend on."""
        # Without this it names the MD5 alone.
        forced = ("-o", "Acquire::ForceHash=SHA256")
        said = self._apt("-qq", "--print-uris", *forced, *self._install(names), archives="none")
        must(said, f"the packages of {what} cannot be resolved", why=_reason(said))
        found = [File(uri, name, int(size), value) for uri, name, size, value in _URI.findall(said.stdout)]
        if len(found) != len([line for line in said.stdout.splitlines() if line.startswith("'")]):
            raise HostError(f"the packages of {what} cannot be resolved: apt has no checksum for some of them")
        return found

    def download(self, names: t.Sequence[str], found: t.Sequence[File], what: str) -> int:
        """Have the files here, as apt verifies them. Those that are here are not fetched again. How many were not."""
        missing = [one for one in found if not self._is_there(one)]
        if missing:
            said = self._apt("-q", "--download-only", *self._install(names))
            must(said, f"the packages of {what} cannot be fetched", why=_reason(said))
        for one in found:
            if not self._is_there(one):
                raise HostError(f"the package {one.name} of {what} is not what apt's index says; run again")
        return len(missing)

    def path(self, one: File) -> str:
        return os.path.join(self._archives, one.name)

    def entry(self, one: File, place: Place) -> Entry:
        name, version, arch = _identity(self._control(self.path(one)))
        path = place.pooled(one.sha256, one.published)
        return Entry("apt", name, version, arch, place.suite, path, one.sha256, one.size, one.uri, (place.component,))

    def index(self, published: t.Sequence[tuple[str, Entry]], place: Place) -> dict[str, bytes]:
        """A Packages file of these."""
        stanzas = [
            f"{self._control(path)}\nFilename: {os.path.relpath(entry.path, place.top)}\nSize: {entry.size}\n"
            f"SHA256: {entry.sha256}\n"
            for path, entry in published
        ]
        return {"Packages": "\n".join(stanzas).encode("utf-8", "surrogateescape")}

    def sign(self, index: t.Mapping[str, bytes], place: Place, signer: gpg.Signer) -> bytes:
        date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
        return signer.sign(release(index["Packages"], place, date))

    def _control(self, path: str) -> str:
        """The stanza of a package in an index, without what tells where it is."""
        if path not in self._controls:
            said = self._run("dpkg-deb", "--field", path, timeout_s=60)
            must(said, f"the package {os.path.basename(path)} cannot be read")
            self._controls[path] = said.stdout.rstrip("\n")
        return self._controls[path]

    def _is_there(self, one: File) -> bool:
        path = self.path(one)
        return os.path.exists(path) and os.path.getsize(path) == one.size and files.digest(path) == one.sha256

    @staticmethod
    def _install(names: t.Sequence[str]) -> tuple[str, ...]:
        return ("--yes", "--no-install-recommends", "install", *names)

    def _apt(self, *argv: str, archives: str = "archives") -> Completed:
        places = {
            "Dir::State": self._work,
            "Dir::State::status": f"{self._work}/status",
            "Dir::State::lists": f"{self._work}/lists",
            "Dir::State::extended_states": f"{self._work}/extended_states",
            "Dir::Cache": self._work,
            "Dir::Cache::archives": f"{self._work}/{archives}",
            "Dir::Etc::sourceparts": f"{self._work}/sources.d",
            "Dir::Etc::preferencesparts": f"{self._work}/preferences.d",
            "Debug::NoLocking": "1",
        }
        options = [word for name, value in places.items() for word in ("-o", f"{name}={value}")]
        return self._run("apt-get", *options, *argv, timeout_s=TIMEOUT_S)


def release(packages: bytes, place: Place, date: str) -> str:
    """A Release file for one index of a flat repository."""
    return (
        f"Origin: mlops.hosts bundle\nLabel: {place.component}\nSuite: {place.component}\nCodename: {place.suite}\n"
        f"Date: {date}\nArchitectures: {place.arch}\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    )


def _identity(control: str) -> tuple[str, str, str]:
    fields = dict(re.findall(r"^(Package|Version|Architecture): (.+)$", control, re.MULTILINE))
    return fields["Package"], fields["Version"], fields["Architecture"]


def _reason(said: Completed) -> str | None:
    """What apt complains of, which is not in its last line."""
    words = re.findall(
        r"^(?:E: |The following packages have unmet dependencies:\n)(.+)$", said.stderr + said.stdout, re.M
    )
    return " | ".join(word.strip() for word in words[:3]) or None
