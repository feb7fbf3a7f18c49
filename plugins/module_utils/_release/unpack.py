# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Unpacks an archive into a new folder, as files of root that nobody else may write, and nothing outside of it."""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
import typing as t

from .._errors import HostError

# More than the largest release of a model server for all GPUs; what unpacks to more is not what it says.
LARGEST = 16 * 1024**3


def unpack(archive: str, target: str) -> None:
    """``target`` is there and empty. A folder that all of the archive is in is left out. HostError with the reason."""
    try:
        with tarfile.open(archive) as packed:
            _unpack(packed, target)
    except (tarfile.TarError, EOFError) as exc:
        raise HostError(f"it must be an archive of tar, plain or compressed, and cannot be unpacked: {exc}") from exc


def _unpack(packed: tarfile.TarFile, target: str) -> None:
    members = packed.getmembers()
    if sum(member.size for member in members) > LARGEST:
        raise HostError(f"it must unpack to {LARGEST >> 30} GiB at most, and is larger")
    paths = {member: _path(member.name) for member in members}
    top = {path.partition("/")[0] for path in paths.values() if path}
    whole = len(top) == 1 and all("/" in path or member.isdir() for member, path in paths.items() if path)
    for member, path in paths.items():
        inside = path.partition("/")[2] if whole else path
        if inside:
            _write(packed, member, inside, target)


def _path(name: str) -> str:
    """Without what means the folder itself. HostError where it leads out of it."""
    path = posixpath.normpath(name)
    if name.startswith("/") or path.split("/")[0] == "..":
        raise HostError(f"it must have files below its own folder only, and has {name!r}")
    return "" if path == "." else path


def _write(packed: tarfile.TarFile, member: tarfile.TarInfo, path: str, target: str) -> None:
    at = os.path.join(target, path)
    parent = os.path.dirname(at)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    # A link that came before must not lead a file out of the folder.
    if not _below(os.path.realpath(parent), os.path.realpath(target)):
        raise HostError(f"it must have files below its own folder only, and {member.name!r} is behind a link")
    if member.isdir():
        os.makedirs(at, mode=0o755, exist_ok=True)
    elif member.issym():
        if member.linkname.startswith("/") or _leaves(path, member.linkname):
            raise HostError(f"it must have links below its own folder only, and {member.name!r} is one to elsewhere")
        os.symlink(member.linkname, at)
    elif member.isreg():
        content = packed.extractfile(member)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = 0o755 if member.mode & 0o111 else 0o644
        with os.fdopen(os.open(at, flags, mode), "wb") as file:
            shutil.copyfileobj(t.cast("t.BinaryIO", content), file, 1024 * 1024)
            file.flush()
            os.fsync(file.fileno())
    else:
        raise HostError(f"it must have files, folders and symbolic links only, and {member.name!r} is something else")


def _leaves(path: str, link: str) -> bool:
    """Whether a relative link at the path leads above the folder."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link)).split("/")[0] == ".."


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
