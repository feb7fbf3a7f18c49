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
    "/run/dnf/rpmtransaction.lock",
)
# dnf4 writes its pid instead, while it reads lists and downloads.
_PACKAGE_PIDS = ("/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid")
# What they write last.
_PACKAGE_DATABASES = ("/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite")
_FLOCK = "hhqqi"
_MOST_WORDS = 200


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
            to_install = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, to_install))
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


def wait_for_package_manager(timeout_s: float) -> bool:
    """Wait until nobody holds a package manager's lock. Returns whether there was anything to wait for.

    HostError names the holder when it still does after ``timeout_s``.
    """
    until = time.monotonic() + timeout_s
    waited = False
    while (pid := package_manager_pid()) is not None:
        waited = True
        if time.monotonic() >= until:
            raise HostError(
                f"the package manager is held for more than {timeout_s:g} s by {process(pid)}; wait for it, or end it",
                holder={"pid": pid},
            )
        time.sleep(_POLL_S)
    return waited


def process(pid: int) -> str:
    """A process in words: its command line, its pid and the systemd unit that it belongs to."""
    words = " ".join(_proc(pid, "cmdline").replace("\0", " ").split())[:_MOST_WORDS]
    words = words or "a process that does not show itself"
    groups = (line.rpartition("/")[2] for line in _proc(pid, "cgroup").splitlines())
    unit = next((f", {group}" for group in groups if group.endswith((".service", ".scope"))), "")
    return f"{words} (pid {pid}{unit})"


def _proc(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as source:
            return source.read()
    except OSError:
        return ""


def package_manager_worked() -> float:
    """When a package manager was at work, as far as one can see: seconds since boot, minus infinity for not since."""
    now = time.monotonic()
    if package_manager_pid() is not None:
        return now
    latest = float("-inf")
    for path in _PACKAGE_DATABASES:
        with contextlib.suppress(OSError):
            age = time.time() - os.stat(path).st_mtime
            # A clock that was set back says nothing; neither does what was written before the host booted.
            if 0 <= age <= now:
                latest = max(latest, now - age)
    return latest
