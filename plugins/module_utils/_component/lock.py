# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One run at a time on a host."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import time
import typing as t

from .._errors import HostError

_POLL_S = 0.5
# Where package managers keep their POSIX locks: while they read lists, download, and install.
_PACKAGE_LOCKS = (
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
)
# dnf4 writes its pid instead, while it reads lists and downloads.
_PACKAGE_PIDS = ("/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid")
_FLOCK = "hhqqi"


@contextlib.contextmanager
def exclusive(path: str, *, whoami: t.Mapping[str, t.Any], since: float, timeout_s: float) -> t.Iterator[None]:
    """Hold the host's lock. HostError names the holder when it is not free ``timeout_s`` after the monotonic ``since``.

    The kernel frees the lock when its holder dies, so a stale one cannot exist.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait(handle, path, since, timeout_s)
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(whoami).encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _wait(handle: int, path: str, since: float, timeout_s: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= since + timeout_s:
                raise HostError(
                    f"another run holds {path} for more than {timeout_s:g} s: {describe(_holder(handle))}; "
                    "wait for it, or end it",
                    holder=_holder(handle),
                ) from None
            time.sleep(_POLL_S)


def _holder(handle: int) -> dict[str, t.Any]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
        return found if isinstance(found, dict) else {}
    except ValueError:
        return {}


def describe(holder: t.Mapping[str, t.Any]) -> str:
    """A holder in words."""
    if not holder:
        return "its holder did not say who it is"
    return f"component {holder.get('component')!r}, run from {holder.get('controller')}, pid {holder.get('pid')}"


def package_manager_pid() -> int | None:
    """The process that holds a package manager's lock, or None."""
    for path in _PACKAGE_LOCKS:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, asked))
            if kind != fcntl.F_UNLCK:
                return int(pid)
        finally:
            os.close(handle)
    for path in _PACKAGE_PIDS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as source:
            written = int(source.read())
            os.kill(written, 0)
            return written
    return None
