# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is desired: artefacts, their sources, and the names of their versions."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from .._errors import HostError
from .._http import without_query
from .kinds import KINDS, forms, listing, misplaced
from .source import SHA256, Named, Source, check_path

RECORD_NAME = ".mlops-artifact.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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
        """The name of the version, known without asking anyone: a revision, or a digest of the desired checksums."""
        return self.origin.version(self)

    def chooses(self, path: str) -> bool:
        """Whether ``include`` and ``exclude`` take this file of a source's list."""

        def matches(patterns: t.Iterable[str]) -> bool:
            return any(fnmatch.fnmatchcase(path, pattern + "*" * pattern.endswith("/")) for pattern in patterns)

        return (not self.include or matches(self.include)) and not matches(self.exclude)


def parse(given: t.Mapping[str, t.Any], *, endpoint: str, token: str | None) -> DesiredArtifact:
    """Check one element of the ``artifacts`` option."""
    name = given["name"]
    if not _NAME.fullmatch(name):
        raise HostError(f"{name!r} cannot be the name of an artefact: use letters, digits, '.', '_' and '-'")
    if given["state"] == "absent":
        return DesiredArtifact(name, "absent")
    files = tuple(_named(entry, name) for entry in given.get("files") or ())
    include, exclude = tuple(given.get("include") or ()), tuple(given.get("exclude") or ())
    text, sha256 = given.get("source") or "", given.get("sha256")
    scheme = text.partition("://")[0]
    if scheme not in KINDS:
        raise HostError(f"{name}: the source {without_query(text)!r} is not known; use {forms()}")
    kind = KINDS[scheme]()
    options = {option for options in (given, *(given.get("files") or ())) for option in options if options[option]}
    if foreign := misplaced(scheme, sorted(options)):
        raise HostError(f"{name}: {' and '.join(foreign)} only")
    source = kind.parse(name, given, endpoint=endpoint, token=token)
    if given.get("revision") and not kind.LISTS:
        raise HostError(f"{name}: revision goes with {listing()} only; {source.shown} is pinned by sha256")
    if source.file is not None:
        if files or include or exclude:
            raise HostError(
                f"{name}: {without_query(text)} is one file, so files, include and exclude do not go with it"
            )
        files = (_named({"path": source.file, "sha256": sha256}, name),)
    elif sha256:
        raise HostError(f"{name}: sha256 goes with a source that is one file; {source.shown} needs files[].sha256")
    if not kind.LISTS:
        if include or exclude:
            raise HostError(f"{name}: include and exclude choose from a source's list; {source.shown} needs files")
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
        if not SHA256.fullmatch(sha256):
            raise HostError(f"{name}: the sha256 of {entry['path']} must be 64 hexadecimal digits, not {sha256!r}")
    return Named(check_path(entry["path"], name), sha256, entry.get("size"), entry.get("version_id"))
