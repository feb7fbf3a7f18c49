# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The environments of one name on a host: which there are, which of them are complete, and what is wrong with one."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import json
import os
import re
import shutil

from .._errors import HostError
from .._runner import Runner

MARKER = ".mlops.hosts.json"
_FORMAT = 1
_TIMEOUT_S = 60
_CHUNK = 1024 * 1024
Packages = dict[str, str]  # version by name, as installed


@dataclasses.dataclass(frozen=True)
class Marker:
    """What was found when an environment was complete. ``interpreter``: the Python that it was made from."""

    path: str
    digest: str
    interpreter: str
    packages: Packages


@dataclasses.dataclass(frozen=True)
class Found:
    """An environment. ``marker``: None while it is not complete. ``completed``: seconds since the epoch."""

    path: str
    marker: Marker | None
    completed: float


def read(folder: str) -> tuple[Found, ...]:
    """All environments in the folder of a name, the newest complete one first."""
    try:
        names = [name for name in os.listdir(folder) if re.fullmatch(r"[0-9a-f]{12}", name)]
    except FileNotFoundError:
        return ()
    found = (_found(os.path.join(folder, name)) for name in names)
    return tuple(sorted(found, key=lambda one: (-one.completed, one.path)))


def _found(path: str) -> Found:
    try:
        with open(os.path.join(path, MARKER), encoding="utf-8") as source:
            text, completed = source.read(), os.fstat(source.fileno()).st_mtime
        told = json.loads(text)
        marker = Marker(told["path"], told["digest"], told["interpreter"], dict(told["packages"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return Found(path, None, 0)
    # A copy does not work, since programs name the path that they were made for.
    own = told.get("format") == _FORMAT and marker.path == path and marker.digest.startswith(os.path.basename(path))
    return Found(path, marker if own else None, completed if own else 0)


def python(path: str) -> str:
    """The interpreter of an environment."""
    return os.path.join(path, "bin/python")


def installed(path: str) -> Packages:
    """What is installed, by the names of the folders that say so. Nothing of them is read."""
    parts = [name[: -len(".dist-info")].rpartition("-") for _folder, name in _records(path)]
    return dict(sorted((name, version) for name, _dash, version in parts))


def damage(marker: Marker) -> str | None:
    """What of a complete environment is not as it was, in words. Nothing is started, and no file is read."""
    if not os.access(python(marker.path), os.X_OK):
        return f"its interpreter {marker.interpreter} is gone"
    have = installed(marker.path)
    if have != marker.packages:
        other = sorted({*have.items()} ^ {*marker.packages.items()})
        return f"what is installed differs: {', '.join(f'{name} {version}' for name, version in other)}"
    return None


def damage_in_full(marker: Marker, run: Runner) -> str | None:
    """As ``damage``; the interpreter is started, and every file that has a checksum is read."""
    found = damage(marker)
    if found:
        return found
    started = run(python(marker.path), "-I", "-c", "import encodings", timeout_s=_TIMEOUT_S)
    if started.rc != 0:
        return f"its interpreter does not start: {started.last_words}"
    for folder, name in _records(marker.path):
        try:
            with open(os.path.join(folder, name, "RECORD"), encoding="utf-8", newline="") as source:
                rows = list(csv.reader(source))
        except OSError:
            return f"{name} has no RECORD"
        for path, checksum, *_size in (row for row in rows if len(row) > 1):
            if checksum.startswith("sha256=") and _sha256(os.path.join(folder, path)) != checksum[len("sha256=") :]:
                return f"{path} is not as it was installed"
    return None


def write_marker(marker: Marker) -> None:
    """The last step: from here on the environment is complete."""
    path = os.path.join(marker.path, MARKER)
    with open(f"{path}.new", "w", encoding="utf-8") as out:
        json.dump({"format": _FORMAT, **dataclasses.asdict(marker)}, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    os.replace(f"{path}.new", path)
    _sync_folder(marker.path)


def remove(path: str) -> None:
    """Take an environment away. The marker goes first, so that what is left of it never looks complete."""
    try:
        os.unlink(os.path.join(path, MARKER))
    except FileNotFoundError:
        pass
    else:
        _sync_folder(path)
    shutil.rmtree(path)


def _records(path: str) -> list[tuple[str, str]]:
    """Each installed package as the folder that holds it and the name of its own."""
    lib = os.path.join(path, "lib")
    try:
        pythons = [name for name in os.listdir(lib) if name.startswith("python3.")]
    except OSError:
        return []
    folders = [os.path.join(lib, name, "site-packages") for name in pythons]
    there = [folder for folder in folders if os.path.isdir(folder)]
    return [(folder, name) for folder in there for name in sorted(os.listdir(folder)) if name.endswith(".dist-info")]


def _sha256(path: str) -> str | None:
    """As RECORD has it: URL-safe base64 without padding."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as source:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return None
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _sync_folder(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unit_files(units: str = "/etc/systemd/system") -> dict[str, str]:
    """Text by path of the units of this host and their drop-ins, which name the environments that they start from."""
    found = {}
    for top, _folders, names in os.walk(units):
        for path in (os.path.join(top, name) for name in names if name.endswith((".service", ".conf"))):
            try:
                with open(path, encoding="utf-8", errors="replace") as source:
                    found[path] = source.read()
            except FileNotFoundError:
                continue  # a link to a unit that is gone
            except OSError as exc:
                raise HostError(f"{path} cannot be read, so it is not known what it uses: {exc.strerror}") from exc
    return found
