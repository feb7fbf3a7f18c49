# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""CDI specifications, read as container engines read them: with CDI's own Go library, whose YAML is that of libyaml."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import yaml

_LIBRARY = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d+(?:\.\d+)+)$")
_TAG = "tag:yaml.org,2002:"


class SpecError(ValueError):
    """Why a text is no CDI specification: a clause without the path."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """``kind`` is such as nvidia.com/gpu. ``drivers`` are the versions in the names of the driver's libraries,
    ``paths`` all that the specification takes from the host."""

    path: str
    kind: str
    devices: tuple[str, ...]
    drivers: tuple[str, ...]
    paths: tuple[str, ...]


def parse(path: str, text: str) -> Spec:
    """SpecError for a text that engines pass over, or that has another shape than CDI's."""
    said = _load(text)
    if not isinstance(said, dict):
        raise SpecError("it is empty" if said is None else "it is not a mapping")
    kind = said.get("kind")
    if not isinstance(kind, str) or "/" not in kind:
        raise SpecError("it names no kind such as nvidia.com/gpu")
    devices = _mappings(said, "devices")
    edits = [edit for item in (said, *devices) for edit in _edits(item)]
    nodes = [node.get("hostPath") or node.get("path") for edit in edits for node in _mappings(edit, "deviceNodes")]
    mounts = [mount.get("hostPath") for edit in edits for mount in _mappings(edit, "mounts")]
    drivers = {match.group(1) for match in map(_LIBRARY.search, map(str, mounts)) if match}
    return Spec(
        path=path,
        kind=kind,
        devices=_names(devices),
        drivers=tuple(sorted(drivers)),
        paths=tuple(dict.fromkeys(str(item) for item in (*nodes, *mounts) if item)),
    )


# libyaml's, of which Go's is a translation, takes tabs between the parts of JSON; the one in Python does not.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # to mypy it is Any
    """A key that is there twice is an error, also where a merge brings it. All scalars but null are text: 0:1 is a MIG
    device, and to YAML 1.1 a number."""

    yaml_implicit_resolvers: t.ClassVar[dict[str, t.Any]] = {}
    yaml_constructors: t.ClassVar[dict[str | None, t.Any]] = {
        None: yaml.SafeLoader.construct_scalar,
        **{f"{_TAG}{name}": yaml.SafeLoader.yaml_constructors[f"{_TAG}{name}"] for name in ("null", "seq", "map")},
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, t.Any]:
        self.flatten_mapping(node)
        seen: set[str] = set()
        for key, _value in node.value:
            problem = "a key is no text" if not isinstance(key, yaml.ScalarNode) else f"{key.value} is there twice"
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return t.cast("dict[str, t.Any]", super().construct_mapping(node, deep))


_Loader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<$"), ["<"])
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(~|null|Null|NULL)?$"), ["~", "n", "N", ""])


def _load(text: str) -> t.Any:
    """The first document, which is all that engines read."""
    try:
        loader = _Loader(text)
        return loader.get_data() if loader.check_data() else None
    except (yaml.YAMLError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(exc, "problem", None) or " ".join(str(exc).split())
        raise SpecError(f"it is not valid YAML: {where}{problem}") from exc


def _names(devices: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[str, ...]:
    names: list[str] = []
    for device in devices:
        name = device.get("name")
        if not isinstance(name, str) or not name:
            raise SpecError("one of its devices has no name")
        if name in names:
            raise SpecError(f"it offers {name} twice")
        names.append(name)
    return tuple(names)


def _edits(item: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
    found = item.get("containerEdits")
    if found is not None and not isinstance(found, dict):
        raise SpecError("its containerEdits are not a mapping")
    return [found] if found else []


def _mappings(item: t.Mapping[str, t.Any], key: str) -> list[t.Mapping[str, t.Any]]:
    found = item.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise SpecError(f"its {key} are not a list of mappings")
    return found
