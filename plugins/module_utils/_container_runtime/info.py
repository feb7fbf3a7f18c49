# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a host's container engine is like: its unit, what runs, and where its settings are."""

from __future__ import annotations

import dataclasses
import grp
import json
import os
import re
import typing as t

from .. import _unit_file
from .._runner import Runner
from . import flags
from .flags import Flag
from .paths import DAEMON_JSON
from .paths import DOCKER_UNIT as UNIT

_TIMEOUT_S = 60
_PODMAN_VERSION = re.compile(r"podman version (\S+)")


@dataclasses.dataclass(frozen=True)
class Engine:
    """``running`` is the number of running containers; it and ``live_restore`` are None when the engine does not tell.
    ``config_keys`` are the keys of daemon.json; ``mounts`` tells of each path whether it is a mount point;
    ``docker_group`` are the users who can talk to Docker, None where there is no such group. ``configuration`` is that
    of containerd, see containerd_host; ``cdi_enabled`` whether Docker gives devices by CDI, None where it does not
    tell, and of other engines."""

    active: bool
    version: str | None
    running: int | None
    live_restore: bool | None
    flags: tuple[Flag, ...]
    config_keys: tuple[str, ...]
    mounts: dict[str, bool]
    configuration: dict[str, t.Any] | None = None
    docker_group: tuple[str, ...] | None = None
    cdi_enabled: bool | None = None

    def as_result(self) -> dict[str, t.Any]:
        result = dataclasses.asdict(self)
        result["flags"] = list(result["flags"])
        result["config_keys"] = list(self.config_keys)
        result["docker_group"] = None if self.docker_group is None else list(self.docker_group)
        return result


def docker(run: Runner, mounts: t.Sequence[str], read: t.Callable[[str], str], root: str = "/") -> Engine:
    """``read`` gives the text of a file, empty where there is none."""
    active = run("systemctl", "is-active", UNIT, timeout_s=_TIMEOUT_S).stdout.strip() == "active"
    said: dict[str, t.Any] = {}
    if active:
        answer = run("docker", "info", "--format", "{{json .}}", timeout_s=_TIMEOUT_S)
        said = _object(answer.stdout) if answer.rc == 0 else {}
    return Engine(
        active=active,
        version=said.get("ServerVersion"),
        running=said.get("ContainersRunning"),
        live_restore=said.get("LiveRestoreEnabled"),
        flags=tuple(flags.read(UNIT, _unit_file.paths(UNIT, root), read)),
        config_keys=tuple(_object(read(DAEMON_JSON))),
        mounts=mount_points(mounts),
        docker_group=_members("docker"),
        # It has the directories only where it reads them.
        cdi_enabled=bool(said.get("CDISpecDirs")) if said else None,
    )


def podman(run: Runner, mounts: t.Sequence[str]) -> Engine:
    """It has no daemon that would have to answer."""
    version = _PODMAN_VERSION.match(run("podman", "--version", timeout_s=_TIMEOUT_S).stdout)
    return dataclasses.replace(containers_of_their_own(mounts), version=version[1] if version else None)


def containers_of_their_own(mounts: t.Sequence[str], configuration: dict[str, t.Any] | None = None) -> Engine:
    """Podman has no daemon, and containers of containerd and CRI-O do not end with it."""
    return Engine(False, None, 0, None, (), (), mount_points(mounts), configuration)


def _members(group: str) -> tuple[str, ...] | None:
    try:
        return tuple(grp.getgrnam(group).gr_mem)
    except KeyError:
        return None


def mount_points(mounts: t.Sequence[str]) -> dict[str, bool]:
    return {path: os.path.ismount(path) for path in mounts}


def _object(text: str) -> dict[str, t.Any]:
    """The object in a JSON text; none in one that holds none, of which somebody else has to say so."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
