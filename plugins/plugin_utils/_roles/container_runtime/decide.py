# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a change would do to the containers of a host, and what conflicts with it. Pure."""

from __future__ import annotations

import typing as t

from ....module_utils._container_runtime.paths import DAEMON_JSON, DOCKER_UNIT


def conflicts(keys: t.Iterable[str], seen: t.Mapping[str, t.Any]) -> list[str]:
    """Sentences about what conflicts with a change. ``keys`` are those of daemon.json that are desired, ``seen`` what
    container_runtime_info returned."""
    found = []
    in_file = {*seen["config_keys"], *keys}
    for flag in seen["flags"]:
        if flag["key"] in in_file:
            where = "the file has it already" if flag["key"] in seen["config_keys"] else "the file is to have it"
            found.append(
                f"{flag['flag']} is given to dockerd in {flag['source'] or DOCKER_UNIT}, and as {flag['key']} in "
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


def pending(seen: t.Mapping[str, t.Any], *, consent: str, stops: bool) -> str:
    """Why a restart has to wait, empty when it need not. ``consent``: never, when_idle or when_needed."""
    if consent == "when_needed":
        return ""
    if consent == "never":
        return (
            "This change needs a restart of the engine, and container_runtime_restart is never. Nothing was changed. "
            "Set it to when_idle, or to when_needed where running containers may end."
        )
    if not seen["active"] or seen["running"] == 0 or (seen["live_restore"] and not stops):
        return ""
    running = "an unknown number of" if seen["running"] is None else seen["running"]
    if stops:
        return (
            f"{running} containers run, and the engine is to be taken away under them. Nothing was changed. Stop them, "
            "or set container_runtime_restart to when_needed."
        )
    return (
        f"{running} containers run, and the restart that this change needs would end them, for live-restore is not "
        "on. Nothing was changed. Set container_runtime_restart to when_needed, or turn live-restore on first: "
        f'"live-restore": true in {DAEMON_JSON}, then systemctl reload docker.'
    )
