# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A program for hosts, without Ansible: the code of modules, as it is, below /usr/local/lib/mlops.hosts. Pure but for
reading the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ._sources import ROOT, reached

_LIBRARIES = "/usr/local/lib/mlops.hosts"
_PACKAGE = "mlops_hosts"
_PROGRAM = """#!{python} -IB
# Part of mlops.hosts. {about}
import sys

sys.path.insert(0, "{library}")
from {package}.{entry} import main

sys.exit(main())
"""


@dataclasses.dataclass(frozen=True)
class Program:
    """``name`` is its folder, ``path`` what is run, ``entry`` the module of module_utils whose ``main`` it calls, and
    ``about`` a line for those who open it."""

    name: str
    path: str
    entry: str
    about: str

    @property
    def library(self) -> str:
        return f"{_LIBRARIES}/{self.name}"

    def sources(self) -> t.Mapping[str, str]:
        """The texts of its modules, by their paths below module_utils."""
        return _sources(self.entry)

    def resources(self, *, python: str, more: t.Mapping[str, str] | None = None) -> dict[str, t.Any]:
        """``directories`` and ``files`` of a component; ``more`` are texts of other files that it reads, by path.

        Nothing here restarts a unit: who runs the program decides that.
        """
        package = f"{self.library}/{_PACKAGE}"
        written = {f"{package}/{name}": text for name, text in {"__init__.py": "", **self.sources()}.items()}
        written |= more or {}
        program = _PROGRAM.format(
            python=python, about=self.about, library=self.library, package=_PACKAGE, entry=self.entry
        )
        folders = {path.rpartition("/")[0] for path in written}
        return {
            "directories": [{"path": path} for path in sorted(folders | {self.library, _LIBRARIES})],
            "files": [
                *({"path": path, "content": text, "on_change": "none"} for path, text in sorted(written.items())),
                {"path": self.path, "content": program, "mode": "0755", "on_change": "none"},
            ],
        }


@functools.cache
def _sources(entry: str) -> t.Mapping[str, str]:
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in reached([entry]).values()}
