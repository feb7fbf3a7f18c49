# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The store on disk. Contents lie once under blobs/, versions are folders of hard links to them.

Hard links, since a version must be whole by itself: a container or a hardened unit that sees nothing but the folder of
one version can read it, which symbolic links to ../../blobs do not allow; and a blob's link count says who needs it.

    blobs/sha256-<hex>, blobs/.partial-<key>
    models/<name>/<version>/<files>, models/<name>/<version>/.mlops-artifact.json, models/<name>/current -> <version>
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import stat
import typing as t

from .._errors import HostError
from . import layout
from .desired import RECORD_NAME

_CHUNK = 1024 * 1024
_BLOB, _PARTIAL, _ETAG = "sha256-", ".partial-", ".etag"


@dataclasses.dataclass(frozen=True)
class Kept:
    """A file of a published version, and how it looked on disk when its content was last verified."""

    path: str
    sha256: str
    size: int
    mtime_ns: int
    inode: int
    git_sha1: str | None = None


@dataclasses.dataclass(frozen=True)
class Record:
    """What was published. It lies in the folder of the version, so that the two come and go together."""

    name: str
    version: str
    source: str
    revision: str | None
    published_at: float
    files: tuple[Kept, ...]


@dataclasses.dataclass(frozen=True)
class Blob:
    size: int
    mtime_ns: int
    inode: int
    links: int


@dataclasses.dataclass(frozen=True)
class Ownership:
    """Who may read the store. None leaves owner or group as they come. Folders get search where files get read."""

    uid: int | None = None
    gid: int | None = None
    mode: int = 0o644

    def mode_of(self, *, folder: bool) -> int:
        return (0o700 | self.mode | (self.mode & 0o444) >> 2) if folder else self.mode


@dataclasses.dataclass(frozen=True)
class Contents:
    """All that lies in the store. A version without a readable record has None."""

    versions: t.Mapping[str, t.Mapping[str, Record | None]]
    current: t.Mapping[str, str]
    blobs: t.Mapping[str, Blob]
    partials: t.Mapping[str, int]
    leftovers: tuple[str, ...]
    leftover_links: t.Mapping[int, int]  # inode -> links in leftovers
    half_removed: t.AbstractSet[int]  # inodes in what a killed run was taking away

    @property
    def records(self) -> list[Record]:
        return [record for versions in self.versions.values() for record in versions.values() if record]


class Store:
    """Reads the store, and changes it in steps that each leave it whole."""

    def __init__(self, path: str, ownership: Ownership) -> None:
        self.path = path
        self.blobs = os.path.join(path, "blobs")
        self.models = layout.models_path(path)
        self.progress = layout.progress_path(path)
        self._ownership = ownership
        self._digests: dict[tuple[int, int, int], str] = {}

    def blob_path(self, sha256: str) -> str:
        return os.path.join(self.blobs, _BLOB + sha256)

    def partial_path(self, key: str) -> str:
        return os.path.join(self.blobs, _PARTIAL + key)

    def version_path(self, name: str, version: str) -> str:
        return layout.version_path(self.path, name, version)

    def current_path(self, name: str) -> str:
        return os.path.join(self.models, name, "current")

    # Reading

    def read(self) -> Contents:
        blobs: dict[str, Blob] = {}
        partials: dict[str, int] = {}
        tags: list[str] = []
        leftovers: list[str] = []
        for entry in _scan(self.blobs):
            if entry.name.startswith(_BLOB) and entry.is_file(follow_symlinks=False):
                seen = entry.stat(follow_symlinks=False)
                blobs[entry.name[len(_BLOB) :]] = Blob(seen.st_size, seen.st_mtime_ns, seen.st_ino, seen.st_nlink)
            elif entry.name.startswith(_PARTIAL) and not entry.name.endswith(_ETAG):
                partials[entry.name[len(_PARTIAL) :]] = entry.stat(follow_symlinks=False).st_size
            elif entry.name.startswith(_PARTIAL):
                tags.append(entry.path)
            elif entry.name.startswith(".new-"):
                leftovers.append(entry.path)
        versions: dict[str, dict[str, Record | None]] = {}
        current: dict[str, str] = {}
        for model in _scan(self.models):
            if not model.is_dir(follow_symlinks=False):
                continue
            found = versions.setdefault(model.name, {})
            for entry in _scan(model.path):
                if entry.name == "current" and entry.is_symlink():
                    current[model.name] = os.readlink(entry.path)
                elif entry.name.startswith((".new-", ".old-")):
                    leftovers.append(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    found[entry.name] = _load(entry.path, model.name, entry.name)
        leftovers += [tag for tag in tags if tag[len(self.partial_path("")) : -len(_ETAG)] not in partials]
        links: dict[int, int] = {}
        half_removed: set[int] = set()
        for leftover in leftovers:
            inodes = [
                os.lstat(os.path.join(folder, name)).st_ino
                for folder, _folders, names in os.walk(leftover)
                for name in names
            ]
            for inode in inodes:
                links[inode] = links.get(inode, 0) + 1
            if os.path.basename(leftover).startswith(".old-"):
                half_removed.update(inodes)
        return Contents(versions, current, blobs, partials, tuple(sorted(leftovers)), links, half_removed)

    def digest(self, path: str) -> str | None:
        """sha256 of a regular file, read at most once for each content on disk; None when there is no such file."""
        seen = stat_of_file(path)
        if seen is None:
            return None
        key = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        if key not in self._digests:
            whole = hashlib.sha256()
            with open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    whole.update(chunk)
            self._digests[key] = whole.hexdigest()
        return self._digests[key]

    def misowned(self, names: t.Iterable[str]) -> list[str]:
        """Paths of these artefacts whose owner, group or mode is not as desired."""
        paths = [self.blobs, self.models]
        for name in names:
            top = os.path.join(self.models, name)
            paths.append(top)
            for folder, folders, files in os.walk(top):
                folders[:] = [entry for entry in folders if not entry.startswith((".new-", ".old-"))]
                paths += [os.path.join(folder, entry) for entry in (*folders, *files)]
        return [path for path in paths if not self._is_owned(path)]

    def _is_owned(self, path: str) -> bool:
        try:
            seen = os.lstat(path)
        except FileNotFoundError:
            return True
        want, link = self._ownership, stat.S_ISLNK(seen.st_mode)
        mode = want.mode_of(folder=stat.S_ISDIR(seen.st_mode))
        return (
            want.uid in (None, seen.st_uid)
            and want.gid in (None, seen.st_gid)
            and (link or stat.S_IMODE(seen.st_mode) == mode)
        )

    # Changing

    def make(self) -> None:
        """Make the top folder. One that exists keeps its owner and mode."""
        if not os.path.isdir(self.path):
            os.makedirs(self.path)
            self.own(self.path)

    def prepare(self) -> None:
        """Make the folders below, and see that the file system has what the store is built on."""
        for folder in (self.blobs, self.models):
            self._make_folder(folder)
        first, second = (os.path.join(self.blobs, f".new-link-{end}") for end in "ab")
        _unlink(first, second)
        os.close(os.open(first, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            os.link(first, second)
        except OSError as exc:
            raise HostError(f"the store needs hard links and {self.path} has none: {exc.strerror}") from exc
        finally:
            _unlink(first, second)

    def adopt(self, fresh: str, sha256: str) -> None:
        """Put verified content in its place. What is there already and is good stays: versions share it."""
        blob = self.blob_path(sha256)
        if self.digest(blob) == sha256:
            os.unlink(fresh)
            return
        self.own(fresh)
        os.replace(fresh, blob)
        _sync(self.blobs)

    def publish(self, record: Record) -> None:
        """Make the version from blobs next to its place, and move it there in one step."""
        name, version = record.name, record.version
        self._make_folder(os.path.join(self.models, name))
        target = self.version_path(name, version)
        staged = self.version_path(name, f".new-{version}")
        _remove_tree(staged)
        self._make_folder(staged)
        for kept in record.files:
            place = staged
            for part in kept.path.split("/")[:-1]:
                place = os.path.join(place, part)
                self._make_folder(place)
            os.link(self.blob_path(kept.sha256), os.path.join(staged, kept.path), follow_symlinks=False)
        self._write_record(staged, record, [kept.path for kept in record.files])
        old = self.version_path(name, f".old-{version}")
        if os.path.lexists(target):  # a folder of that name without a record
            os.rename(target, old)
        os.rename(staged, target)
        _sync(os.path.dirname(target))
        _remove_tree(old)

    def repair(self, record: Record, relink: t.Collection[str] = (), seen: t.Collection[str] = ()) -> None:
        """Link files to their blobs anew, and record how these and the ``seen`` ones, which are right, look now."""
        top = self.version_path(record.name, record.version)
        for kept in record.files:
            if kept.path in relink:
                place = top
                for part in kept.path.split("/")[:-1]:
                    place = os.path.join(place, part)
                    self._make_folder(place)
                self._link(self.blob_path(kept.sha256), os.path.join(top, kept.path))
        self._write_record(top, record, [*relink, *seen])

    def relink_blob(self, record: Record, kept: Kept) -> None:
        """Give a blob back its name from a version that has it."""
        self._link(os.path.join(self.version_path(record.name, record.version), kept.path), self.blob_path(kept.sha256))

    def switch(self, name: str, version: str) -> None:
        fresh = self.version_path(name, ".new-current")
        _unlink(fresh)
        os.symlink(version, fresh)
        self.own(fresh)
        os.replace(fresh, self.current_path(name))
        _sync(os.path.join(self.models, name))

    def remove_version(self, name: str, version: str) -> None:
        """Take a version away: its name goes in one step, then its files."""
        old = self.version_path(name, f".old-{version}")
        _remove_tree(old)
        os.rename(self.version_path(name, version), old)
        _remove_tree(old)

    def remove_model(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.current_path(name))
        for entry in list(_scan(os.path.join(self.models, name))):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                self.remove_version(name, entry.name)
        _remove_tree(os.path.join(self.models, name))

    def dismantle(self) -> None:
        """Take the empty folders and what runs left beside them away. The top folder stays, it may be a mount."""
        for folder in (self.blobs, self.models):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(folder)
        _unlink(os.path.join(self.path, ".lock"))
        self.drop_progress()

    def collect(self, sha256: str) -> None:
        """Remove a blob, unless a version came to need it."""
        seen = stat_of_file(self.blob_path(sha256))
        if seen is not None and seen.st_nlink == 1:
            os.unlink(self.blob_path(sha256))

    def note_progress(self, progress: t.Mapping[str, float]) -> None:
        """For those who wait. No download fails because it cannot say how far it is."""
        fresh = self.progress + ".new"
        with contextlib.suppress(OSError):
            with open(fresh, "w", encoding="utf-8") as file:
                json.dump(progress, file)
            os.replace(fresh, self.progress)

    def drop_progress(self) -> None:
        _unlink(self.progress, self.progress + ".new")

    def drop_partial(self, key: str) -> None:
        _unlink(self.partial_path(key), self.partial_path(key) + _ETAG)

    def clean(self, leftover: str) -> None:
        """Remove what a run that was killed left behind."""
        _remove_tree(leftover)

    def own(self, path: str) -> None:
        seen, want = os.lstat(path), self._ownership
        if want.uid not in (None, seen.st_uid) or want.gid not in (None, seen.st_gid):
            uid, gid = (-1 if desired is None else desired for desired in (want.uid, want.gid))
            os.chown(path, uid, gid, follow_symlinks=False)
        if not stat.S_ISLNK(seen.st_mode):
            os.chmod(path, want.mode_of(folder=stat.S_ISDIR(seen.st_mode)))

    def kept(self, path: str, blob: str, git_sha1: str | None) -> Kept:
        """How a file of a version that is linked to this blob looks."""
        seen = os.lstat(self.blob_path(blob))
        return Kept(path, blob, seen.st_size, seen.st_mtime_ns, seen.st_ino, git_sha1)

    def _make_folder(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
            self.own(path)

    def _link(self, source: str, target: str) -> None:
        fresh = os.path.join(self.blobs, ".new-link")
        _unlink(fresh)
        os.link(source, fresh, follow_symlinks=False)
        os.replace(fresh, target)
        _unlink(fresh)  # rename(2) leaves it when both are the same file

    def _write_record(self, folder: str, record: Record, verified: t.Collection[str]) -> None:
        files = []
        for kept in record.files:
            if kept.path in verified:
                now = os.lstat(os.path.join(folder, kept.path))
                kept = dataclasses.replace(kept, size=now.st_size, mtime_ns=now.st_mtime_ns, inode=now.st_ino)
            files.append(kept)
        record = dataclasses.replace(record, files=tuple(files))
        fresh = os.path.join(self.blobs, ".new-record")
        _unlink(fresh)
        with open(fresh, "x", encoding="utf-8") as file:
            json.dump({"format": 1, **dataclasses.asdict(record)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        self.own(fresh)
        os.replace(fresh, os.path.join(folder, RECORD_NAME))
        _sync(folder)


def stat_of_file(path: str) -> os.stat_result | None:
    """lstat of a regular file, None for anything else."""
    try:
        seen = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return seen if stat.S_ISREG(seen.st_mode) else None


def _scan(path: str) -> t.Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from entries
    except FileNotFoundError:
        return


def _load(folder: str, name: str, version: str) -> Record | None:
    try:
        with open(os.path.join(folder, RECORD_NAME), encoding="utf-8") as file:
            data = json.load(file)
        if data.pop("format") != 1 or (data["name"], data["version"]) != (name, version):
            return None
        return Record(**{**data, "files": tuple(Kept(**kept) for kept in data["files"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _unlink(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        _unlink(path)


def _sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
