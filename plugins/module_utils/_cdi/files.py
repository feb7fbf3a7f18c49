# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The texts of a host's CDI specifications. They are YAML, which the controller parses."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

# Where engines search, the one that counts more last.
DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
_SUFFIXES = (".yaml", ".json")
_PATH = re.compile(r"""/[^\s"',\[\]{}]+""")


@dataclasses.dataclass(frozen=True)
class SpecFile:
    """``problem`` says why there is no text, in the words of the operating system."""

    path: str
    text: str = ""
    problem: str | None = None


def read_all(directories: t.Sequence[str] = DIRECTORIES) -> list[SpecFile]:
    """All files that engines read, in the order of their directories and names."""
    return [file for directory in directories for file in _in(directory)]


def paths_in(texts: t.Iterable[str]) -> set[str]:
    """Words that may be paths. Only a parser of YAML can tell; it asks again for a path that is not among these."""
    return {word for text in texts for word in _PATH.findall(text)}


def _in(directory: str) -> t.Iterator[SpecFile]:
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as exc:
        yield SpecFile(directory, problem=exc.strerror)
        return
    for name in names:
        path = os.path.join(directory, name)
        # Engines pass over directories, and not over links to them.
        if name.endswith(_SUFFIXES) and (os.path.islink(path) or not os.path.isdir(path)):
            yield _read(path)


def _read(path: str) -> SpecFile:
    try:
        with open(path, encoding="utf-8") as source:
            return SpecFile(path, source.read())
    except OSError as exc:
        return SpecFile(path, problem=exc.strerror)
    except UnicodeDecodeError as exc:
        return SpecFile(path, problem=f"it is not UTF-8: byte {exc.start} is {exc.object[exc.start]:#04x}")
