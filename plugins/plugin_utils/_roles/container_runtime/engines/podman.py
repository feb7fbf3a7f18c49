# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Podman as component data: registries, storage, settings of containers, quadlets."""

from __future__ import annotations

import typing as t

from ... import quadlet
from .. import toolkit
from ..refused import Refused
from . import docker

_CONF = "/etc/containers"
_DRIVERS = {"json-file": "k8s-file", "local": "k8s-file"}
_SUFFIXES = {"container": "", "volume": "-volume", "network": "-network", "pod": "-pod", "image": "-image"}
_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parts(
    desired: t.Mapping[str, t.Any], _platform: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    if desired["quadlets"] and not known["quadlet"]:
        raise Refused(
            "container_runtime_quadlets need podman 4.4, and this release has an older one; "
            "take them out, or use a later release."
        )
    if "@" in desired["http_proxy"] + desired["https_proxy"]:
        raise Refused(
            "A proxy with a password would lie in a file that every user of podman has to read; "
            "use a proxy that lets this host through, or docker."
        )
    directories, files = registries(desired, on_change="none")
    login_directories, login_files = docker.logins(desired["registries"])
    for path, content in (
        (f"{_CONF}/containers.conf.d/50-mlops-hosts.conf", _containers(desired)),
        (f"{_CONF}/storage.conf", _storage(desired)),
    ):
        if content:
            files.append({"path": path, "content": f"# Ansible managed\n{content}", "on_change": "none"})
            directories += [{"path": path.rpartition("/")[0]}] if path.rpartition("/")[0] != _CONF else []
    quadlets = desired["quadlets"]
    if quadlets:
        directories.append({"path": quadlet.FOLDER})
    files += [
        {
            "path": f"{quadlet.FOLDER}/{item['name']}",
            "content": item["content"],
            "validate": quadlet.VALIDATE,
            "validate_as": item["name"],
            "units": [unit_of(item["name"])],
        }
        for item in quadlets
    ]
    version = str(desired["version"])
    return {
        "packages": [
            toolkit.pinned(name, version if name == "podman" else "", on_change="none") for name in known["packages"]
        ],
        "directories": [*directories, *login_directories],
        "files": [*files, *login_files],
        "absent_paths": ["/usr/share/containers/oci/hooks.d/oci-nvidia-hook.json"]
        if desired["toolkit"] == "nvidia"
        else [],
        # The generator enables them, by what their files say.
        "units": [
            {"name": unit_of(item["name"]), "enabled": False, "state": "started", "drop_ins": "keep"}
            for item in quadlets
        ],
        "ready": [{"command": ["podman", "info"]}],
    }


def unit_of(name: str) -> str:
    """The service that quadlet makes of a file."""
    stem, _dot, kind = name.rpartition(".")
    if not stem or kind not in _SUFFIXES or "/" in name:
        raise Refused(f"names in container_runtime_quadlets must end in .{', .'.join(_SUFFIXES)}, not {name!r}.")
    return f"{stem}{_SUFFIXES[kind]}.service"


def registries(desired: t.Mapping[str, t.Any], **effect: t.Any) -> tuple[list[t.Any], list[t.Any]]:
    """Directories and files with which podman and CRI-O know registries. ``effect`` is that of a change of mirrors."""
    directories, files = docker.certificates(desired["registries"], f"{_CONF}/certs.d")
    content = _registries(desired)
    if content:
        path = f"{_CONF}/registries.conf.d"
        directories.append({"path": path})
        files.append({"path": f"{path}/50-mlops-hosts.conf", "content": f"# Ansible managed\n{content}", **effect})
    return [{"path": _CONF}, *directories], files


def _registries(desired: t.Mapping[str, t.Any]) -> str:
    text = ""
    if desired["registry_mirrors"]:
        text += '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n'
        for url in desired["registry_mirrors"]:
            insecure = "insecure = true\n" if url.startswith("http://") else ""
            text += f'[[registry.mirror]]\nlocation = "{url.split("://")[1].rstrip("/")}"\n{insecure}'
    for name in desired["insecure_registries"]:
        text += f'[[registry]]\nlocation = "{name}"\ninsecure = true\n'
    return text


def _containers(desired: t.Mapping[str, t.Any]) -> str:
    driver = desired["log_driver"]
    text = ""
    if driver:
        text += f'[containers]\nlog_driver = "{_DRIVERS.get(driver, driver)}"\n'
        if driver in _DRIVERS:
            text += f"log_size_max = {size_bytes(desired['log_max_size'])}\n"
    proxies = [f'"{name}={desired[name]}"' for name in ("http_proxy", "https_proxy", "no_proxy") if desired[name]]
    return text + (f"[engine]\nenv = [{', '.join(proxies)}]\n" if proxies else "")


def size_bytes(text: str) -> int:
    """Of a size as Docker writes it, such as 50m."""
    number, unit = (text[:-1], text[-1:].lower()) if text[-1:].lower() in _UNITS else (text, "b")
    if not number.isdigit():
        raise Refused(f"container_runtime_log_max_size must be a size such as 50m, not {text!r}.")
    return int(number) * _UNITS[unit]


def _storage(desired: t.Mapping[str, t.Any]) -> str:
    if not desired["data_root"]:
        return ""
    return f'[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "{desired["data_root"]}"\n'
