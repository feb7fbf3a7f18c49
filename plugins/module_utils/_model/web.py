# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Files of web servers, which say no checksum: the options do."""

from __future__ import annotations

import dataclasses
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import without_query
from .source import Access, Bearer, Source, check_steps

if t.TYPE_CHECKING:
    from .desired import DesiredArtifact


@dataclasses.dataclass(frozen=True)
class WebSource(Source):
    """``address`` is a URL, whose query may hold a signature."""

    FORM = "https://…, http://…"

    token: str | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def parse(cls, name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> WebSource:
        text, one_file = given["source"], bool(given.get("sha256"))
        parts, shown = urllib.parse.urlsplit(text), without_query(text)
        if parts.username is not None or parts.password is not None:
            raise HostError(f"{name}: the source holds a user name or password; give a token instead")
        if not parts.hostname or (one_file and parts.path.endswith("/")):
            raise HostError(f"{name}: {shown!r} names no {'file' if parts.hostname else 'host'}")
        check_steps(urllib.parse.unquote(parts.path), f"{name}: {shown!r}", empty=True)
        file = urllib.parse.unquote(parts.path.rsplit("/", 1)[-1]) if one_file else None
        return cls(shown, text, file, endpoint=text, token=given.get("token"))

    @property
    def sends_secret(self) -> bool:
        return bool(self.token)

    def access(self, now: t.Callable[[], float]) -> Access:
        return Bearer(self.token)

    def locate(self, artifact: DesiredArtifact, path: str, sha256: str | None) -> str:
        if self.file is not None:
            return self.address
        parts = urllib.parse.urlsplit(self.address)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{urllib.parse.quote(path)}").geturl()
