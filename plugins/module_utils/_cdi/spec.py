# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a CDI specification says, once its YAML or JSON is read. Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

_LIBRARY = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d+(?:\.\d+)+)$")


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


def of(path: str, said: t.Any) -> Spec:
    """SpecError for data that has another shape than CDI's."""
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
