# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Package repositories are files: a source list and its key, named after the repository."""

from __future__ import annotations

from .._package_manager import Manager
from .desired import DesiredFile, Effect, Repository

_NOTHING = Effect("none")


def files(repository: Repository, manager: Manager) -> tuple[DesiredFile, DesiredFile]:
    """The key, then the source list that trusts only this key."""
    if manager == "apt":
        key_path = f"/etc/apt/keyrings/{repository.name}.asc"
        list_path, text = f"/etc/apt/sources.list.d/{repository.name}.sources", deb822(repository, key_path)
    else:
        key_path = f"/etc/pki/rpm-gpg/RPM-GPG-KEY-{repository.name}"
        list_path, text = f"/etc/yum.repos.d/{repository.name}.repo", yum(repository, key_path)
    return (
        DesiredFile(key_path, repository.key.encode(), effect=_NOTHING, kind="repository"),
        DesiredFile(list_path, text.encode(), effect=_NOTHING, kind="repository"),
    )


def deb822(repository: Repository, key_path: str) -> str:
    """A source list of apt that trusts this key alone."""
    fields = {
        "Types": "deb",
        "URIs": " ".join(repository.uris),
        "Suites": " ".join(repository.suites),
        "Components": " ".join(repository.components),
        "Architectures": " ".join(repository.architectures),
        "Signed-By": key_path,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def yum(repository: Repository, key_path: str) -> str:
    """A source list of dnf, whose key this one alone is."""
    checks = "gpgcheck=1\nrepo_gpgcheck=0" if repository.gpg_check == "packages" else "gpgcheck=0\nrepo_gpgcheck=1"
    return (
        f"[{repository.name}]\nname={repository.name}\nbaseurl={' '.join(repository.uris)}\n"
        f"enabled=1\n{checks}\ngpgkey=file://{key_path}\n"
    )
