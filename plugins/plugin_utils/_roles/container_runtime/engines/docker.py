# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Docker as component data: its daemon.json by keys, certificates and logins of registries, proxies."""

from __future__ import annotations

import base64
import re
import typing as t

from .....module_utils._container_runtime.paths import DAEMON_JSON
from .....module_utils._container_runtime.paths import DOCKER_UNIT as UNIT
from .. import toolkit
from ..refused import Refused

# What it needs. After a change of packages the first would run on as what was removed, and the second has no socket any
# more. A change of the configuration restarts Docker only, and containers go on in any case.
_NEEDED = ("containerd.service", "docker.socket")
# What dockerd reads again on SIGHUP. Everything else in daemon.json waits for a restart.
RELOADABLE = (
    "debug",
    "default-runtime",
    "insecure-registries",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
    "runtimes",
    "shutdown-timeout",
)
_DROP_IN = f"/etc/systemd/system/{UNIT}.d"
_PROXY = "/etc/docker/mlops-hosts-proxy.env"
_LIMITED = ("json-file", "local")
# What the log drivers take, in Docker 20.10 and 26.1: it does not start with an option that its driver does not know.
# Drivers that are not here are those of daemon_config, whose options are not checked.
_COMMON = ("mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")
_NAMED = ("labels", "labels-regex", "env", "env-regex", "tag")
_FILES = ("max-size", "max-file", "compress")
_LOG_OPTIONS: dict[str, tuple[str, ...]] = {
    "json-file": (*_COMMON, *_NAMED, *_FILES),
    "local": (*_COMMON, *_FILES),
    "journald": (*_COMMON, *_NAMED),
    "none": (),
}
LOGINS = "/root/.docker/config.json"


def parts(
    desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    keys = daemon_keys(desired, known)
    driver = keys["log-driver"]
    for name in keys.get("log-opts", {}):
        if name not in _LOG_OPTIONS.get(driver, (name,)):
            raise Refused(
                f"container_runtime_daemon_config has {name} in log-opts, with which Docker does not start, for its "
                f"log driver is {driver}; take it out, or choose another driver."
            )
    directories, files = certificates(desired["registries"], "/etc/docker/certs.d")
    login_directories, login_files = logins(desired["registries"])
    files.append(
        {
            "path": DAEMON_JSON,
            "json_keys": keys,
            "json_only": {"log-opts": _LOG_OPTIONS[driver]} if driver in _LOG_OPTIONS else {},
            "reload_keys": list(RELOADABLE),
            "units": [UNIT],
            # The packages' units have this flag: what is in the way of it is found before the restart.
            "validate": ["dockerd", "--validate", "-H", "fd://", "--config-file", "{staged}"]
            if desired["source"] == "vendor" or known["validates"]
            else [],
        }
    )
    text = drop_in(desired, _PROXY)
    if text:
        directories.append({"path": _DROP_IN})
        files.append({"path": f"{_DROP_IN}/mlops-hosts.conf", "content": text, "units": [UNIT]})
    files += proxy_files(desired, _PROXY, UNIT)
    return {
        "repositories": _repositories(desired, platform) if desired["source"] == "vendor" else [],
        "packages": _packages(desired, platform, known),
        "directories": [{"path": "/etc/docker"}, *directories, *login_directories],
        "files": [*files, *login_files],
        "units": [{"name": unit, "enabled": True, "state": "started", "drop_ins": "keep"} for unit in (*_NEEDED, UNIT)],
        "ready": [{"unit": UNIT, "command": ["docker", "info"]}],
    }


def daemon_keys(desired: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The keys of daemon.json that the role owns. ``daemon_config`` wins over the role's own."""
    driver = desired["daemon_config"].get("log-driver") or desired["log_driver"] or "json-file"
    keys: dict[str, t.Any] = {"live-restore": desired["live_restore"], "log-driver": driver}
    if driver in _LIMITED:
        keys["log-opts"] = {"max-size": desired["log_max_size"], "max-file": str(desired["log_max_files"])}
    for name in ("registry_mirrors", "insecure_registries", "data_root", "default_address_pools", "default_runtime"):
        if desired[name]:
            keys[name.replace("_", "-")] = desired[name]
    if desired["toolkit"] != "none":
        # A file name, as the toolkits write it themselves: dockerd looks it up.
        path = f"{desired['toolkit']}-container-runtime"
        keys["runtimes"] = {desired["toolkit"]: {"path": path, "args": []}}
        if desired["source"] == "vendor" or known["cdi"]:
            keys["features"] = {"cdi": True}
    return {**keys, **desired["daemon_config"]}


def certificates(registries: t.Sequence[t.Mapping[str, t.Any]], root: str) -> tuple[list[t.Any], list[t.Any]]:
    """Directories and files with which an engine knows the authorities of registries; read anew at each pull."""
    known = [registry for registry in registries if registry.get("ca")]
    if not known:
        return [], []
    directories = [{"path": root}, *({"path": f"{root}/{registry['name']}"} for registry in known)]
    files = [
        {"path": f"{root}/{registry['name']}/ca.crt", "content": _with_newline(registry["ca"]), "on_change": "none"}
        for registry in known
    ]
    return directories, files


def logins(registries: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[list[t.Any], list[t.Any]]:
    """Where root's docker and podman look for credentials, and CRI-O is told to. Other logins in the file are kept."""
    auths = {item["name"]: {"auth": basic(item)} for item in registries if item.get("username")}
    if not auths:
        return [], []
    return [{"path": "/root/.docker", "mode": "0700"}], [
        {
            "path": LOGINS,
            "json_keys": {"auths": auths},
            "mode": "0600",
            "secret": True,
            "on_change": "none",
        }
    ]


def basic(registry: t.Mapping[str, t.Any]) -> str:
    return base64.b64encode(f"{registry['username']}:{registry['password']}".encode()).decode()


def _with_newline(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def drop_in(desired: t.Mapping[str, t.Any], proxy: str) -> str:
    """Of an engine's unit; ``proxy`` is the path of its environment file. Empty where nothing is desired of it."""
    unit = f"[Unit]\nRequiresMountsFor={desired['data_root']}\n" if needs_mount(desired) else ""
    service = f"[Service]\nEnvironmentFile={proxy}\n" if proxy_environment(desired) else ""
    return f"# Ansible managed\n{unit}{service}" if unit or service else ""


def needs_mount(desired: t.Mapping[str, t.Any]) -> bool:
    return bool(desired["data_root"] and desired["data_root_is_mount"])


def proxy_files(desired: t.Mapping[str, t.Any], path: str, unit: str) -> list[dict[str, t.Any]]:
    text = proxy_environment(desired)
    return [{"path": path, "content": text, "mode": "0600", "secret": True, "units": [unit]}] if text else []


def proxy_environment(desired: t.Mapping[str, t.Any]) -> str:
    """Not in the unit: who may ask systemd would read the password."""
    names = {"http_proxy": "HTTP_PROXY", "https_proxy": "HTTPS_PROXY", "no_proxy": "NO_PROXY"}
    return "".join(f'{variable}="{desired[name]}"\n' for name, variable in names.items() if desired[name])


def _packages(
    desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]
) -> list[dict[str, t.Any]]:
    vendor = desired["source"] == "vendor"
    of = platform["docker"] if vendor else known
    version = str(desired["version"])
    if vendor and platform["manager"] == "apt" and re.fullmatch(r"[0-9.]+", version):
        version += "-*"  # of any build: 29.2.0 is 5:29.2.0-1~debian.13~trixie
    packages = [toolkit.pinned(name, version) if name in of["versioned"] else {"name": name} for name in of["packages"]]
    # Files of the distribution lie where those of the vendor belong, and not all of its packages say so. They do not
    # come back when the role goes, for then those of the vendor are still there.
    collides = of["collides"] if vendor else ()
    return [*packages, *({"name": name, "state": "absent", "owned": False} for name in collides)]


def _repositories(desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    docker = platform["docker"]
    uri = f"{(desired['mirror'] or docker['host']).rstrip('/')}/{docker['path']}"
    if platform["manager"] == "dnf":
        uri += f"/{platform['release']}/{platform['architecture']}/stable"
    return [
        {
            "name": "docker",
            "uris": [uri],
            "suites": [platform["release"]],
            "components": ["stable"],
            **toolkit.vendor_key(desired, "repository_", docker, uri),
        }
    ]
