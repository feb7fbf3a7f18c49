# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The configuration of a host's containerd, parsed on the controller, and what a change makes of it. Pure."""

from __future__ import annotations

import fnmatch
import posixpath
import typing as t

import tomllib

from .....module_utils._container_runtime.paths import CONFIG, OURS, SETTINGS
from .....module_utils._container_runtime.paths import CONTAINERD_UNIT as UNIT
from .containerd import CRI, Site

# What the plugin for Kubernetes is called: in version 1 of the format, in 2, and the two that it is from version 3 on.
_OLD = ("plugins", "cri")
_NOW = ("plugins", CRI)
_RUNTIME = ("plugins", "io.containerd.cri.v1.runtime")
_IMAGES = ("plugins", "io.containerd.cri.v1.images")
_DISABLED = ("cri", CRI, _RUNTIME[1], _IMAGES[1])
_PROGRAMS = ("containerd", "/usr/bin/containerd", "/usr/local/bin/containerd")
_MISSING = object()

Path = tuple[str, ...]
Tree = t.Mapping[str, t.Any]


def read(configuration: Tree, known: Tree) -> Site:
    """``configuration`` is that of module container_runtime_info, empty where no host was asked. ``known`` is what the
    distribution's containerd has by itself: ``cri``, a tree of settings, and ``cdi``, whether it has CDI."""
    files = configuration.get("files", {})
    problems = [text for text in (_foreign_command(configuration.get("commands", [])),) if text]
    if configuration.get("problem"):
        problems.append(f"{configuration['problem']}. Nothing was changed.")
    elif configuration.get("site"):
        return _running(configuration, tuple(problems))
    try:
        cri, disabled = _not_running(files, known)
        problems += _short_names(disabled, files)
    except _Unreadable as exc:
        cri, disabled = known["cri"], []
        problems += [str(exc)] if not configuration.get("problem") else []
    enabled = not any(name in _DISABLED for name in disabled)
    return Site(cri, cri, enabled, known["cdi"], tuple(problems), lambda path: _place(path, files))


def lost(configuration: Tree, settings: str) -> list[str]:
    """Sentences about what containerd runs without, after a change or when it would be made: settings that it has by
    other files, and those of the role's file, whose text is ``settings``. Empty where nothing could be asked."""
    if configuration.get("problem"):
        return [f"{configuration['problem']}. Nothing was changed."]
    if not configuration.get("effective"):
        return []
    before, after = _parse(configuration["site"]), _parse(configuration["effective"])
    ours = dict(_leaves(_parse(settings)))
    if _version(after) >= 3:
        ours = {_in_version_3(path): value for path, value in ours.items()}
    found, told = [], set()
    for path, value in _leaves(before):
        has = _at(after, path)
        if path[0] in ("imports", "version") or not _same(ours.get(path, value), value):
            continue
        if not _same(has, value):
            told.add(path)
            place = _place(path, configuration["files"])
            found.append(
                f"{place} sets {_dotted(path)} to {_shown(path, value)}, and containerd would run with "
                f"{_shown(path, has)}. Nothing was changed."
            )
    for path, value in ours.items():
        has = _at(after, path)
        if path != ("version",) and path not in told and not _same(has, value):
            found.append(
                f"{SETTINGS} sets {_dotted(path)} to {_shown(path, value)}, and containerd would run with "
                f"{_shown(path, has)}: {_place(path, configuration['files'])} has the last word, or this version does "
                "not have the setting."
            )
    return found if len(found) < 4 else [*found[:3], f"There are {len(found) - 3} more such settings."]


class _Unreadable(Exception):
    """A file cannot be read; the message is a sentence."""


def _running(configuration: Tree, problems: tuple[str, ...]) -> Site:
    """Of a containerd that is installed: its own word for what its files make."""
    site, defaults = _parse(configuration["site"]), _parse(configuration["defaults"])
    whole = _version(site) < 3
    disabled = site.get("disabled_plugins", [])
    if whole:
        problems = (*problems, *_short_names(disabled, configuration["files"]))
    cri, built_in = _cri(site), _cri(defaults)
    repeated: dict[str, t.Any] = _difference(cri, built_in)
    runtimes = _filled(cri.get("containerd", {}).get("runtimes", {}))
    if runtimes:
        repeated["containerd"] = {**repeated.get("containerd", {}), "runtimes": runtimes}
    return Site(
        cri=_filled(cri),
        repeated=repeated if whole else {},
        cri_enabled=not any(name in _DISABLED for name in disabled),
        knows_cdi="enable_cdi" in built_in,
        problems=problems,
        place=lambda path: _place(path, configuration["files"]),
    )


def _short_names(disabled: t.Sequence[str], files: Tree) -> list[str]:
    """They are for files of version 1 alone: together with one of version 2 containerd 1.x does not start."""
    short = [name for name in disabled if "." not in name]
    if not short:
        return []
    return [
        f"{_place(('disabled_plugins',), files)} has {', '.join(short)} in disabled_plugins, and containerd takes "
        "names without a type only where all files are of version 1, as the role's are not: write it as, for example, "
        f"{CRI}, or take it out. Nothing was changed."
    ]


def _not_running(files: Tree, known: Tree) -> tuple[Tree, list[str]]:
    """Settings for Kubernetes of a containerd that is still to be installed, and the plugins that are disabled."""
    documents = _imported(files)
    if not documents:
        return known["cri"], []
    disabled = [name for document in documents for name in document.get("disabled_plugins", [])]
    section: Tree = {}
    for document in documents:
        section = _section(document) or section
    if not section.get("containerd", {}).get("runtimes"):
        built_in = known["cri"]["containerd"]["runtimes"]
        section = {**section, "containerd": {**section.get("containerd", {}), "runtimes": built_in}}
    return _filled(section), disabled


def _imported(files: Tree) -> list[Tree]:
    """config.toml and what it imports, in the order in which containerd reads them: breadth-first."""
    pending, loaded = [CONFIG] if CONFIG in files else [], {}
    while pending:
        path = pending.pop(0)
        if path in loaded:
            continue
        try:
            loaded[path] = tomllib.loads(files[path])
        except tomllib.TOMLDecodeError as exc:
            raise _Unreadable(f"{path} is no TOML: {exc}. Nothing was changed.") from exc
        for name in loaded[path].get("imports", []):
            pattern = posixpath.join(posixpath.dirname(path), name)
            inside = posixpath.dirname(pattern).startswith(posixpath.dirname(CONFIG))
            matches = sorted(other for other in files if fnmatch.fnmatchcase(other, pattern))
            if not inside or not (matches or "*" in pattern):
                raise _Unreadable(
                    f"{_place(('imports',), {path: files[path]})} imports {name}, which cannot be read before "
                    "containerd is installed: install it first, or take the import out. Nothing was changed."
                )
            pending += matches
    return list(loaded.values())


def _cri(document: Tree) -> dict[str, t.Any]:
    """The settings for Kubernetes of a dump, by their names in version 2."""
    if _version(document) < 3:
        return dict(_tree_at(document, _NOW))
    runtime, images = dict(_tree_at(document, _RUNTIME)), _tree_at(document, _IMAGES)
    settings = dict(runtime.get("containerd", {}))
    # Version 2 has no such name, and it is the built-in one.
    settings["runtimes"] = {
        name: {key: value for key, value in entry.items() if key != "sandboxer"}
        for name, entry in settings.get("runtimes", {}).items()
    }
    return {**runtime, "containerd": settings, "registry": images.get("registry", {})}


def _section(document: Tree) -> Tree:
    """The settings for Kubernetes of a file."""
    return _tree_at(document, _OLD) or _tree_at(document, _NOW)


def _tree_at(document: Tree, path: Path) -> Tree:
    found = _at(document, path)
    return found if isinstance(found, dict) else {}


def _in_version_3(path: Path) -> Path:
    if path[:2] != _NOW:
        return path
    return (*(_IMAGES if path[2] == "registry" else _RUNTIME), *path[2:])


def _difference(has: Tree, built_in: Tree) -> dict[str, t.Any]:
    """What ``has`` sets otherwise than is built in."""
    found = {}
    for name, value in has.items():
        default = built_in.get(name, _MISSING)
        if isinstance(value, dict):
            inner = _difference(value, default) if isinstance(default, dict) else _filled(value)
            if inner:
                found[name] = inner
        elif not _same(default, value):
            found[name] = value
    return found


def _filled(tree: Tree) -> dict[str, t.Any]:
    """Without what is empty: zero values are what containerd has for what is not there."""
    trimmed = {name: _filled(value) if isinstance(value, dict) else value for name, value in tree.items()}
    return {name: value for name, value in trimmed.items() if value}


def _same(one: t.Any, other: t.Any) -> bool:
    one, other = (None if item is _MISSING else item for item in (one, other))
    return one == other or not (one or other)


def _leaves(tree: Tree, above: Path = ()) -> t.Iterator[tuple[Path, t.Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _at(tree: t.Any, path: Path) -> t.Any:
    for name in path:
        if not isinstance(tree, dict) or name not in tree:
            return _MISSING
        tree = tree[name]
    return tree


def _place(path: Path, files: Tree) -> str:
    """File and line of a setting, or of the nearest table that could hold it."""
    tail = next((path[len(head) :] for head in (_NOW, _RUNTIME, _IMAGES) if path[: len(head)] == head), None)
    tails = [tail] if tail != ("pinned_images", "sandbox") else [tail, ("sandbox_image",)]
    heads = (_NOW, _OLD, _RUNTIME, _IMAGES)
    names = [path] if tail is None else [(*head, *tail) for head in heads for tail in tails if tail]
    for file, text in files.items():
        lines = text.splitlines(keepends=True)
        for number in range(1, len(lines) + 1):
            try:
                document = tomllib.loads("".join(lines[:number]))
            except tomllib.TOMLDecodeError:
                continue  # the line is not the end of a value
            if any(_at(document, name) is not _MISSING for name in names):
                return f"{file}, line {number},"
    return _place(path[:-1], files) if path[1:] else CONFIG


def _foreign_command(commands: t.Sequence[Tree]) -> str:
    """The role starts containerd with a file of its own; what another one says about that would be lost."""
    foreign = [item for item in commands if item["command"].split() not in [[program] for program in _PROGRAMS]]
    if not foreign:
        return ""
    command, source = foreign[-1]["command"], foreign[-1]["source"]
    return (
        f"{source} starts {UNIT} as {command!r}, and the role starts it with a file in {OURS} that imports {CONFIG}: "
        f"have the settings in {CONFIG}, and take ExecStart out of {source}. Nothing was changed."
    )


def _shown(path: Path, value: t.Any) -> str:
    if value is _MISSING:
        return "none"
    return "a secret" if "auth" in path or "header" in path else repr(value)


def _dotted(path: Path) -> str:
    return ".".join(f'"{name}"' if "." in name else name for name in path)


def _version(document: Tree) -> int:
    return int(document.get("version", 1))


def _parse(text: str) -> dict[str, t.Any]:
    return tomllib.loads(text)
