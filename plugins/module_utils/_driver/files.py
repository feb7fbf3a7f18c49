# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Files below a root: "/" on a host, a folder in tests. Absolute links stay below it."""

from __future__ import annotations

import os

from .._privileges import denied

_MAX_LINKS = 20


def below(root: str, *parts: str) -> str:
    """The path of parts below the root, with links followed as the host would."""
    todo = [part for piece in parts for part in piece.split("/") if part]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop(0)
        if part == ".":
            continue
        if part == "..":
            del done[-1:]
            continue
        path = os.path.join(root, *done, part)
        if os.path.islink(path) and links < _MAX_LINKS:
            links += 1
            target = os.readlink(path)
            if target.startswith("/"):
                done = []
            todo = [piece for piece in target.split("/") if piece] + todo
        else:
            done.append(part)
    return os.path.join(root, *done)


def read(root: str, *parts: str) -> str | None:
    """The text of a file. None when it is not there; HostError when it is not for us to read."""
    path = below(root, *parts)
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read()
    except PermissionError as exc:
        raise denied(path) from exc
    except OSError:
        return None


def names(root: str, *parts: str) -> list[str]:
    """What is in a folder, sorted. Nothing when it is not there; HostError when it is not for us to read."""
    path = below(root, *parts)
    try:
        return sorted(os.listdir(path))
    except PermissionError as exc:
        raise denied(path) from exc
    except OSError:
        return []


def exists(root: str, *parts: str) -> bool:
    """Whether it is there; HostError when a folder on the way is not for us to read."""
    path = below(root, *parts)
    try:
        os.stat(path)
    except PermissionError as exc:
        raise denied(path) from exc
    except (OSError, ValueError):
        return False
    return True
