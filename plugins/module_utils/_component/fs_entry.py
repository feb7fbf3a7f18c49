# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is at a path, and how one state of a path replaces another in a single step."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import grp
import os
import pwd
import stat
import typing as t

from .._errors import HostError

EntryKind = t.Literal["absent", "file", "link", "directory", "other"]
STAGED_SUFFIX = ".mlops-new"


@dataclasses.dataclass(frozen=True)
class Entry:
    """The whole state of one path. ``content`` belongs to a file, ``target`` to a link."""

    kind: EntryKind
    uid: int = 0
    gid: int = 0
    mode: int = 0
    content: bytes | None = None
    target: str | None = None


ABSENT = Entry("absent")


def read(path: str) -> Entry:
    """Read a path without following a link at its end."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        return Entry("link", found.st_uid, found.st_gid, target=os.readlink(path))
    if stat.S_ISDIR(found.st_mode):
        return Entry("directory", found.st_uid, found.st_gid, mode)
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as source:
            return Entry("file", found.st_uid, found.st_gid, mode, source.read())
    return Entry("other", found.st_uid, found.st_gid, mode)


def staged_path(path: str) -> str:
    """Where the new state of a file waits: in the same directory, so that a rename is atomic."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{STAGED_SUFFIX}")


def stage(path: str, entry: Entry) -> str:
    """Write a file or link next to its place and return where. Data is on disk when this returns."""
    waiting = staged_path(path)
    discard(waiting)
    if entry.kind == "link":
        os.symlink(t.cast(str, entry.target), waiting)
        os.lchown(waiting, entry.uid, entry.gid)
        return waiting
    try:
        handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(entry.content or b"")
            os.fchown(out.fileno(), entry.uid, entry.gid)
            os.fchmod(out.fileno(), entry.mode)
            out.flush()
            os.fsync(out.fileno())
    except OSError as exc:
        with contextlib.suppress(OSError):
            discard(waiting)
        # A full disk is told by write(), which does not know whose file it was.
        raise OSError(exc.errno, exc.strerror, path) from exc
    return waiting


def swap_in(path: str, entry: Entry) -> None:
    """Make a path be ``entry``; doing it again changes nothing. Files and links must be staged."""
    if entry.kind == "absent":
        discard(path)
    elif entry.kind == "directory":
        make_directory(path, entry)
    else:
        os.replace(staged_path(path), path)
    sync_directory(os.path.dirname(path))


def put(path: str, entry: Entry) -> None:
    """Stage and swap in one go."""
    if entry.kind in ("file", "link"):
        stage(path, entry)
    swap_in(path, entry)


def make_directory(path: str, entry: Entry) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    os.chown(path, entry.uid, entry.gid)
    os.chmod(path, entry.mode)


def discard(path: str) -> None:
    """Remove a file or link, or an empty directory; a path that is not there is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        remove_if_empty(path)
    except OSError as exc:
        # A read-only file system says so even of what is not there.
        if exc.errno != errno.EROFS or os.path.lexists(path):
            raise


def remove_if_empty(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError as exc:
        if exc.errno == errno.EROFS and not os.path.lexists(path):
            return
        if exc.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            raise


def sync_directory(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def owner_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def uid_of(name: str, path: str) -> int:
    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise HostError(f"{path} is to belong to user {name!r}, which does not exist") from None


def gid_of(name: str, path: str) -> int:
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise HostError(f"{path} is to belong to group {name!r}, which does not exist") from None
