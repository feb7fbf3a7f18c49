# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Compares the desired artefacts with the store, and decides what has to be done. Nothing is changed here."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
import typing as t

from .._drift import Drift
from .._errors import HostError
from .desired import DesiredArtifact
from .source import DesiredFile
from .sources import Sources
from .store import Contents, Kept, Record, Store, stat_of_file

# good: as recorded. touched: right content, other inode or time than recorded. damaged: another content.
State = t.Literal["good", "touched", "damaged", "missing"]


@dataclasses.dataclass(frozen=True)
class Item:
    """One desired artefact next to what the store has of it."""

    artifact: DesiredArtifact
    record: Record | None
    files: tuple[DesiredFile, ...]
    states: t.Mapping[str, State]
    stored: t.Mapping[str, str]  # key of a content that need not be fetched -> its sha256
    unnamed: tuple[Kept, ...] = ()  # good files whose blob has lost its name
    fetch: tuple[DesiredFile, ...] = ()

    @property
    def name(self) -> str:
        return self.artifact.name

    @property
    def version(self) -> str:
        return self.artifact.version

    def paths(self, *states: State) -> list[str]:
        return [path for path, state in self.states.items() if state in states]


@dataclasses.dataclass(frozen=True)
class Observed:
    contents: Contents
    items: tuple[Item, ...]
    absent: tuple[str, ...]
    misowned: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Action:
    """One step of the plan, for people and reports."""

    action: str
    artifact: str | None
    item: str
    size_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What will be done, in this order. Empty when the host is right."""

    clean: tuple[str, ...] = ()
    fetch: tuple[tuple[str, DesiredFile], ...] = ()
    link_blobs: tuple[tuple[Record, Kept], ...] = ()
    repair: tuple[tuple[Record, tuple[str, ...], tuple[str, ...]], ...] = ()  # record, files to link, files to record
    publish: tuple[Item, ...] = ()
    switch: tuple[Item, ...] = ()
    own: tuple[str, ...] = ()
    remove: tuple[tuple[str, str | None], ...] = ()
    drop: tuple[str, ...] = ()
    collect: tuple[str, ...] = ()
    dismantle: bool = False
    actions: tuple[Action, ...] = ()
    drift: tuple[Drift, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.actions


def observe(
    artifacts: t.Sequence[DesiredArtifact], store: Store, sources: Sources, *, verify: bool, parallel: int
) -> Observed:
    """Read the store, and ask the sources about what it lacks. Asks nobody when it lacks nothing."""
    contents = store.read()
    look_up = _Lookup(contents, store, verify=verify)
    items = []
    for artifact in artifacts:
        if artifact.state == "present":
            record = contents.versions.get(artifact.name, {}).get(artifact.version)
            found = _known(artifact, record, store, sources, verify, parallel) if record else _new(artifact, sources)
            stored = {desired.key: sha256 for desired in found.files if (sha256 := look_up(desired)) is not None}
            needed = {
                desired.key: desired
                for desired in found.files
                if found.states[desired.path] in ("missing", "damaged") and desired.key not in stored
            }
            fetch = sources.check(artifact, tuple(needed.values()))
            sizes = {desired.key: desired.size for desired in fetch}
            files = tuple(dataclasses.replace(one, size=sizes.get(one.key, one.size)) for one in found.files)
            items.append(dataclasses.replace(found, files=files, stored=stored, fetch=fetch))
    misowned = store.misowned(item.name for item in items)
    absent = tuple(artifact.name for artifact in artifacts if artifact.state == "absent")
    return Observed(contents, tuple(items), absent, tuple(misowned))


def _new(artifact: DesiredArtifact, sources: Sources) -> Item:
    files = sources.listing(artifact)
    return Item(artifact, None, files, {desired.path: "missing" for desired in files}, {})


def _known(
    artifact: DesiredArtifact, record: Record, store: Store, sources: Sources, verify: bool, parallel: int
) -> Item:
    """A version that was published: what its files must be is in its record."""
    kept = {one.path: one for one in record.files}
    for named in artifact.files:
        if named.sha256 and named.path in kept and kept[named.path].sha256 != named.sha256:
            raise HostError(
                f"{artifact.name}: {named.path} should have sha256 {named.sha256}, version {record.version} has "
                f"{kept[named.path].sha256}; nothing was changed",
                desired=named.sha256,
                found=kept[named.path].sha256,
            )
    files = tuple(
        sources.located(artifact, DesiredFile(one.path, "", one.sha256, one.git_sha1, one.size)) for one in record.files
    )
    top = store.version_path(record.name, record.version)

    def state_of(one: Kept) -> State:
        path = os.path.join(top, one.path)
        seen = stat_of_file(path)
        if seen is None:
            return "missing"
        as_recorded = (seen.st_size, seen.st_mtime_ns, seen.st_ino) == (one.size, one.mtime_ns, one.inode)
        if as_recorded and not verify:
            return "good"
        if store.digest(path) != one.sha256:
            return "damaged"
        return "good" if as_recorded else "touched"

    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        states = dict(zip(kept, pool.map(state_of, record.files)))
    good = [one for one in record.files if states[one.path] in ("good", "touched")]
    unnamed = tuple({one.sha256: one for one in good if stat_of_file(store.blob_path(one.sha256)) is None}.values())
    return Item(artifact, record, files, states, {}, unnamed)


class _Lookup:
    """Finds a content among the blobs. One that no record vouches for is read."""

    def __init__(self, contents: Contents, store: Store, *, verify: bool) -> None:
        self._contents = contents
        self._store = store
        self._verify = verify
        kept = [one for record in contents.records for one in record.files]
        self._vouched = {(one.sha256, one.size, one.mtime_ns, one.inode) for one in kept}
        self._by_git_sha1 = {one.git_sha1: one.sha256 for one in kept if one.git_sha1}

    def __call__(self, desired: DesiredFile) -> str | None:
        sha256 = desired.sha256 or self._by_git_sha1.get(desired.git_sha1 or "")
        blob = self._contents.blobs.get(sha256) if sha256 else None
        if sha256 is None or blob is None:
            return None
        if not self._verify and (sha256, blob.size, blob.mtime_ns, blob.inode) in self._vouched:
            return sha256
        return sha256 if self._store.digest(self._store.blob_path(sha256)) == sha256 else None


def plan(
    observed: Observed, store: Store, *, keep: int | None, used: t.Collection[tuple[str, str | None]] = ()
) -> Plan:
    """What makes the store match. ``keep`` is how many versions stay besides the desired one; None means all.

    Versions (name, version) that are ``used`` stay as well.
    """
    contents, items = observed.contents, observed.items
    fetch: dict[str, tuple[str, DesiredFile]] = {}
    for item in items:
        for desired in item.fetch:
            fetch.setdefault(desired.key, (item.name, desired))
    link_blobs = {one.sha256: (item.record, one) for item in items if item.record for one in item.unnamed}
    repair = _repair(contents, items)
    publish = tuple(item for item in items if item.record is None)
    switch = tuple(item for item in items if contents.current.get(item.name) != item.version)
    remove: list[tuple[str, str | None]] = [(name, None) for name in observed.absent if name in contents.versions]
    if keep is not None:
        unused = [(item.name, record.version) for item in items for record in _unused(contents, item)[keep:]]
        remove += [one for one in unused if one not in used]
    gone = [
        record
        for name, version in remove
        for record in contents.versions[name].values()
        if record and version in (None, record.version)
    ]
    drop = tuple(sorted(set(contents.partials) - set(fetch))) if keep is not None else ()
    collect = _collect(contents, items, gone, orphans_too=keep is not None)
    made = Plan(
        clean=contents.leftovers,
        fetch=tuple(fetch.values()),
        link_blobs=tuple(link_blobs.values()),
        repair=repair,
        publish=publish,
        switch=switch,
        own=observed.misowned,
        remove=tuple(remove),
        drop=drop,
        collect=collect,
    )
    return dataclasses.replace(made, actions=_actions(made, contents), drift=_drift(made, observed))


def plan_purge(observed: Observed, store: Store) -> Plan:
    """What takes away all that is in the store."""
    contents = observed.contents
    made = Plan(
        clean=contents.leftovers,
        remove=tuple((name, None) for name in sorted(contents.versions)),
        drop=tuple(sorted(contents.partials)),
        collect=tuple(sorted(contents.blobs)),
        dismantle=any(os.path.lexists(path) for path in (store.blobs, store.models)),
    )
    return dataclasses.replace(made, actions=_actions(made, contents), drift=_drift(made, observed))


def _repair(contents: Contents, items: tuple[Item, ...]) -> tuple[tuple[Record, tuple[str, ...], tuple[str, ...]], ...]:
    """What to link anew. A damaged content is damaged in every version that shares it."""
    found: dict[tuple[str, str], tuple[Record, tuple[str, ...], tuple[str, ...]]] = {}
    damaged: set[tuple[str, int]] = set()
    for item in items:
        if item.record and (set(item.states.values()) - {"good"}):
            relink = tuple(item.paths("missing", "damaged"))
            found[item.name, item.version] = (item.record, relink, tuple(item.paths("touched")))
            damaged |= {(one.sha256, one.inode) for one in item.record.files if item.states[one.path] == "damaged"}
    for record in contents.records:
        relink = tuple(one.path for one in record.files if (one.sha256, one.inode) in damaged)
        if relink and (record.name, record.version) not in found:
            found[record.name, record.version] = (record, relink, ())
    return tuple(found.values())


def _unused(contents: Contents, item: Item) -> list[Record]:
    """Versions other than the desired one, newest first."""
    others = [record for record in contents.versions.get(item.name, {}).values() if record]
    others = [record for record in others if record.version != item.version]
    return sorted(others, key=lambda record: (record.published_at, record.version), reverse=True)


def _collect(
    contents: Contents, items: tuple[Item, ...], gone: t.Sequence[Record], *, orphans_too: bool
) -> tuple[str, ...]:
    """Blobs that no version links once ``gone`` is gone. Link counts decide, so a version made by hand counts too."""
    freed = dict(contents.leftover_links)
    removed = set(contents.half_removed)
    for record in gone:
        for one in record.files:
            freed[one.inode] = freed.get(one.inode, 0) + 1
            removed.add(one.inode)
    desired = {sha256 for item in items for sha256 in item.stored.values()}
    desired |= {one.sha256 for item in items if item.record for one in item.record.files}
    return tuple(
        sha256
        for sha256, blob in sorted(contents.blobs.items())
        if sha256 not in desired
        and blob.links - freed.get(blob.inode, 0) <= 1
        and (orphans_too or blob.inode in removed)
    )


def _actions(made: Plan, contents: Contents) -> tuple[Action, ...]:
    found = [Action("clean", None, os.path.basename(path)) for path in made.clean]
    found += [
        Action("fetch", name, f"{desired.path} from {desired.shown}", desired.size) for name, desired in made.fetch
    ]
    found += [Action("link", record.name, f"blob of {one.path}", one.size) for record, one in made.link_blobs]
    for record, relink, seen in made.repair:
        found += [Action("repair", record.name, f"{record.version}/{path}") for path in relink]
        found += [Action("record", record.name, f"{record.version}/{path}") for path in seen]
    found += [Action("publish", item.name, item.version) for item in made.publish]
    found += [Action("switch", item.name, f"current -> {item.version}") for item in made.switch]
    found += [Action("own", None, path) for path in made.own]
    found += [Action("remove", name, version or "all versions") for name, version in made.remove]
    found += [Action("drop", None, f"part of {key}", contents.partials[key]) for key in made.drop]
    found += [Action("collect", None, f"sha256-{sha256}", contents.blobs[sha256].size) for sha256 in made.collect]
    if made.dismantle:
        found.append(Action("dismantle", None, "the folders of the store"))
    return tuple(found)


def _drift(made: Plan, observed: Observed) -> tuple[Drift, ...]:
    contents = observed.contents

    row = functools.partial(Drift, "artifact")

    found = []
    for item in observed.items:
        if item in made.publish or item in made.switch:
            have = contents.current.get(item.name)
            have = have if have != item.version else "incomplete"
            found.append(row(item.name, "version", item.version, have))
        if item.record:
            found += [
                row(f"{item.name}/{item.version}/{path}", "content", "good", item.states[path])
                for path in item.paths("missing", "damaged", "touched")
            ]
    found += [row(f"{record.name}/{one.path}", "blob", one.sha256, None) for record, one in made.link_blobs]
    found += [row(path, "ownership", "as desired", "different") for path in made.own]
    for name, version in made.remove:
        if version is None:
            found.append(row(name, "state", "absent", "present"))
        else:
            found.append(row(name, "unused_version", None, version))
    found += [row(path, "leftover", None, "present") for path in made.clean]
    found += [row(f"sha256-{sha256}", "unused_blob", None, contents.blobs[sha256].size) for sha256 in made.collect]
    found += [row(key, "unused_part", None, contents.partials[key]) for key in made.drop]
    if made.dismantle:
        found.append(row("store", "state", "absent", "present"))
    return tuple(found)
