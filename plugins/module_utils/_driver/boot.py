# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which kernel boots next, from what the boot loader has been told. Starts no program."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from . import files, versions
from .types import Rule

_GRUBS = ("boot/grub", "boot/grub2")
_LOADERS = ("boot", "efi", "boot/efi")
_ENTRY = re.compile(r"^\s*(menuentry|submenu)\s+(?:'([^']*)'|\"([^\"]*)\")(.*)\{\s*$")
_ID = re.compile(r"(?:--id|\$menuentry_id_option)\s+'?([^'\s]+)'?")
_LINUX = re.compile(r"^\s*linux(?:16|efi)?\s+(\S+)", re.MULTILINE)
_IMAGE = re.compile(r"(?:vmlinu[xz]|linux|kernel)-(\d.*)$")


@dataclasses.dataclass
class _Entry:
    """An entry of a menu: a kernel, or a menu of its own."""

    names: tuple[str, ...]
    release: str | None = None
    entries: list[_Entry] = dataclasses.field(default_factory=list)


def next_kernel(root: str, releases: t.Sequence[str]) -> tuple[str | None, Rule | None]:
    """The release and how it was found: GRUB's default, systemd-boot's, or the newest image where neither is there.

    ``releases`` are the installed kernels, newest last. No release, with a rule, when what boots is not a Linux.
    """
    for folder in _GRUBS:
        config = files.read(root, folder, "grub.cfg")
        if config is not None:
            return _grub(root, folder, config), "grub"
    for folder in _LOADERS:
        config = files.read(root, folder, "loader/loader.conf")
        entries = _loader_entries(root, folder)
        if config is not None and entries:
            return _loader(config, entries), "loader"
    images = [release for release in releases if has_image(root, release)]
    return (images[-1], "newest") if images else (None, None)


def has_image(root: str, release: str) -> bool:
    return any(
        files.exists(root, path)
        for path in (f"boot/vmlinuz-{release}", f"boot/vmlinux-{release}", f"lib/modules/{release}/vmlinuz")
    )


def _grub(root: str, folder: str, config: str) -> str | None:
    environment = dict(
        line.split("=", 1) for line in (files.read(root, folder, "grubenv") or "").splitlines() if "=" in line
    )
    entries = _menu(config)
    if re.search(r"^\s*blscfg\b", config, re.MULTILINE):
        # EL: entries are files, and the menu has the newest first.
        entries = [*reversed(_loader_entries(root, "boot")), *entries]
    told = re.findall(r"^\s*set default=\"?([^\"\n]*)\"?$", config, re.MULTILINE)
    default = next((word for word in reversed(told) if "next_entry" not in word), "")
    default = environment.get("saved_entry", "") if "saved_entry" in default else default
    selected = environment.get("next_entry") or default
    entry: _Entry | None = None
    for part in (selected or "0").split(">"):
        entry = _pick(entries, part)
        if entry is None:
            return None
        entries = entry.entries
    while entry and entry.entries:
        entry = entry.entries[0]
    return entry.release if entry else None


def _pick(entries: t.Sequence[_Entry], selected: str) -> _Entry | None:
    """GRUB takes the first entry where it does not find the one that it was told of."""
    if selected.isdigit() and int(selected) < len(entries):
        return entries[int(selected)]
    return next((entry for entry in entries if selected in entry.names), entries[0] if entries else None)


def _menu(config: str) -> list[_Entry]:
    top: list[_Entry] = []
    # What each open brace belongs to: an entry, or something else.
    open_braces: list[_Entry | None] = []
    for line in config.splitlines():
        inside = next((entry for entry in reversed(open_braces) if entry), None)
        if found := _ENTRY.match(line):
            title = found.group(2) if found.group(2) is not None else found.group(3)
            entry = _Entry((title, *_ID.findall(found.group(4))))
            (inside.entries if inside else top).append(entry)
            open_braces.append(entry)
        elif line.rstrip().endswith("{"):
            open_braces.append(None)
        elif line.strip() == "}" and open_braces:
            open_braces.pop()
        elif inside and (found := _LINUX.match(line)):
            inside.release = _release(found.group(1))
    return top


def _loader_entries(root: str, folder: str) -> list[_Entry]:
    """Entries of the Boot Loader Specification, newest last. Those that only rescue are left out."""
    found = []
    for name in files.names(root, folder, "loader/entries"):
        text = files.read(root, folder, "loader/entries", name) or ""
        said = _settings(text)
        release = _release(said.get("linux", "")) or said.get("version", "") or None
        stem = name[: -len(".conf")]
        if name.endswith(".conf") and release and "rescue" not in stem:
            found.append(_Entry((stem, name, said.get("title", "")), release))
    return sorted(found, key=lambda entry: versions.order(entry.release or ""))


def _loader(config: str, entries: t.Sequence[_Entry]) -> str | None:
    default = _settings(config).get("default", "")
    chosen = (entry for entry in reversed(entries) if any(fnmatch.fnmatchcase(name, default) for name in entry.names))
    return next(chosen, entries[-1]).release


def _settings(text: str) -> dict[str, str]:
    """Of systemd-boot, in loader.conf and in entries: a key and a value a line."""
    pairs = (line.split(None, 1) for line in text.splitlines())
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def _release(image: str) -> str | None:
    found = _IMAGE.search(image.rsplit("/", 1)[-1])
    return found.group(1) if found else None
