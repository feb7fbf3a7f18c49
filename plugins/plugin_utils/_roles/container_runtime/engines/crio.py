# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""CRI-O as component data: a drop-in of its own next to the package's; registries and logins as podman has them."""

from __future__ import annotations

import json
import re
import typing as t

import tomllib

from .. import toolkit
from ..refused import Refused
from . import docker, podman

UNIT = "crio.service"
_CONF = "/etc/crio"
_DROP_INS = f"{_CONF}/crio.conf.d"
SETTINGS = f"{_DROP_INS}/50-mlops-hosts.conf"
_PROXY = f"{_CONF}/mlops-hosts-proxy.env"
_UNIT_DROP_INS = f"/etc/systemd/system/{UNIT}.d"
# CRI-O has no option for one file more: it checks a copy of its drop-ins with ours among them, and does not start.
_VALIDATE = [
    "sh",
    "-c",
    'all=$(mktemp -d) && cp -R "${1%/*}/." "$all" && cp "$0" "$all/${1##*/}" && '
    'crio --config-dir "$all" config >/dev/null; answer=$?; rm -rf "$all"; exit $answer',
    "{staged}",
    SETTINGS,
]


def parts(
    desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], _known: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    if desired["source"] != "vendor":
        raise Refused(
            f"{platform['name']} {platform['release']} has no package of CRI-O; set container_runtime_source to vendor "
            "for the repository of CRI-O or a mirror of it."
        )
    if desired["log_driver"] not in ("", "journald"):
        raise Refused(
            f"container_runtime_log_driver is {desired['log_driver']}, and CRI-O writes the log files of Kubernetes in "
            "any case; leave it empty, or set it to journald to have the journal as well."
        )
    files: list[dict[str, t.Any]] = [
        {"path": SETTINGS, "content": _settings(desired), "validate": _VALIDATE, "units": [UNIT]}
    ]
    directories = [{"path": _CONF}, {"path": _DROP_INS}]
    drop_in = docker.drop_in(desired, _PROXY)
    if drop_in:
        directories.append({"path": _UNIT_DROP_INS})
        files.append({"path": f"{_UNIT_DROP_INS}/mlops-hosts.conf", "content": drop_in, "units": [UNIT]})
    files += docker.proxy_files(desired, _PROXY, UNIT)
    # It remembers registries until it is told to look again.
    registry_directories, registry_files = podman.registries(desired, on_change="reload", units=[UNIT])
    login_directories, login_files = docker.logins(desired["registries"])
    return {
        "repositories": [_repository(desired, platform["crio"])],
        "packages": [toolkit.pinned("cri-o", str(desired["version"]))],
        "directories": [*directories, *registry_directories, *login_directories],
        "files": [*files, *registry_files, *login_files],
        "units": [{"name": UNIT, "enabled": True, "state": "started", "drop_ins": "keep"}],
        "ready": [{"unit": UNIT, "command": ["crio", "status", "info"]}],
    }


def _repository(desired: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    minor = re.match(r"\d+\.\d+(?=\.)", str(desired["version"]))
    if minor is None:
        raise Refused(
            f"container_runtime_version must be a minor version such as 1.34.*, not {str(desired['version'])!r}: CRI-O "
            "has a repository for each minor version of Kubernetes."
        )
    path = f"{known['path']}/v{minor.group()}/deb/"
    uri = f"{(desired['mirror'] or known['host']).rstrip('/')}/{path}"
    key = {**known, "key_url": f"{known['host']}/{path}Release.key"}
    return {"name": "cri-o", "uris": [uri], "suites": ["/"], **toolkit.vendor_key(desired, "repository_", key, uri)}


def _settings(desired: t.Mapping[str, t.Any]) -> str:
    root = f'[crio]\nroot = "{desired["data_root"]}"\n' if desired["data_root"] else ""
    runtime = f"[crio.runtime]\nlog_size_max = {podman.size_bytes(desired['log_max_size'])}\n"
    if desired["log_driver"] == "journald":
        runtime += "log_to_journald = true\n"
    if desired["default_runtime"]:
        runtime += f'default_runtime = "{desired["default_runtime"]}"\n'
    if desired["toolkit"] != "none":
        runtime += 'cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]\n'
    # Named, for a service of systemd has no home to look into.
    logins = any(registry.get("username") for registry in desired["registries"])
    image = f'[crio.image]\nglobal_auth_file = "{docker.LOGINS}"\n' if logins else ""
    return f"# Ansible managed\n{root}{runtime}{image}"


def lost(settings: str, config: str) -> list[str]:
    """What CRI-O runs without: it ignores a key that it does not know, and a later file has the last word.

    ``settings``: the text of the role's file. ``config``: what ``crio status config`` printed.
    """
    has = dict(_leaves(tomllib.loads(config)))
    ours = _leaves(tomllib.loads(settings))
    missing = [f"{'.'.join(path)} = {json.dumps(value)}" for path, value in ours if has.get(path) != value]
    if not missing:
        return []
    return [
        f"CRI-O runs without {', '.join(missing)}: a later file in {_DROP_INS} or an option in "
        "/etc/default/crio has the last word, or this version does not know it."
    ]


def _leaves(tree: t.Mapping[str, t.Any], above: tuple[str, ...] = ()) -> t.Iterator[tuple[tuple[str, ...], t.Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value
