# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""CDI specifications as they lie on a host."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t

from .._errors import HostError
from . import yaml_subset

# Where engines look, the one that counts more last.
DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
_LIBRARY = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d+(?:\.\d+)+)$")


@dataclasses.dataclass(frozen=True)
class Spec:
    """``kind`` is such as nvidia.com/gpu. ``drivers`` are the versions in the names of the driver's libraries,
    ``paths`` all that the specification takes from the host."""

    path: str
    kind: str
    devices: tuple[str, ...]
    drivers: tuple[str, ...]
    paths: tuple[str, ...]


def read_all(directories: t.Sequence[str] = DIRECTORIES) -> list[Spec]:
    """All specifications, in the order of their directories and names. HostError for one that cannot be read."""
    found = []
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            if name.endswith((".yaml", ".json")):
                path = os.path.join(directory, name)
                with open(path, encoding="utf-8", errors="replace") as source:
                    found.append(parse(path, source.read()))
    return found


def parse(path: str, text: str) -> Spec:
    try:
        said = json.loads(text) if path.endswith(".json") else yaml_subset.load(text)
    except ValueError as exc:
        raise HostError(f"{path} is no CDI specification that can be read: {exc}; have it written again") from exc
    if not isinstance(said, dict) or not isinstance(said.get("kind"), str):
        raise HostError(f"{path} is no CDI specification: it names no kind; have it written again")
    devices = [item for item in said.get("devices") or [] if isinstance(item, dict)]
    edits = [item["containerEdits"] for item in (said, *devices) if isinstance(item.get("containerEdits"), dict)]
    nodes = [node.get("hostPath") or node.get("path") for edit in edits for node in edit.get("deviceNodes") or []]
    mounts = [mount.get("hostPath") for edit in edits for mount in edit.get("mounts") or []]
    drivers = {match.group(1) for match in map(_LIBRARY.search, filter(None, mounts)) if match}
    return Spec(
        path=path,
        kind=said["kind"],
        devices=tuple(str(item.get("name")) for item in devices),
        drivers=tuple(sorted(drivers)),
        paths=tuple(dict.fromkeys(str(item) for item in (*nodes, *mounts) if item)),
    )
