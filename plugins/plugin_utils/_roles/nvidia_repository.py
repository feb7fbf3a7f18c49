# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""NVIDIA's network repository for a distribution, or a mirror of it: where it is, and what it is trusted by. Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

# By the machine's name as the kernel says it.
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "sbsa"}
_FOREIGN = {"x86_64": r"/(sbsa|aarch64|arm64)(/|$)", "aarch64": r"/(x86_64|amd64)(/|$)"}


@dataclasses.dataclass(frozen=True)
class Repository:
    """``role`` is whose variables say it, ``url`` without the directory of the distribution, ``key_name`` that of the
    key's file next to the packages."""

    role: str
    url: str
    directory: str
    machine: str
    key: str
    fingerprint: str
    key_name: str

    @classmethod
    def of(cls, role: str, desired: t.Mapping[str, t.Any], release: t.Mapping[str, t.Any], machine: str) -> Repository:
        return cls(
            role=role,
            url=str(desired.get("repository_url") or "").rstrip("/"),
            directory=str(release["directory"]),
            machine=machine,
            key=str(desired.get("repository_key") or ""),
            fingerprint=str(desired.get("repository_fingerprint") or release["fingerprint"]),
            key_name=str(release["key"]),
        )

    @property
    def uri(self) -> str:
        return f"{self.url}/{self.directory}/{_ARCHITECTURES[self.machine]}/"

    def problems(self, what: str) -> t.Iterator[str]:
        """Why it cannot be used for ``what``, in sentences."""
        if self.machine not in _ARCHITECTURES:
            yield f"NVIDIA has no {what} packages for the architecture {self.machine} of this host."
            return
        if re.search(_FOREIGN[self.machine], self.url):
            yield (
                f"{self.role}_repository_url {self.url} is for another architecture than {self.machine}, which this "
                "host has."
            )
        for name, given in (("key", self.key), ("fingerprint", self.fingerprint)):
            if not given:
                yield (
                    f"{self.role}_repository_{name} is not set, and the repository {self.uri} is to be trusted by it; "
                    f"its key is there as {self.key_name}: check it, and keep it with the inventory."
                )

    def data(self, name: str, *, flat: bool) -> dict[str, t.Any]:
        """As the module component takes it; ``flat`` for apt."""
        suites = ["/"] if flat else []
        return {"name": name, "uris": [self.uri], "suites": suites, "key": self.key, "fingerprint": self.fingerprint}
