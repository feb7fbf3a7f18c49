# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Running containers with GPUs, as Docker and Podman tell of them, and what in them is of another driver."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t

from .. import _text_file
from .._runner import Runner

_TIMEOUT_S = 60
_CDI = re.compile(r"[a-z0-9.-]+\.[a-z]+/[a-z0-9.-]+=[A-Za-z0-9:._-]+")
_NODE = re.compile(r"/dev/(nvidia\d+|nvidia-caps/nvidia-cap\d+|kfd|dri/\w+)$")
_LIBRARY = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d+(?:\.\d+)+)(?://deleted)?$")


@dataclasses.dataclass(frozen=True)
class Container:
    """``devices`` are qualified CDI names, ``nodes`` device nodes on the host, ``drivers`` the versions of the driver's
    libraries that are mounted in it now."""

    engine: str
    name: str
    id: str
    devices: tuple[str, ...]
    nodes: tuple[str, ...]
    drivers: tuple[str, ...]


def running(run: Runner, proc: str = "/proc") -> list[Container]:
    """Those with GPUs. Engines that are not there, or do not answer, have none."""
    found = []
    for engine in ("docker", "podman"):
        listed = run(engine, "ps", "--quiet", "--no-trunc", timeout_s=_TIMEOUT_S)
        ids = listed.stdout.split() if listed.rc == 0 else []
        if not ids:
            continue
        told = run(engine, "inspect", *ids, timeout_s=_TIMEOUT_S)
        for item in _list(told.stdout):
            container = parse(engine, item, proc)
            if container.devices or container.nodes or container.drivers:
                found.append(container)
    return found


def parse(engine: str, item: t.Mapping[str, t.Any], proc: str = "/proc") -> Container:
    host = item.get("HostConfig") or {}
    requests = [name for asked in host.get("DeviceRequests") or [] for name in asked.get("DeviceIDs") or []]
    # Podman keeps what was asked for nowhere but in the command.
    words = [word for part in (item.get("Config") or {}).get("CreateCommand") or [] for word in _CDI.findall(part)]
    nodes = [device.get("PathOnHost", "") for device in host.get("Devices") or []]
    mounts = _text_file.read(os.path.join(proc, str((item.get("State") or {}).get("Pid") or 0), "mountinfo"))
    sources = [fields[3] for fields in (line.split() for line in mounts.splitlines()) if len(fields) > 3]
    return Container(
        engine=engine,
        name=str(item.get("Name", "")).lstrip("/"),
        id=str(item.get("Id", ""))[:12],
        devices=tuple(dict.fromkeys(name for name in (*requests, *words) if _CDI.fullmatch(name))),
        nodes=tuple(path for path in nodes if _NODE.match(path)),
        drivers=tuple(sorted({match.group(1) for match in map(_LIBRARY.search, sources) if match})),
    )


def _list(text: str) -> list[t.Any]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return found if isinstance(found, list) else []
