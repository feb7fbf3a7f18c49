# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which processes use files below a directory: those that have one open or mapped, and those that name one.

A service that has read its model into memory has no file open, and needs it again when it is restarted or rolled back.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

_SERVICE = re.compile(r"/([^/]+\.service)(?:/|$)")


@dataclasses.dataclass(frozen=True)
class Holder:
    """A process that uses a file. ``unit`` is the systemd service that it belongs to."""

    pid: int
    name: str
    unit: str | None

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid}{f', {self.unit}' if self.unit else ''})"


def holders(directories: t.Sequence[str], proc: str = "/proc") -> dict[str, tuple[Holder, ...]]:
    """By directory, the processes that use a file below it. A directory that nobody uses is left out.

    Without root, only processes of one's own user are seen.
    """
    if not directories:
        return {}
    found: dict[str, list[Holder]] = {}
    # A service may name a path with symbolic links in it; the kernel names the one that they lead to.
    below = {directory: (f"{directory}/", f"{os.path.realpath(directory)}/") for directory in directories}
    inodes = {directory: _inodes(directory) for directory in directories}
    for pid, folder in _others(proc):
        unit = _unit(folder)
        opened = [*_mapped(folder), *_opened(folder)]
        named = _named(folder) if unit else []
        for directory in directories:
            versions = f"{os.path.dirname(os.path.realpath(directory))}/"
            if any(
                path.startswith(below[directory]) or (inode in inodes[directory] and not path.startswith(versions))
                for path, inode in opened
            ) or any(start in word for word in named for start in below[directory]):
                found.setdefault(directory, []).append(Holder(pid, _text(folder, "comm").strip() or "?", unit))
    return {directory: tuple(those) for directory, those in found.items()}


def runners(directories: t.Sequence[str], proc: str = "/proc") -> dict[str, tuple[Holder, ...]]:
    """By directory, the processes that run from it. A directory that nobody runs from is left out.

    The interpreter of an environment is a link to the host's own, which is all that the kernel tells; so the command
    line counts for every process, and not for services alone.
    """
    found: dict[str, list[Holder]] = {}
    for pid, folder in _others(proc) if directories else ():
        paths = [path for path, _inode in (*_mapped(folder), *_opened(folder))]
        words = [*paths, *_text(folder, "cmdline").split("\0")]
        for directory in directories:
            if any(word.startswith((f"{directory}/", f"{os.path.realpath(directory)}/")) for word in words):
                found.setdefault(directory, []).append(Holder(pid, _text(folder, "comm").strip() or "?", _unit(folder)))
    return {directory: tuple(those) for directory, those in found.items()}


def _others(proc: str) -> t.Iterator[tuple[int, str]]:
    """All processes but this one, with their folders."""
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit() and int(name) != os.getpid()):
        yield pid, os.path.join(proc, str(pid))


def _inodes(directory: str) -> set[int]:
    """Of the files below it, to know them in a container, which sees them by other paths."""
    return {os.lstat(os.path.join(top, name)).st_ino for top, _folders, names in os.walk(directory) for name in names}


def _mapped(folder: str) -> t.Iterator[tuple[str, int]]:
    for line in _text(folder, "maps").splitlines():
        parts = line.split(None, 5)
        if len(parts) == 6 and parts[5].startswith("/"):
            yield parts[5], int(parts[4])


def _opened(folder: str) -> t.Iterator[tuple[str, int]]:
    try:
        for name in os.listdir(os.path.join(folder, "fd")):
            path = os.path.join(folder, "fd", name)
            link = os.readlink(path)
            if link.startswith("/"):
                yield link, os.stat(path).st_ino
    except OSError:
        return  # it ended meanwhile, or is not ours to read


def _named(folder: str) -> list[str]:
    return [*_text(folder, "cmdline").split("\0"), *_text(folder, "environ").split("\0")]


def _unit(folder: str) -> str | None:
    names = _SERVICE.findall(_text(folder, "cgroup"))
    return names[-1] if names else None


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
