# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Repositories of a Hugging Face hub, at any endpoint."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import Unreachable
from .source import (
    Access,
    Bearer,
    DesiredFile,
    Listing,
    Questions,
    Source,
    check_path,
    check_steps,
    chosen_version,
    refusal,
)

if t.TYPE_CHECKING:
    from .desired import DesiredArtifact

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


class _HubAccess(Bearer):
    sentences: t.ClassVar[t.Mapping[str, str]] = {
        "GatedRepo": "is gated: {said}; ask for access on the hub and give a token that has it",
        "RepoNotFound": "is not there, or it is private: {said}",
        "RevisionNotFound": "does not exist at that revision: {said}; write the commit of an existing one",
    }


@dataclasses.dataclass(frozen=True)
class HubSource(Source):
    """``address`` is org/name, ``revision`` a commit."""

    FORM = "hf://org/name[/file]"
    REVISION = "a commit, 40 hexadecimal digits"
    LISTS = True

    token: str | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def parse(cls, name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> HubSource:
        text, revision = given["source"], given.get("revision")
        parts = text.partition("://")[2].split("/")
        repo, file = "/".join(parts[:2]), "/".join(parts[2:]).rstrip("/")
        if not _REPO.fullmatch(repo):
            raise HostError(f"{name}: {text!r} is not hf://org/name or hf://org/name/file")
        if revision:
            check_steps(revision, f"{name}: the revision {revision!r}")
        if revision and _COMMIT.fullmatch(revision.lower()):
            revision = revision.lower()
        at = (given.get("endpoint") or endpoint).rstrip("/")
        return cls(f"hf://{repo}", repo, file or None, at, revision, given.get("token") or token)

    @property
    def sends_secret(self) -> bool:
        return bool(self.token)

    def is_pinned(self, artifact: DesiredArtifact) -> bool:
        return bool(self.revision and _COMMIT.fullmatch(self.revision))

    def unpinned(self, artifact: DesiredArtifact, ask: Questions, listing: Listing) -> HostError:
        try:
            now = f"points to {self._info(artifact, self.revision or 'main', ask)['sha']} now"
        except Unreachable:
            now = f"cannot be looked up, since {self.endpoint} does not answer"
        if self.revision is None:
            return HostError(f"{artifact.name}: {self.shown} needs a commit as revision; its branch main {now}")
        return HostError(
            f"{artifact.name}: the revision {self.revision!r} of {self.shown} is a branch or tag, which can move; "
            f"it {now}: write {self.REVISION}"
        )

    def version(self, artifact: DesiredArtifact) -> str:
        return chosen_version(str(self.revision), artifact)

    def access(self, now: t.Callable[[], float]) -> Access:
        return _HubAccess(self.token)

    def locate(self, artifact: DesiredArtifact, path: str, sha256: str | None) -> str:
        return f"{self.endpoint}/{self.address}/resolve/{self.revision}/{urllib.parse.quote(path)}"

    def offered(self, artifact: DesiredArtifact, ask: Questions) -> t.Iterator[DesiredFile]:
        info = self._info(artifact, str(self.revision), ask)
        if info["sha"] != self.revision:
            raise HostError(f"{artifact.name}: asked for {self.revision}, {self.endpoint} answered {info['sha']}")
        for sibling in info["siblings"]:
            path = check_path(str(sibling.get("rfilename", "")), f"{artifact.name}: {self.shown}")
            large = sibling.get("lfs") or {}
            yield DesiredFile(
                path,
                "",
                sha256=large.get("sha256"),
                git_sha1=None if large else sibling.get("blobId"),
                size=large.get("size", sibling.get("size")),
            )

    def _info(self, artifact: DesiredArtifact, revision: str, ask: Questions) -> dict[str, t.Any]:
        quoted = urllib.parse.quote(revision, safe="")
        url = f"{self.endpoint}/api/models/{self.address}/revision/{quoted}?blobs=true"
        answer, body = ask(url, name=artifact.name)
        if answer.status != 200:
            at = revision if answer.headers.get("x-error-code") == "RevisionNotFound" else self.endpoint
            raise refusal(answer, name=artifact.name, what=f"{self.address} at {at}", access=ask.access, body=body)
        try:
            info = json.loads(body)
            if not isinstance(info["sha"], str) or not isinstance(info["siblings"], list):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise HostError(f"{artifact.name}: {self.endpoint} does not answer as a model hub does") from None
        return t.cast("dict[str, t.Any]", info)
