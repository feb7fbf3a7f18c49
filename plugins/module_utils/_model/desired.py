# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is desired: artefacts, their sources, and the names of their versions."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import json
import re
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import without_query

RECORD_NAME = ".mlops-artifact.json"
COMMIT = re.compile(r"[0-9a-f]{40}")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_SCHEMES = "hf://org/name[/file], https://…, http://… or file:///…"


@dataclasses.dataclass(frozen=True)
class Named:
    """A file that the user names, with what it must be."""

    path: str
    sha256: str | None = None
    size: int | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an artefact comes from. ``address`` is org/name of a hub, a URL, or a path on the host."""

    kind: t.Literal["hub", "http", "file"]
    address: str
    one_file: bool = False
    endpoint: str = ""
    revision: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)

    @property
    def is_pinned(self) -> bool:
        """Whether the source cannot move: a hub needs a commit for that, the others have checksums."""
        return self.kind != "hub" or bool(self.revision and COMMIT.fullmatch(self.revision))

    @property
    def exposes_token(self) -> bool:
        """Whether the token would cross a network unencrypted."""
        parts = urllib.parse.urlsplit(self.endpoint or self.address)
        return bool(self.token) and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost")

    @property
    def shown(self) -> str:
        """For people and records: a query may hold a signature, so it is left out."""
        if self.kind == "hub":
            return f"hf://{self.address}"
        return without_query(self.address) if self.kind == "http" else f"file://{self.address}"


@dataclasses.dataclass(frozen=True)
class DesiredArtifact:
    """One desired artefact."""

    name: str
    state: t.Literal["present", "absent"]
    source: Source | None = None
    files: tuple[Named, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def origin(self) -> Source:
        """The source of an artefact that is to be present; only one that is to be absent has none."""
        if self.source is None:
            raise ValueError(f"{self.name} has no source")
        return self.source

    @property
    def version(self) -> str:
        """The name of the version, known without asking anyone: a commit, or a digest of the desired checksums."""
        if self.origin.kind != "hub":
            return _digest([[named.path, named.sha256] for named in sorted(self.files, key=lambda named: named.path)])[
                :16
            ]
        paths = sorted(named.path for named in self.files)
        if not (paths or self.include or self.exclude):
            return str(self.origin.revision)
        chosen = _digest([paths, sorted(self.include), sorted(self.exclude)])
        return f"{self.origin.revision}-{chosen[:8]}"

    def chooses(self, path: str) -> bool:
        """Whether ``include`` and ``exclude`` take this file of a hub's repository."""

        def matches(patterns: t.Iterable[str]) -> bool:
            return any(fnmatch.fnmatchcase(path, pattern + "*" * pattern.endswith("/")) for pattern in patterns)

        return (not self.include or matches(self.include)) and not matches(self.exclude)


def check_path(path: str, what: str) -> str:
    """A relative path that stays below its folder, or an error that says whose it is."""
    parts = path.split("/")
    odd = any(ord(char) < 32 or ord(char) == 127 for char in path) or "\\" in path
    if odd or any(part in ("", ".", "..") for part in parts) or parts[0].startswith(".mlops-") or len(path) > 1024:
        raise HostError(
            f"{what} names the file {path!r}, which would not stay inside the artefact; nothing was changed"
        )
    return path


def parse(given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> DesiredArtifact:
    """Check one element of the ``artifacts`` option."""
    name = given["name"]
    if not _NAME.fullmatch(name):
        raise HostError(f"{name!r} cannot be the name of an artefact: use letters, digits, '.', '_' and '-'")
    if given["state"] == "absent":
        return DesiredArtifact(name, "absent")
    files = tuple(_named(entry, name) for entry in given.get("files") or ())
    include, exclude = tuple(given.get("include") or ()), tuple(given.get("exclude") or ())
    source = _source(name, given, endpoint=endpoint, token=token)
    sha256 = given.get("sha256")
    if source.one_file:
        if files or include or exclude:
            raise HostError(f"{name}: {source.shown} is one file, so files, include and exclude do not go with it")
        files = (_named({"path": source.address.rsplit("/", 1)[1], "sha256": sha256}, name),)
        if source.kind == "hub":  # org/name/path/in/repository
            org, repo, path = source.address.split("/", 2)
            files = (_named({"path": path, "sha256": sha256}, name),)
            source = dataclasses.replace(source, address=f"{org}/{repo}")
        elif source.kind == "http":
            path = urllib.parse.unquote(urllib.parse.urlsplit(source.address).path.rsplit("/", 1)[1])
            files = (_named({"path": path, "sha256": sha256}, name),)
    elif sha256:
        raise HostError(f"{name}: sha256 goes with a source that is one file; {source.shown} needs files[].sha256")
    if source.kind != "hub":
        if include or exclude:
            raise HostError(f"{name}: include and exclude choose from a hub's list; {source.shown} needs files")
        if not files:
            raise HostError(f"{name}: {source.shown} needs files with path and sha256, or sha256 when it is one file")
        if lacking := [named.path for named in files if named.sha256 is None]:
            raise HostError(f"{name}: {source.shown} says no checksum, so sha256 is needed for {', '.join(lacking)}")
    elif files and (include or exclude):
        raise HostError(f"{name}: files is the whole choice; include and exclude do not go with it")
    check_tree([named.path for named in files], name)
    return DesiredArtifact(name, "present", source, files, include, exclude)


def check_tree(paths: t.Sequence[str], what: str) -> None:
    """Refuse what cannot be a tree: the same path twice, or a file that is also a folder."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise HostError(f"{what} names the file {path} twice")
        seen.add(path)
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in seen:
                raise HostError(f"{what} names {'/'.join(parts[:depth])} as a file and as a folder")


def _named(entry: t.Mapping[str, t.Any], name: str) -> Named:
    sha256 = entry.get("sha256")
    if sha256 is not None:
        sha256 = sha256.lower()
        if not _SHA256.fullmatch(sha256):
            raise HostError(f"{name}: the sha256 of {entry['path']} must be 64 hexadecimal digits, not {sha256!r}")
    return Named(check_path(entry["path"], name), sha256, entry.get("size"))


def _source(name: str, given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> Source:
    text, revision = given.get("source") or "", given.get("revision")
    if revision and COMMIT.fullmatch(revision.lower()):
        revision = revision.lower()
    scheme, _separator, rest = text.partition("://")
    parts = urllib.parse.urlsplit(text)
    if scheme == "hf":
        org_and_name = "/".join(rest.split("/")[:2])
        if not _REPO.fullmatch(org_and_name):
            raise HostError(f"{name}: {text!r} is not hf://org/name or hf://org/name/file")
        return Source(
            "hub",
            rest.rstrip("/"),
            one_file=rest.rstrip("/").count("/") > 1,
            endpoint=(given.get("endpoint") or endpoint).rstrip("/"),
            revision=revision,
            token=given.get("token") or token,
        )
    if scheme not in ("http", "https", "file"):
        raise HostError(f"{name}: the source {without_query(text)!r} is not known; use {_SCHEMES}")
    if revision:
        raise HostError(f"{name}: revision goes with hf:// only; {without_query(text)} is pinned by sha256")
    one_file = bool(given.get("sha256"))
    if scheme == "file":
        if not rest.startswith("/"):
            raise HostError(f"{name}: {text!r} needs an absolute path on the host, as in file:///srv/models")
        return Source("file", rest.rstrip("/"), one_file=one_file)
    if parts.username is not None or parts.password is not None:
        raise HostError(f"{name}: the source holds a user name or password; give a token instead")
    if not parts.hostname or (one_file and parts.path.endswith("/")):
        raise HostError(f"{name}: {without_query(text)!r} names no {'file' if parts.hostname else 'host'}")
    return Source("http", text, one_file=one_file, token=given.get("token"))


def _digest(value: t.Any) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()
