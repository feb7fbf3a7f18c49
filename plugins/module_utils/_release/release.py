# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A release of a vendor: an archive of a known sha256, unpacked in a folder that never changes its content."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import shutil
import typing as t

from .._errors import HostError
from .._http import Fetch, Unreachable, Untrusted
from .._lock import locked
from . import paths
from .plan import Desired, Plan, is_program, make
from .unpack import unpack

_CHUNK = 1024 * 1024
_LOCK_S = 300.0


@dataclasses.dataclass(frozen=True)
class RunEnvironment:
    """``retries``: attempts after the first. ``timeout_s``: of each single read."""

    fetch: Fetch
    clock: t.Callable[[], float]
    sleep: t.Callable[[float], None]
    timeout_s: float
    retries: int


def ensure(release: Desired, host: RunEnvironment) -> dict[str, t.Any]:
    """Return values of the module. HostError with the reason; then what was there is there."""
    if not make(release).drift:
        return make(release).result
    with _reporting_full_disk(release):
        os.makedirs(release.base, mode=0o755, exist_ok=True)
        with locked(release.base, "release", wait_s=_LOCK_S, clock=host.clock, sleep=host.sleep):
            planned = make(release)  # another run may have done it
            _apply(planned, host)
    return planned.result


def _apply(planned: Plan, host: RunEnvironment) -> None:
    release = planned.desired
    # Whoever had these was killed: the lock is ours.
    for name in os.listdir(release.base):
        if name.startswith(f".{release.name}."):
            shutil.rmtree(os.path.join(release.base, name))
    if planned.makes:
        work = os.path.join(release.base, f".{release.name}.{os.getpid()}")
        os.mkdir(work, 0o700)
        try:
            _make(release, host, work)
        finally:
            shutil.rmtree(work)
    for number, folder in enumerate(planned.removed):
        # However far the removal comes, the next run ends it.
        gone = os.path.join(release.base, f".{release.name}.{os.getpid()}.{number}")
        os.rename(os.path.join(release.base, folder), gone)
        shutil.rmtree(gone)


def _make(release: Desired, host: RunEnvironment, work: str) -> None:
    what = f"release {release.name} {release.version} from {release.url}"
    archive, made = os.path.join(work, "archive"), os.path.join(work, "made")
    found = _fetch(release.url, host, archive, what)
    if found != release.sha256:
        raise HostError(
            f"{what} must have the sha256 {release.sha256}, and has {found}; set sha256 to what the vendor lists for "
            "this archive, or find out who has changed it"
        )
    os.mkdir(made, 0o755)
    try:
        unpack(archive, made)
    except HostError as exc:
        raise HostError(f"{what} cannot be unpacked: {exc}") from exc
    if missing := [name for name in release.programs if not is_program(os.path.join(made, name))]:
        has = ", ".join(sorted(os.listdir(made))) or "nothing"
        raise HostError(
            f"{what} must have the programs {', '.join(missing)}, and has {has}; set url to another archive"
        )
    with open(os.path.join(made, paths.MARKER), "w", encoding="utf-8") as file:
        json.dump({"name": release.name, "version": release.version, "sha256": release.sha256}, file)
        file.flush()
        os.fsync(file.fileno())
    if os.path.lexists(release.path):  # damaged
        os.rename(release.path, os.path.join(work, "damaged"))
    os.rename(made, release.path)


def _fetch(url: str, host: RunEnvironment, target: str, what: str) -> str:
    """The sha256 of what came."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return _fetch_once(url, host, target, what)
        except Unreachable as exc:
            if attempt > host.retries or isinstance(exc, Untrusted):
                raise HostError(f"{what} could not be fetched, tried {attempt} times: {exc}") from exc
            host.sleep(min(2.0 ** (attempt - 1), 30.0))


def _fetch_once(url: str, host: RunEnvironment, target: str, what: str) -> str:
    digest, received = hashlib.sha256(), 0
    with host.fetch(url, timeout_s=host.timeout_s) as answer, open(target, "wb") as file:
        if answer.status >= 500 or answer.status in (408, 429):
            raise Unreachable(f"the server answered with status {answer.status}")
        if answer.status != 200:
            raise HostError(f"{what} was answered with status {answer.status}; set url to an archive that is there")
        while chunk := answer.body.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
        length = answer.headers.get("content-length", "")
    if length.isdigit() and received < int(length):
        raise Unreachable(f"the connection ended after {received} of {length} bytes")
    return digest.hexdigest()


@contextlib.contextmanager
def _reporting_full_disk(release: Desired) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise HostError(
            f"no space was left in {release.base} for release {release.name} {release.version}; what came of it was "
            "removed"
        ) from exc
