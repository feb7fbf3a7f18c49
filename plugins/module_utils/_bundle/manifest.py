# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a bundle has: one manifest, ``bundle.json``, which is trusted on the controller."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t

from .._errors import HostError

NAME = "bundle.json"
SCHEMA = 1
_PATH = re.compile(r"(?!/)(?!.*(?:^|/)\.\.?(?:/|$))[^\x00-\x1f\\]+\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file of the bundle. ``kind`` is apt, rpm, key, wheel, model, image, or file: an index of others.

    ``components``: whose it is on hosts. ``suite``: the release of the distribution whose hosts need it, empty for all.
    """

    kind: str
    name: str
    version: str
    arch: str
    suite: str
    path: str
    sha256: str
    size: int
    source: str
    components: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Repository:
    """What a component installs from, on hosts of one release and architecture: ``packages`` have all dependencies.

    The images that hosts of an architecture can have are one, too, of all releases.
    """

    component: str
    suite: str
    arch: str
    packages: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """``key``: what signs the repositories, ASCII-armoured; ``fingerprint`` is its own."""

    made_at: str = ""
    key: str = ""
    fingerprint: str = ""
    repositories: tuple[Repository, ...] = ()
    entries: tuple[Entry, ...] = ()

    def repository(self, component: str, suite: str, arch: str) -> Repository | None:
        return next(
            (one for one in self.repositories if (one.component, one.suite, one.arch) == (component, suite, arch)), None
        )

    def needed(self, components: t.Collection[str], suite: str, arch: str) -> list[Entry]:
        """What a host asks for when it gets these components."""
        return [
            one
            for one in self.entries
            if set(one.components) & set(components) and one.suite in ("", suite) and one.arch in ("", "all", arch)
        ]

    def replaced(self, component: str, suite: str, entries: t.Iterable[Entry]) -> Manifest:
        """With these in the place of all that the component has had on hosts of this release. Of an entry that several
        components have, the others keep it."""
        found: dict[tuple[str, str], Entry] = {}
        for one in self.entries:
            others = tuple(name for name in one.components if name != component)
            kept = one if one.suite != suite else dataclasses.replace(one, components=others)
            if kept.components:
                found[kept.path, kept.suite] = kept
        for one in entries:
            known = found.get((one.path, one.suite))
            components = {*one.components, *(known.components if known else ())}
            found[one.path, one.suite] = dataclasses.replace(one, components=tuple(sorted(components)))
        return dataclasses.replace(self, entries=tuple(found[at] for at in sorted(found)))

    def with_repository(self, repository: Repository) -> Manifest:
        named = {(one.component, one.suite, one.arch): one for one in (*self.repositories, repository)}
        return dataclasses.replace(self, repositories=tuple(named[at] for at in sorted(named)))

    def text(self) -> str:
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=1) + "\n"


def parse(text: str, whose: str) -> Manifest:
    """HostError for what is no manifest, or one of a newer release; ``whose`` begins the sentence."""
    try:
        data = json.loads(text)
        schema = data["schema"]
        if schema != SCHEMA:
            raise HostError(
                f"{whose} has the schema {schema}, and this release of the collection reads {SCHEMA}; make the bundle "
                "with the release that reads it"
            )
        found = Manifest(
            data["made_at"],
            data["key"],
            data["fingerprint"],
            tuple(Repository(**{**one, "packages": tuple(one["packages"])}) for one in data["repositories"]),
            tuple(Entry(**{**one, "components": tuple(one["components"])}) for one in data["entries"]),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise HostError(f"{whose} is no manifest of a bundle: {type(exc).__name__} {exc}") from exc
    for one in found.entries:
        if not (_PATH.match(one.path) and _SHA256.match(one.sha256)):
            raise HostError(f"{whose} names the file {one.path!r}, whose path or sha256 is not valid")
    return found


def read(folder: str) -> Manifest:
    """That of a bundle; an empty one where there is none yet."""
    path = os.path.join(folder, NAME)
    try:
        with open(path, encoding="utf-8") as source:
            return parse(source.read(), path)
    except FileNotFoundError:
        return Manifest()
