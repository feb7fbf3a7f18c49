# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a source says about an artefact: which files it has, their checksums and sizes. No model data is read here."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import HostError
from .._http import Fetch
from .desired import DesiredArtifact, check_tree
from .patience import Patience
from .source import DesiredFile, Named, Questions, Source, as_named


class Sources:
    """Asks sources, and remembers what they said: it is asked again under the lock."""

    def __init__(
        self, fetch: Fetch, patience: Patience, *, timeout_s: float, parallel: int, now: t.Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._patience = patience
        self._timeout_s = timeout_s
        self._parallel = parallel
        self._now = now
        self._questions: dict[Source, Questions] = {}
        self._listed: dict[DesiredArtifact, tuple[DesiredFile, ...]] = {}
        self._checked: dict[tuple[str, DesiredFile], DesiredFile] = {}

    def pin(self, artifact: DesiredArtifact) -> None:
        """Refuse what can move, and say the revision that it has now."""
        if artifact.source is not None and not artifact.source.is_pinned(artifact):
            raise artifact.source.unpinned(artifact, self._ask(artifact), lambda: self.listing(artifact))

    def located(self, artifact: DesiredArtifact, desired: DesiredFile) -> DesiredFile:
        """The file with the place where it is, and how that is asked."""
        location = artifact.origin.locate(artifact, desired.path, desired.sha256)
        return dataclasses.replace(desired, location=location, access=self._ask(artifact).access)

    def listing(self, artifact: DesiredArtifact) -> tuple[DesiredFile, ...]:
        """All files of the artefact. Asks sources that have a list; for the others the options have it."""
        if artifact not in self._listed:
            source, ask = artifact.origin, self._ask(artifact)
            if source.LISTS:
                chosen = [self.located(artifact, desired) for desired in self._chosen(artifact, ask)]
                files = source.completed(artifact, chosen, ask)
                self._check_chosen(artifact, files)
            else:
                files = [self.located(artifact, as_named(named)) for named in artifact.files]
            self._listed[artifact] = tuple(files)
        return self._listed[artifact]

    def check(self, artifact: DesiredArtifact, missing: t.Sequence[DesiredFile]) -> tuple[DesiredFile, ...]:
        """See that what has to be fetched is there and may be read, and learn sizes that are not known."""
        source, ask = artifact.origin, self._ask(artifact)
        unseen = [desired for desired in missing if (artifact.name, desired) not in self._checked]
        probed = source.probed(artifact, unseen)
        self._checked.update({(artifact.name, desired): desired for desired in unseen})
        for desired, seen in zip(probed, ask.each(lambda desired: source.probe(artifact, desired, ask), probed)):
            self._checked[artifact.name, desired] = seen
        return tuple(self._checked[artifact.name, desired] for desired in missing)

    def _ask(self, artifact: DesiredArtifact) -> Questions:
        """One for a source, since what it says of how to ask is remembered."""
        source = artifact.origin
        if source not in self._questions:
            access = source.access(self._now)
            self._questions[source] = Questions(
                self._fetch, self._patience, access, timeout_s=self._timeout_s, parallel=self._parallel
            )
        return self._questions[source]

    @staticmethod
    def _chosen(artifact: DesiredArtifact, ask: Questions) -> list[DesiredFile]:
        source = artifact.origin
        offered: dict[str, DesiredFile] = {}
        for desired in source.offered(artifact, ask):
            if desired.path in offered:
                raise HostError(f"{artifact.name}: {source.shown} names the file {desired.path} twice")
            offered[desired.path] = desired
        if artifact.files:
            if lacking := [named.path for named in artifact.files if named.path not in offered]:
                raise HostError(f"{artifact.name}: {source.shown} at {source.revision} has no {', '.join(lacking)}")
            return [_compared(artifact, named, offered[named.path]) for named in artifact.files]
        chosen = [desired for path, desired in sorted(offered.items()) if artifact.chooses(path)]
        if not chosen:
            raise HostError(
                f"{artifact.name}: include and exclude leave none of the {len(offered)} files of {source.shown}"
            )
        return chosen

    @staticmethod
    def _check_chosen(artifact: DesiredArtifact, chosen: t.Sequence[DesiredFile]) -> None:
        source = artifact.origin
        for desired in chosen:
            if desired.unfit:
                raise HostError(f"{artifact.name}: {desired.path} of {source.shown} {desired.unfit}")
            if desired.sha256 is None and desired.git_sha1 is None:
                raise HostError(
                    f"{artifact.name}: {source.endpoint} has no checksum for {desired.path}; "
                    "name it in files with sha256"
                )
        check_tree([desired.path for desired in chosen], f"{artifact.name}: {source.shown}")


def _compared(artifact: DesiredArtifact, named: Named, offered: DesiredFile) -> DesiredFile:
    if named.sha256 and offered.sha256 and named.sha256 != offered.sha256:
        raise HostError(
            f"{artifact.name}: {named.path} should have sha256 {named.sha256}, "
            f"{artifact.origin.shown} has {offered.sha256}; nothing was downloaded and no version was published"
        )
    return dataclasses.replace(offered, sha256=named.sha256 or offered.sha256)
