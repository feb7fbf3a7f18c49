# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What else of a host tells whether its GPUs can be used: driver, CDI, certificates, and room for models."""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
import typing as t

from .. import _certificates, _text_file
from .._cdi import blocks, files
from .._cdi.diagnose import KINDS, Verdict, diagnose
from .._driver import info, verdict
from .._driver.types import Desired, Vendor, Word
from .._errors import HostError
from .._gpu.report import Report
from .._runner import Runner

# What a verdict on the driver depends on, and is cheap to look at: what is loaded, installed and there to be loaded.
_DRIVER_FILES = (
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/lib/modules",
    "/var/lib/dkms",
)
_LOADED = ("/sys/module/nvidia", "/sys/module/amdgpu")
# Where a toolkit is that writes specifications at each boot: without one, containers get no GPU.
_REFRESHERS: dict[Vendor, tuple[str, ...]] = {
    "nvidia": tuple(
        f"{folder}/nvidia-cdi-refresh.service" for folder in ("/etc/systemd/system", "/usr/lib/systemd/system")
    ),
    "amd": (),
}
T = t.TypeVar("T")


class Rarely(t.Generic[T]):
    """What is dear to read: it is read again when its ``sign`` differs, and when it is ``every_s`` old."""

    def __init__(self, read: t.Callable[[], T], sign: t.Callable[[], object], *, every_s: float) -> None:
        self._read, self._sign, self._every_s = read, sign, every_s
        self._known: tuple[object, float, T] | None = None

    def __call__(self) -> T:
        sign, now = self._sign(), time.monotonic()
        if self._known is None or self._known[0] != sign or now - self._known[1] >= self._every_s:
            self._known = None  # what cannot be read now is not known any more
            self._known = sign, now, self._read()
        return self._known[2]


@dataclasses.dataclass(frozen=True)
class DriverState:
    """``vendor`` is None on a host without GPUs and drivers."""

    vendor: Vendor | None
    loaded: str | None
    installed: str | None
    verdict: Word


@dataclasses.dataclass(frozen=True)
class Expiry:
    """``not_after`` of the certificate of a file that ends first, None where it has none that can be read."""

    path: str
    not_after: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Room:
    """Bytes of a file system."""

    path: str
    size: int
    free: int


def read_driver(run: Runner, root: str = "/") -> DriverState:
    state = info.collect(run, root=root)
    found = verdict.diagnose(state, Desired())
    return DriverState(state.vendor, state.loaded.version, state.installed.version, found.verdict)


def sign_of_driver() -> object:
    # The kernel gives its folders new times now and then.
    loaded = [(os.path.isdir(folder), _text_file.read(f"{folder}/version")) for folder in _LOADED]
    return loaded, signs(_DRIVER_FILES)


def read_cdi(report: Report, exists: t.Callable[[str], bool] = os.path.exists) -> dict[str, bool]:
    """Whether each kind of device is offered as it should be; without a kind that containers need not have.

    HostError for a specification that is not as toolkits write it, of which nothing is known here.
    """
    specs = []
    for file in files.read_all():
        try:
            specs.append(blocks.parse(file))
        except ValueError as exc:
            raise HostError(f"{file.path} must be as the toolkits write it: {exc}; ask the module cdi_info") from exc
    found: dict[str, bool] = {}
    for vendor, kind in KINDS.items():
        said: Verdict = diagnose(vendor, specs, report, (), exists).verdict
        is_missed = said == "missing" and any(map(exists, _REFRESHERS[vendor]))
        if is_missed or said not in ("missing", "not_needed"):
            found[kind] = said == "fresh"
    return found


def sign_of_cdi(report: Report) -> object:
    paths = [os.path.join(folder, name) for folder in files.DIRECTORIES for name in _names(folder)]
    gpus = [(gpu.index, gpu.uuid, gpu.mig_mode, gpu.mig_devices) for gpu in report.gpus]
    return gpus, report.driver.version, [(path, _sign(path)) for path in paths]


def read_certificates(paths: t.Iterable[str]) -> tuple[Expiry, ...]:
    return tuple(Expiry(path, _not_after(path)) for path in paths)


def signs(paths: t.Iterable[str]) -> object:
    return [_sign(path) for path in paths]


def read_rooms(paths: t.Iterable[str]) -> tuple[Room, ...]:
    """OSError for a path that is not there."""
    found = []
    for path in paths:
        said = os.statvfs(path)
        found.append(Room(path, said.f_blocks * said.f_frsize, said.f_bavail * said.f_frsize))
    return tuple(found)


def _not_after(path: str) -> datetime.datetime | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            certificates = _certificates.read(path, file.read())
    except (OSError, HostError):
        return None
    return min((one.not_after for one in certificates), default=None)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _sign(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
