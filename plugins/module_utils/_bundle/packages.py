# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What apt and dnf have in common when they fetch for a host on which nothing is installed."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._component import openpgp
from .._component.desired import DesiredPackage, Effect
from .._component.desired import Repository as Source
from .._component.packages import install_name
from .._errors import HostError
from .._package_manager import Manager
from . import files, gpg
from .manifest import Entry, Repository

# Lists that are younger are not read again, so that the components of one playbook share them.
FRESH_S = 600
TIMEOUT_S = 3600


@dataclasses.dataclass(frozen=True)
class Place:
    """Whose packages, and for which hosts. ``top``: the folder of a bundle that all components of a release share."""

    component: str
    suite: str
    arch: str
    top: str

    @property
    def folder(self) -> str:
        return f"{self.top}/{self.component}"

    def pooled(self, sha256: str, file: str) -> str:
        """The path of a package, which components share."""
        return f"{self.top}/pool/{sha256[:16]}/{file}"

    def repository(self, entries: t.Iterable[Entry]) -> Repository:
        return Repository(self.component, self.suite, self.arch, tuple(sorted({one.name for one in entries})))


class Packages(t.Protocol):
    """A package manager that knows of no installed package, with the repositories of this host and some more."""

    # The folder of a bundle that has its packages, and the file that signs an index.
    top: str
    signature: str

    def configure(self, sources: t.Sequence[Source], preferences: t.Sequence[str]) -> None:
        """Have these beside those of the host, each source trusted by its own key alone."""

    def fetch(self, packages: t.Iterable[t.Mapping[str, t.Any]], place: Place) -> list[tuple[str, Entry]]:
        """Have these and all that they depend on here, as the package manager verifies them: path and entry of each."""

    def index(self, published: t.Sequence[tuple[str, Entry]], place: Place) -> dict[str, bytes]:
        """The files of a repository of these, the one that names the others last."""

    def sign(self, index: t.Mapping[str, bytes], place: Place, signer: gpg.Signer) -> bytes:
        """The content of the file that signs an index."""


def source(item: t.Mapping[str, t.Any]) -> Source:
    """A repository of a component, as the module component takes it."""
    if not item.get("key"):
        raise HostError(f"repository {item['name']!r} has no signing key")
    openpgp.require_fingerprint(item["key"], item["fingerprint"], f"repository {item['name']!r}")
    uris, suites, components, arches = (tuple(item[name]) for name in ("uris", "suites", "components", "architectures"))
    return Source(item["name"], uris, suites, components, arches, item["key"], item["gpg_check"])


def names(packages: t.Iterable[t.Mapping[str, t.Any]], manager: Manager) -> list[str]:
    """Packages of a component that are to be installed, as the package manager is asked for them."""
    present = [one for one in packages if one["state"] == "present"]
    return [
        install_name(DesiredPackage(one["name"], True, one["version"], False, Effect()), manager) for one in present
    ]


def beside(parts: str, folder: str) -> str:
    """A folder with what the host has in one of its own."""
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.unlink(os.path.join(folder, old))
    for one in os.listdir(parts) if os.path.isdir(parts) else ():
        os.symlink(os.path.join(parts, one), os.path.join(folder, one))
    return folder


def replace(path: str, text: str) -> None:
    """Write a file in the place of one, or of the host's."""
    if os.path.lexists(path):
        os.unlink(path)
    files.write(path, text.encode())
