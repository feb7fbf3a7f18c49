# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a host's container engine is like before a change: its unit, what runs, and what stands against the wish."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .. import _unit_file
from .._runner import Runner
from . import flags
from .docker import DAEMON_JSON, RELOADABLE, UNIT
from .flags import Flag

_TIMEOUT_S = 60


@dataclasses.dataclass(frozen=True)
class Engine:
    """``running`` is the number of running containers; it and ``live_restore`` are None when the engine does not tell.
    ``config_keys`` are the keys of daemon.json; ``mounts`` tells of each path whether it is a mount point;
    ``configuration`` is that of containerd, see containerd_host."""

    active: bool
    version: str | None
    running: int | None
    live_restore: bool | None
    flags: tuple[Flag, ...]
    config_keys: tuple[str, ...]
    mounts: dict[str, bool]
    configuration: dict[str, t.Any] | None = None

    def as_result(self) -> dict[str, t.Any]:
        result = dataclasses.asdict(self)
        result["flags"] = list(result["flags"])
        result["config_keys"] = list(self.config_keys)
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
        mounts=looked_at(mounts),
    )


def containers_of_their_own(mounts: t.Sequence[str], configuration: dict[str, t.Any] | None = None) -> Engine:
    """Podman has no daemon, and containers of containerd and CRI-O do not end with it."""
    return Engine(False, None, 0, None, (), (), looked_at(mounts), configuration)


def looked_at(mounts: t.Sequence[str]) -> dict[str, bool]:
    return {path: os.path.ismount(path) for path in mounts}


def conflicts(keys: t.Iterable[str], seen: t.Mapping[str, t.Any]) -> list[str]:
    """Sentences about what stands against a change. ``keys`` are those of daemon.json that are wanted, ``seen`` what
    container_runtime_info returned."""
    found = []
    in_file = {*seen["config_keys"], *keys}
    for flag in seen["flags"]:
        if flag["key"] in in_file:
            where = "the file has it already" if flag["key"] in seen["config_keys"] else "the file is to have it"
            found.append(
                f"{flag['flag']} is given to dockerd in {flag['source'] or UNIT}, and as {flag['key']} in "
                f"{DAEMON_JSON} ({where}): dockerd does not start with both. Take it out of "
                f"{flag['source'] or 'the unit'}. Nothing was changed."
            )
    for path, is_mount in seen["mounts"].items():
        if not is_mount:
            found.append(
                f"{path} is to be a mount of its own, for container_runtime_data_root_is_mount is set, and it is not: "
                "images would fill the disk below it. Mount it first. Nothing was changed."
            )
    return found


def judge(
    asked: t.Mapping[str, t.Any], compared: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any], *, allowed: bool = False
) -> dict[str, t.Any]:
    """Returns ``conflicts`` (sentences), ``impact`` (what the engine's unit needs: restart, reload or none) and
    ``pending`` (why the change has to wait, empty when it need not).

    ``asked`` is what request returned, ``compared`` what module component returned in check mode, ``seen`` what
    container_runtime_info returned.
    """
    files = asked["component"]["files"]
    keys = next((list(file["json_keys"]) for file in files if file["path"] == DAEMON_JSON), [])
    impact = _impact(asked, compared)
    return {
        "conflicts": conflicts(keys, seen),
        "impact": impact,
        "pending": "" if allowed or impact != "restart" else _pending(seen, stops=asked["unit"] in compared["stopped"]),
    }


def _impact(asked: t.Mapping[str, t.Any], compared: t.Mapping[str, t.Any]) -> str:
    if asked["unit"] in compared["stopped"]:
        return "restart"
    if asked["unit"] not in compared["restarted"]:
        return "none"
    component = asked["component"]
    unmoved = {
        item.get("path") or item["name"]
        for item in (*component["files"], *component["packages"])
        if item.get("on_change") == "none"
    }
    for item in compared["drift"]:
        path, _hash, pointer = item["item"].partition("#/")
        moves = item["kind"] in ("package", "file", "json_key", "link") and path not in unmoved
        if moves and not (path == DAEMON_JSON and pointer.split("/")[0] in RELOADABLE):
            return "restart"
    return "reload"


def _pending(seen: t.Mapping[str, t.Any], *, stops: bool) -> str:
    if not seen["active"] or seen["running"] == 0 or (seen["live_restore"] and not stops):
        return ""
    running = "an unknown number of" if seen["running"] is None else seen["running"]
    if stops:
        return (
            f"{running} containers run, and the engine is to be taken away under them. Nothing was changed. Stop them, "
            "or set container_runtime_restart_allowed."
        )
    return (
        f"{running} containers run, and the restart that this change needs would end them, for live-restore is not "
        "on. Nothing was changed. Set container_runtime_restart_allowed, or turn live-restore on first: "
        f'"live-restore": true in {DAEMON_JSON}, then systemctl reload docker.'
    )


def _object(text: str) -> dict[str, t.Any]:
    """The object in a JSON text; none in one that holds none, of which somebody else has to say so."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
