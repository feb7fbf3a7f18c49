# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the repository as pages of the site: they keep their paths, so that links between them stay as they are."""

from __future__ import annotations

import posixpath
import re
import shutil
import typing as t
from pathlib import Path

INDEX = "docs/index.md"
MANUALS = "collections/index"
PAGES = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/*.md", "roles/*/README.md")
PICTURES = (".png", ".svg")
_LINK = re.compile(r"\]\((?P<path>[^)#\s]+)(?P<rest>(?:#[^)\s]*)?)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r":ref:`[^`<]*?<?(?P<label>[a-z0-9_.]+)>?`")
# With the underscores as reStructuredText has them.
_ENVIRONMENT = re.compile(r":ansenvvarref:`(?P<name>ANSIBLE(?:\\?_[A-Z]+)+)")
# Labels of Ansible's own documentation that the manuals refer to, and where they are there.
_ELSEWHERE = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
    "callback_plugins": "plugins/callback.html#callback-plugins",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
}


def pages(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for pattern in PAGES for path in root.glob(pattern))


def copy(root: Path, source: Path, repository: str) -> None:
    """What the site has of the repository."""
    names = pages(root)
    for name in names:
        text = elsewhere(name, (root / name).read_text(), names, root, repository)
        if name == INDEX:
            text += contents(text)
        _write(source / name, text)
    for path in (root / "docs").iterdir():
        if path.suffix in PICTURES:
            shutil.copy2(path, source / "docs")


def elsewhere(page: str, text: str, names: t.Collection[str], root: Path, repository: str) -> str:
    """``text`` with links to what is no page of the site as links into the repository."""

    def link(found: re.Match[str]) -> str:
        path = found["path"]
        name = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if "://" in path or name in names or name.endswith(PICTURES) or not (root / name).exists():
            return found[0]
        kind = "tree" if (root / name).is_dir() else "blob"
        return f"]({repository}/{kind}/main/{name}{found['rest']})"

    return _LINK.sub(link, text)


def sections(index: str) -> dict[str, list[str]]:
    """The pages that the index lists, by heading, in its order."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", _FENCE.sub("", index), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading.strip()] = [one["path"] for one in _LINK.finditer(text) if "://" not in one["path"]]
    return found


def contents(index: str) -> str:
    """The index as Sphinx wants it: what it lists, and the manuals, which are made."""
    listed = {**sections(index), "Manuals": [f"/{MANUALS}"]}
    return "".join(
        "\n```{toctree}\n:hidden:\n:caption: " + heading + "\n\n" + "".join(f"{path}\n" for path in paths) + "```\n"
        for heading, paths in listed.items()
    )


def of_ansible(texts: t.Iterable[str]) -> str:
    """An inventory of Sphinx, version 2, of what the manuals refer to in Ansible's own documentation."""
    lines = set()
    for text in texts:
        for label in {found["label"] for found in _REFERENCE.finditer(text)}:
            where = _ELSEWHERE.get(label) or _of_collection(label)
            if where:
                lines.add(f"{label} std:label -1 {where} {label}")
        for name in {found["name"].replace("\\", "") for found in _ENVIRONMENT.finditer(text)}:
            lines.add(f"{name} std:envvar 1 reference_appendices/config.html#envvar-{name} -")
    return "".join(f"{line}\n" for line in sorted(lines))


def _of_collection(label: str) -> str | None:
    parts = label.split(".")
    if len(parts) != 4 or parts[0] != "ansible_collections" or parts[1] == "mlops":
        return None
    return f"collections/{parts[1]}/{parts[2]}/{parts[3]}.html#{label.replace('.', '-').replace('_', '-')}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
