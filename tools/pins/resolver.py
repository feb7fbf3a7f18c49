# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each pin by what is served."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
import tempfile
import typing as t
from collections.abc import Callable
from pathlib import Path

from tiny_wheel import wheel

from plugins.module_utils._component import openpgp
from plugins.module_utils._errors import HostError
from tools.hosts.apt_mirror import machine_mirror
from tools.pins.answers import GONE, NOT_REACHABLE, OK, OTHER_HASH, Ask, Missing, Outcome, Unreachable
from tools.pins.listed import MADE_HERE, ROOT, Image, Key, Package, Pin, Repository, Wheels
from tools.pins.python_index import File, same_version

# What is next to the name of a release of a distribution: where its packages with a licence of their own are.
_COMPONENT = "non-free"
_MANIFESTS = (
    *("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"),
    *("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"),
)


class Resolver:
    """``files``: of a Python package. ``debian``: URL of this machine's archive of Debian, None where it has none."""

    def __init__(self, files: Callable[[str], list[File]], ask: Ask, debian: str | None, root: Path = ROOT) -> None:
        self._files = files
        self._ask = ask
        self._debian = debian
        self._root = root
        self._indexes: dict[Repository, list[tuple[str, str]]] = {}

    def __call__(self, pin: Pin) -> Outcome:
        try:
            if isinstance(pin, Wheels):
                return self._wheels(pin)
            if isinstance(pin, Package):
                return self._package(pin)
            return self._key(pin) if isinstance(pin, Key) else self._image(pin)
        except Unreachable as unreachable:
            return Outcome(NOT_REACHABLE, str(unreachable))
        except Missing as missing:
            return Outcome(GONE, f"{missing} does not exist")

    def _wheels(self, pin: Wheels) -> Outcome:
        made = (pin.file, pin.name) == MADE_HERE
        files = _made_here(pin) if made else self._files(pin.name)
        served = [one for one in files if same_version(one.version, pin.version)]
        if not served:
            return Outcome(GONE, "no index has this version" if files else "no index has this name")
        hashes = {one.sha256 for one in served}
        lost = [one for one in pin.hashes if one not in hashes]
        if pin.hashes and len(lost) == len(pin.hashes):
            return Outcome(OTHER_HASH, f"it is served with {', '.join(sorted(hashes))}")
        if lost:
            return Outcome(GONE, f"{len(lost)} of its files: {', '.join(lost)}")
        reasons = {
            one.yanked for one in served if one.yanked is not None and (one.sha256 in pin.hashes or not pin.hashes)
        }
        if reasons:
            return Outcome(OK, f"but yanked: {'; '.join(sorted(filter(None, reasons))) or 'no reason is given'}")
        return Outcome(OK, "made here" if made else "")

    def _package(self, pin: Package) -> Outcome:
        repository = pin.repository
        if not repository.url:
            family, _, suite = repository.suite.partition(" ")
            if family != "Debian" or not self._debian:
                raise Unreachable("apt", f"this machine has no archive of {family}")
            repository = Repository("debian", self._debian, f"{suite}/{_COMPONENT}")
        if repository not in self._indexes:
            self._indexes[repository] = packages(repository, self._ask)
        versions = {version for name, version in self._indexes[repository] if name.startswith(pin.names)}
        if any(_begins(version, pin.version) for version in versions):
            return Outcome(OK)
        return Outcome(GONE, f"the repository has {', '.join(sorted(versions)) or 'no such package'}")

    def _key(self, pin: Key) -> Outcome:
        local = not pin.at.startswith("https://")
        text = (self._root / pin.at).read_text() if local else self._ask(pin.at).decode(errors="replace")
        try:
            found = openpgp.fingerprint(text, pin.at).upper()
        except HostError as error:
            return Outcome(OTHER_HASH, str(error))
        return Outcome(OK) if found == pin.fingerprint else Outcome(OTHER_HASH, f"the key there is {found}")

    def _image(self, pin: Image) -> Outcome:
        name, _, digest = pin.name.partition("@")
        host, _, path = name.partition("/")
        path, _, tag = path.partition(":")
        url = f"https://{host}/v2/{path}/manifests/{digest or tag}"
        served = f"sha256:{hashlib.sha256(self._ask(url, {'Accept': ', '.join(_MANIFESTS)})).hexdigest()}"
        if digest:
            return Outcome(OK) if served == digest else Outcome(OTHER_HASH, f"it is served with {served}")
        return Outcome(OK, f"a tag, now {served}")


def resolver(files: Callable[[str], list[File]], ask: Ask) -> Resolver:
    mirror = machine_mirror()
    return Resolver(files, ask, mirror.main if mirror else None)


def packages(repository: Repository, ask: Ask) -> list[tuple[str, str]]:
    """Names and versions of all packages of a repository."""
    base = repository.url
    if repository.kind == "rpm":
        found = re.findall(r'href="([^"]*primary\.xml\.\w+)"', ask(f"{base}/repodata/repomd.xml").decode())
        if not found:
            raise Unreachable(base, "its repomd.xml names no list of packages")
        # There may be one for each way of compression: one that Python reads comes first.
        primary = min(found, key=lambda name: name.endswith(".zst"))
        text = _unpacked(primary, ask(f"{base}/{primary}"))
        pattern = r'<name>([^<]+)</name>.*?<version [^>]*?ver="([^"]+)"'
        return re.findall(pattern, text, re.DOTALL)
    if repository.kind == "debian":
        suite, _, component = repository.suite.partition("/")
        base = f"{base}/dists/{suite}/{component}/binary-amd64"
    text = _first(base, ("Packages.xz", "Packages.gz", "Packages"), ask)
    return re.findall(r"^Package: (\S+)$(?:\n(?!$).*)*?\nVersion: (\S+)$", text, re.MULTILINE)


def _first(base: str, names: tuple[str, ...], ask: Ask) -> str:
    for name in names:
        try:
            return _unpacked(name, ask(f"{base}/{name}"))
        except Missing:
            if name == names[-1]:
                raise
    raise AssertionError("names are given")


def _unpacked(name: str, data: bytes) -> str:
    readers: dict[str, t.Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".xz": lzma.decompress}
    if name.endswith(".zst"):
        raise Unreachable(name, "Python cannot read it")
    return readers.get(Path(name).suffix, bytes)(data).decode()


def _begins(version: str, pinned: str) -> bool:
    """Whether a version of a package, without its epoch, is the pinned one, or goes on after it with another part."""
    return re.match(rf"{re.escape(pinned)}(?![0-9])", version.rpartition(":")[2]) is not None


def _made_here(pin: Wheels) -> list[File]:
    with tempfile.TemporaryDirectory() as folder:
        line = wheel(pin.name, pin.version, Path(folder), empty=True)
    return [File(pin.version, line.rpartition(":")[2])]
