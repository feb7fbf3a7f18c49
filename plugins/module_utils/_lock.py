# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One run at a time changes a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

from ._errors import HostError


@contextlib.contextmanager
def locked(
    folder: str, module: str, *, wait_s: float, clock: t.Callable[[], float], sleep: t.Callable[[float], None]
) -> t.Iterator[None]:
    """Hold the folder, as this module. The holder is named to the one who waits in vain."""
    path = os.path.join(folder, ".lock")
    until = clock() + wait_s
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = file.read(200).strip() or "unknown"
            else:
                if not _is_there(path, file.fileno()):
                    continue  # its holder took the folder away, and the lock with it
                file.truncate()
                file.write(f"{module}, process {os.getpid()}\n")
                file.flush()
                yield
                file.seek(0)
                file.truncate()
                return
        if clock() >= until:
            raise HostError(
                f"another run changes {folder} and did not end within {wait_s:g} s: {holder}; "
                "run again when it has ended, or raise lock_timeout_s",
                holder=holder,
            )
        sleep(1)


def _is_there(path: str, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
