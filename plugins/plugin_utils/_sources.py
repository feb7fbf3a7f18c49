# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The files of module_utils that a module of it reaches by its imports: all that it needs on a host."""

from __future__ import annotations

import functools
import pathlib
import re
import typing as t

ROOT = pathlib.Path(__file__).parent.parent / "module_utils"
_IMPORT = re.compile(r"^ *from (\.+)([\w.]*) import (?:\(([^)]*)\)|([\w, ]+))", re.MULTILINE)

# What is imported for the type checker alone is needed by no host.
_FOR_TYPES = re.compile(r"^if t\.TYPE_CHECKING:\n(?: .*\n|\n)+", re.MULTILINE)


def reached(names: t.Iterable[str]) -> dict[str, pathlib.Path]:
    """The file of each module that these reach, by its name below module_utils; these and their packages included."""
    files = _files()
    found: dict[str, pathlib.Path] = {}
    due = list(names)
    while due:
        name = due.pop()
        path = files.get(name)
        if path is None or name in found:
            continue
        found[name] = path
        parents = name.split(".")
        package = parents if path.name == "__init__.py" else parents[:-1]
        due += [".".join(parents[:place]) for place in range(1, len(parents))]
        due += _imported(path.read_text(), tuple(package))
    return found


@functools.cache
def _files() -> dict[str, pathlib.Path]:
    """All modules of module_utils."""
    paths = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in ROOT.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


def _imported(text: str, package: tuple[str, ...]) -> t.Iterator[str]:
    """What a text imports of module_utils: modules, and names in them, which are no modules and are not found."""
    for dots, module, lines, line in _IMPORT.findall(_FOR_TYPES.sub("", text)):
        base = [*package[: len(package) + 1 - len(dots)], *filter(None, module.split("."))]
        if base:
            yield ".".join(base)
        names = (name.strip().partition(" ")[0] for name in (lines or line).split(","))
        yield from (".".join([*base, name]) for name in names if name)
