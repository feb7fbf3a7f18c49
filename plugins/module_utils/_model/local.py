# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Files that lie on the host already, as on a disk that was carried in."""

from __future__ import annotations

import os
import typing as t

from .._errors import HostError
from .source import DesiredFile, Questions, Source, check_steps, with_size

if t.TYPE_CHECKING:
    from .desired import DesiredArtifact


class LocalSource(Source):
    """``address`` is an absolute path."""

    FORM = "file:///…"

    @classmethod
    def parse(cls, name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> LocalSource:
        text = given["source"]
        path = text.partition("://")[2].rstrip("/")
        if not path.startswith("/"):
            raise HostError(f"{name}: {text!r} needs an absolute path on the host, as in file:///srv/models")
        check_steps(path[1:], f"{name}: {text!r}")
        return cls(f"file://{path}", path, path.rsplit("/", 1)[1] if given.get("sha256") else None)

    def locate(self, artifact: DesiredArtifact, path: str, sha256: str | None) -> str:
        return self.address if self.file is not None else f"{self.address}/{path}"

    def probe(self, artifact: DesiredArtifact, desired: DesiredFile, ask: Questions) -> DesiredFile:
        try:
            size = os.stat(desired.location).st_size
        except OSError as exc:
            raise HostError(f"{artifact.name}: {desired.location} cannot be read: {exc.strerror}") from exc
        return with_size(artifact.name, desired, size)
