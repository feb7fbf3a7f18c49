# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Files of a bundle: written whole or not at all, linked where they can be, and named by what they hold."""

from __future__ import annotations

import hashlib
import os
import shutil
import typing as t

_PIECE = 1024 * 1024
# The folders of a bundle, in which nothing else may be.
TOPS = ("apt", "hub", "images", "rpm", "web", "wheels")


def digest(path: str) -> str:
    """sha256 as hexadecimal digits."""
    found = hashlib.sha256()
    with open(path, "rb") as source:
        while piece := source.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def write(path: str, data: bytes, mode: int = 0o644) -> bool:
    """Whether that changed something."""
    try:
        with open(path, "rb") as source:
            if source.read() == data:
                return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as out:
        out.write(data)
    os.chmod(f"{path}.new", mode)  # whatever the umask is
    os.replace(f"{path}.new", path)
    return True


def publish(source: str, target: str, sha256: str) -> bool:
    """Have a file of this content at a place, with no second copy where that is possible. Whether it was not there."""
    try:
        if digest(target) == sha256:
            return False
        os.unlink(target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    new = f"{target}.new"
    if os.path.exists(new):
        os.unlink(new)
    try:
        os.link(source, new)
    except OSError:
        shutil.copyfile(source, new)
    os.chmod(new, 0o644)
    os.replace(new, target)
    return True


def prune(folder: str, kept: t.Collection[str]) -> list[str]:
    """Remove what no entry names, below the folders that are the bundle's own. What was removed."""
    removed = []
    for top in TOPS:
        for at, _folders, names in os.walk(os.path.join(folder, top), topdown=False):
            for name in names:
                path = os.path.relpath(os.path.join(at, name), folder)
                if path not in kept:
                    os.unlink(os.path.join(folder, path))
                    removed.append(path)
            if not os.listdir(at):
                os.rmdir(at)
    return removed
