# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A version that the store has already, named as it is there: the way back, for which nobody is asked."""

from __future__ import annotations

import re
import typing as t

from .._errors import HostError
from .source import DesiredFile, Questions, Source

if t.TYPE_CHECKING:
    from .desired import DesiredArtifact

_VERSION = re.compile(r"(?!current$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FOREIGN = ("revision", "sha256", "files", "include", "exclude", "endpoint")


class StoredSource(Source):
    """``address`` is the name of the version."""

    FORM = "store://VERSION"
    LISTS = True  # its record does

    @classmethod
    def parse(cls, name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> StoredSource:
        version = given["source"].partition("://")[2]
        if not _VERSION.fullmatch(version):
            raise HostError(f"{name}: {given['source']!r} needs the name of a version in the store, as in {cls.FORM}")
        if foreign := [option for option in _FOREIGN if given.get(option)]:
            raise HostError(
                f"{name}: store://{version} is a whole version that the store has, so {' and '.join(foreign)} "
                f"{'does' if len(foreign) == 1 else 'do'} not go with it"
            )
        return cls(f"store://{version}", version)

    def version(self, artifact: DesiredArtifact) -> str:
        return self.address

    def locate(self, artifact: DesiredArtifact, path: str, sha256: str | None) -> str:
        return f"the store, version {self.address}"

    def offered(self, artifact: DesiredArtifact, ask: Questions) -> t.Iterable[DesiredFile]:
        raise HostError(
            f"{artifact.name}: the store should have version {self.address} already and has not: name the source that "
            "it comes from; nothing was changed"
        )

    def probe(self, artifact: DesiredArtifact, desired: DesiredFile, ask: Questions) -> DesiredFile:
        raise HostError(
            f"{artifact.name}: {desired.path} of version {self.address} is lost or damaged in the store: name the "
            "source that it comes from; nothing was changed"
        )
