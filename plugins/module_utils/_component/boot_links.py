# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The links that make a unit start with others, and what its [Install] section asks for: systemd calls a unit enabled
that has any link, whether it is among those or not."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._unit_text import entries
from . import fs_entry
from .fs_entry import Entry

PLACE = "/etc/systemd/system"
_FOLDERS = {"WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds"}
_ENDS = tuple(f".{end}" for end in _FOLDERS.values())
# Specifiers and quotes, which names of units do without.
_WRITTEN = re.compile(r"[%\\'\"/]")


@dataclasses.dataclass(frozen=True)
class BootLinks:
    """``of``: by unit, its links with their paths; ``folders``: those that there are for links."""

    of: t.Mapping[str, t.Mapping[str, Entry]] = dataclasses.field(default_factory=dict)
    folders: t.Collection[str] = ()


def file_of(unit: str) -> str:
    """Where a component writes the unit's file; instances share that of their template."""
    stem, at, kind = _split(unit)
    return f"{PLACE}/{stem}{at}{kind}"


def observe(names: t.Collection[str]) -> BootLinks:
    """By one list of the directory, and no process."""
    if not names:
        return BootLinks()
    try:
        found = sorted(os.listdir(PLACE))
    except FileNotFoundError:
        return BootLinks()
    folders = [f"{PLACE}/{name}" for name in found if name.endswith(_ENDS)]
    aliases = {f"{PLACE}/{name}" for name in found if not name.endswith(_ENDS) and os.path.islink(f"{PLACE}/{name}")}
    links: dict[str, dict[str, Entry]] = {name: {} for name in names}
    for name, of in links.items():
        there = {path: fs_entry.read(path) for path in (f"{folder}/{name}" for folder in folders)}
        if "@" not in name:
            there.update({path: fs_entry.read(path) for path in aliases if _leads_to(path, file_of(name))})
        of.update({path: entry for path, entry in there.items() if entry.kind == "link"})
    return BootLinks(links, folders)


def desired_links(unit: str, texts: t.Iterable[str]) -> frozenset[str] | None:
    """The links that ``systemctl enable`` makes of the texts of a unit's file and its drop-ins, in their order; None
    where only systemd knows."""
    named: dict[str, list[str]] = {"Alias": [], **{key: [] for key in _FOLDERS}}
    for text in texts:
        for section, key, value in entries(text):
            if section == "Install" and key in named:
                # An empty one takes back those before it.
                named[key] = [*named[key], *value.split()] if value else []
    values = [value for found in named.values() for value in found]
    if any(map(_WRITTEN.search, values)) or ("@" in unit and named["Alias"]):
        return None
    links = {f"{PLACE}/{name}.{end}/{unit}" for key, end in _FOLDERS.items() for name in named[key]}
    return frozenset(links | {f"{PLACE}/{alias}" for alias in named["Alias"] if alias != unit})


def made_by_enable(path: str) -> bool:
    """Whether every release of systemd makes this link: UpheldBy= came with 254."""
    return not os.path.dirname(path).endswith(".upholds")


def shown(paths: t.Iterable[str]) -> list[str]:
    return sorted(path[len(PLACE) + 1 :] for path in paths)


def _split(unit: str) -> tuple[str, str, str]:
    stem, at, rest = unit.partition("@")
    if not at:
        return unit, "", ""
    return stem, "@", rest[rest.rfind(".") :]


def _leads_to(path: str, file: str) -> bool:
    return os.path.normpath(os.path.join(PLACE, os.readlink(path))) == file
