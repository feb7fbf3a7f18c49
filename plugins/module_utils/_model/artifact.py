# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Model artefacts: read the store, plan, apply, and tell what is there then."""

from __future__ import annotations

import dataclasses
import os
import typing as t
import urllib.parse

from .._errors import HostError
from .._holders import Holder, holders
from .._http import Fetch
from .._lock import locked
from . import parts
from .desired import DesiredArtifact
from .patience import Patience
from .plan import Item, Observed, Plan, observe, plan, plan_purge
from .sources import Sources
from .store import Ownership, Record, Store
from .transfer import Fetched, Transfer

_MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to go about it."""

    verify: bool = False
    keep: int | None = None
    parallel: int = 4
    retries: int = 5
    max_wait_s: float = 600
    timeout_s: float = 60
    reserve_mib: int = 1024
    lock_timeout_s: float = 120
    mount_required: bool = False
    purge: bool = False
    defer_above_mib: int | None = None
    seeds: t.Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class RunEnvironment:
    """What the core needs from outside, so that tests can stand in for it."""

    fetch: Fetch
    clock: t.Callable[[], float]
    now: t.Callable[[], float]
    sleep: t.Callable[[float], None]
    free_bytes: t.Callable[[str], int]
    mount_point: t.Callable[[str], str]
    holders: t.Callable[[t.Sequence[str]], t.Mapping[str, t.Sequence[Holder]]] = holders
    rollback: t.Callable[[], str] = lambda: ""  # the record of what a rollback goes back to, which names paths
    tell: t.Callable[[str], None] = lambda _text: None  # what a person should know though it went well


@dataclasses.dataclass(frozen=True)
class Result:
    """The plan that was made, and what there is afterwards (in check mode: what there would be)."""

    plan: Plan
    artifacts: tuple[dict[str, t.Any], ...]
    deferred_bytes: int = 0

    @property
    def changed(self) -> bool:
        return not self.plan.is_empty

    @property
    def result(self) -> dict[str, t.Any]:
        """The return values of the module: the same keys whatever happened."""
        drift = [row.as_row() for row in self.plan.drift]
        return {
            "changed": self.changed,
            "artifacts": list(self.artifacts),
            "downloaded_bytes": self.downloaded_bytes,
            "deferred_bytes": self.deferred_bytes,
            "actions": [dataclasses.asdict(action) for action in self.plan.actions],
            "drift": drift,
            "diff": {
                "before": {f"{row['item']} {row['attribute']}": row["have"] for row in drift},
                "after": {f"{row['item']} {row['attribute']}": row["want"] for row in drift},
            },
        }

    @property
    def downloaded_bytes(self) -> int:
        return sum(artifact["downloaded_bytes"] for artifact in self.artifacts)


def ensure(
    artifacts: t.Sequence[DesiredArtifact],
    path: str,
    ownership: Ownership,
    environment: RunEnvironment,
    settings: Settings,
    *,
    dry_run: bool,
) -> Result:
    """Make the store hold these artefacts. All that can be refused is refused before anything changes."""
    _check(artifacts, path, environment, settings)
    store = Store(path, ownership)
    patience = Patience(
        retries=settings.retries,
        max_wait_s=settings.max_wait_s,
        clock=environment.clock,
        now=environment.now,
        sleep=environment.sleep,
        tell=environment.tell,
    )
    sources = Sources(
        environment.fetch,
        patience,
        timeout_s=settings.timeout_s,
        parallel=settings.parallel,
        now=environment.now,
    )
    for artifact in artifacts:
        sources.pin(artifact)

    def decide() -> tuple[Observed, Plan]:
        observed = observe(artifacts, store, sources, verify=settings.verify, parallel=settings.parallel)
        decided = plan_purge(observed, store) if settings.purge else plan(observed, store, keep=settings.keep)
        used = _used(decided, store, environment, dry_run=dry_run)
        if used:
            decided = plan(observed, store, keep=settings.keep, used=used)
        for item in decided.publish:
            _require(item, parts.missing_of_gguf([desired.path for desired in item.files]), "the other parts need")
        _check_space(decided, observed, path, environment, settings)
        return observed, decided

    try:
        observed, decided = decide()
        if dry_run or decided.is_empty:
            return _result(artifacts, store, observed, decided, {})
        coming = _missing_bytes(decided, observed)
        if settings.defer_above_mib is not None and coming > settings.defer_above_mib * _MIB:
            return dataclasses.replace(_result(artifacts, store, observed, decided, {}), deferred_bytes=coming)
        store.make()
        with locked(
            path, "model_artifact", wait_s=settings.lock_timeout_s, clock=environment.clock, sleep=environment.sleep
        ):
            observed, decided = decide()  # another run may have done it in the meantime
            fetched = {} if decided.is_empty else _apply(decided, observed, store, environment, settings, patience)
            then = observe(artifacts, store, sources, verify=False, parallel=settings.parallel)
        return _result(artifacts, store, then, decided, fetched)
    except OSError as exc:
        raise HostError(f"{exc.filename or path}: {exc.strerror or exc}", errno=exc.errno) from exc


def _check(artifacts: t.Sequence[DesiredArtifact], path: str, environment: RunEnvironment, settings: Settings) -> None:
    if not os.path.isabs(path):
        raise HostError(f"the store must be an absolute path, not {path!r}")
    if settings.purge and artifacts:
        raise HostError("purge takes the whole store away, so artifacts must be empty with it")
    names = [artifact.name for artifact in artifacts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise HostError(f"artifacts names {', '.join(twice)} more than once")
    for seed in settings.seeds:
        parts = urllib.parse.urlsplit(seed)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None or parts.query:
            raise HostError(
                f"a seed must be the address of a store, such as https://gpu01.example.com/models, not {seed!r}"
            )
    if settings.mount_required and environment.mount_point(path) == "/":
        raise HostError(
            f"{path} is not on a mount of its own but on the root file system; mount the disk for models there first"
        )


def _used(decided: Plan, store: Store, environment: RunEnvironment, *, dry_run: bool) -> list[tuple[str, str | None]]:
    """Versions that would be removed, and stay since a process uses them, such as the model that a server has loaded,
    or since a rollback would need them.

    HostError when a whole model would be removed under a process. In check mode an earlier part of the same run may be
    what ends that process.
    """
    paths = {
        store.version_path(name, version) if version else os.path.join(store.models, name): (name, version)
        for name, version in decided.remove
    }
    spared: list[tuple[str, str | None]] = []
    record = environment.rollback() if paths else ""
    for path, (name, version) in paths.items():
        if version is not None and any(f"{path}{end}" in record for end in ("/", '"')):
            spared.append((name, version))
            environment.tell(f"version {version} of the model {name} stays, since model_rollback goes back to it")
    for path, those in environment.holders(sorted(paths)).items():
        name, version = paths[path]
        users = ", ".join(str(one) for one in those)
        if version is not None:
            spared.append((name, version))
            environment.tell(f"version {version} of the model {name} stays, since it is used by {users}")
        elif dry_run:
            environment.tell(f"the model {name} is used by {users}; it can be removed when that has ended")
        else:
            raise HostError(
                f"the model {name} is to be removed, and is used by {users}; stop that first, a model server of this "
                "collection by model_server_state=absent; nothing was changed",
                path=path,
                pids=[one.pid for one in those],
            )
    return spared


def _missing_bytes(decided: Plan, observed: Observed) -> int:
    """What is still to come, as far as sources say it."""
    partials = observed.contents.partials
    return sum(max(0, (desired.size or 0) - partials.get(desired.key, 0)) for _name, desired in decided.fetch)


def _check_space(decided: Plan, observed: Observed, path: str, environment: RunEnvironment, settings: Settings) -> None:
    """Needed is what is still to come; a part that is there already needs no new room."""
    if not decided.fetch:
        return
    missing = _missing_bytes(decided, observed)
    reserve = settings.reserve_mib * _MIB
    free = environment.free_bytes(path)
    if missing + reserve > free:
        raise HostError(
            f"{path} has {_mib(free)} MiB free and {_mib(missing + reserve)} MiB are needed: {_mib(missing)} MiB to "
            f"fetch and {settings.reserve_mib} MiB that stay free (reserve_mib); nothing was changed",
            free_bytes=free,
            missing_bytes=missing,
            reserve_bytes=reserve,
        )


def _require(item: Item, missing: t.Sequence[str], who: str) -> None:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise HostError(
            f"the files of {item.name} lack {missing[0]}{more}, which {who}; choose all parts of a model (files, "
            "include, exclude), or none; it was not published",
            missing=list(missing),
        )


def _require_shards(item: Item, fetched: t.Mapping[str, Fetched], store: Store) -> None:
    paths = [desired.path for desired in item.files]
    for desired in item.files:
        if desired.path.endswith(parts.INDEX):
            with open(store.blob_path(_content(item, desired.key, fetched)), "rb") as file:
                missing = parts.missing_of_index(desired.path, file.read(), paths)
            _require(item, missing, f"{desired.path} names")


def _content(item: Item, key: str, fetched: t.Mapping[str, Fetched]) -> str:
    return item.stored[key] if key in item.stored else fetched[key].sha256


def _mib(count: int) -> int:
    return -(-count // _MIB)


def _apply(
    decided: Plan, observed: Observed, store: Store, environment: RunEnvironment, settings: Settings, patience: Patience
) -> dict[str, Fetched]:
    """Do it. Nothing that is in use is touched before everything new is complete and verified."""
    for leftover in decided.clean:
        store.clean(leftover)
    store.prepare()
    transfer = Transfer(
        store,
        environment.fetch,
        patience,
        timeout_s=settings.timeout_s,
        parallel=settings.parallel,
        seeds=settings.seeds,
        tell=environment.tell,
        clock=environment.clock,
    )
    fetched = transfer.all(decided.fetch)
    for record, kept in decided.link_blobs:
        store.relink_blob(record, kept)
    for item in decided.publish:
        _require_shards(item, fetched, store)
    for record, relink, seen in decided.repair:
        store.repair(record, relink, seen)
    for item in decided.publish:
        store.publish(_record(item, fetched, store, environment))
    for item in decided.switch:
        store.switch(item.name, item.version)
    for name, version in decided.remove:
        if version is None:
            store.remove_model(name)
        else:
            store.remove_version(name, version)
    for key in decided.drop:
        store.drop_partial(key)
    for sha256 in decided.collect:
        store.collect(sha256)
    if decided.dismantle:
        store.dismantle()
        return fetched
    for path in store.misowned(
        item.name for item in observed.items
    ):  # blobs that were there already may have become ours
        store.own(path)
    return fetched


def _record(item: Item, fetched: t.Mapping[str, Fetched], store: Store, environment: RunEnvironment) -> Record:
    source = item.artifact.origin
    files = tuple(
        store.kept(desired.path, _content(item, desired.key, fetched), desired.git_sha1) for desired in item.files
    )
    return Record(item.name, item.version, source.shown, source.revision, environment.now(), files)


def _result(
    artifacts: t.Sequence[DesiredArtifact],
    store: Store,
    then: Observed,
    decided: Plan,
    fetched: t.Mapping[str, Fetched],
) -> Result:
    touched = {action.artifact for action in decided.actions}
    owned = tuple(os.path.join(store.models, artifact.name) for artifact in artifacts)
    received: dict[str, int] = {}
    for name, desired in decided.fetch:
        if desired.key in fetched:
            received[name] = received.get(name, 0) + fetched[desired.key].received
    items = {item.name: item for item in then.items}
    found = []
    for artifact, top in zip(artifacts, owned):
        changed = artifact.name in touched or any(path == top or path.startswith(top + "/") for path in decided.own)
        found.append(_artifact(artifact, items.get(artifact.name), store, changed, received.get(artifact.name, 0)))
    return Result(decided, tuple(found))


def _artifact(
    artifact: DesiredArtifact, item: Item | None, store: Store, changed: bool, received: int
) -> dict[str, t.Any]:
    """The same keys whatever happened."""
    source = artifact.source
    path = store.version_path(artifact.name, artifact.version) if item else None
    files = [
        {
            "path": desired.path,
            "sha256": desired.sha256 or (item.stored.get(desired.key) if item else None),
            "size_bytes": desired.size,
            "absolute_path": os.path.join(str(path), desired.path),
        }
        for desired in (item.files if item else ())
    ]
    return {
        "name": artifact.name,
        "state": artifact.state,
        "source": source.shown if source else None,
        "revision": source.revision if source else None,
        "version": artifact.version if item else None,
        "path": path,
        "current": store.current_path(artifact.name) if item else None,
        "files": files,
        "downloaded_bytes": received,
        "changed": changed,
    }
