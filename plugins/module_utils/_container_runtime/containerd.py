# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""containerd as component data. Its config.toml stays as it is: ours imports it, and has the last word.

Up to 1.7, containerd takes the settings of a plugin whole from the last file that has some. Where ours has some for
Kubernetes (CRI), those of config.toml would be lost: own_settings finds them, and the change is refused.
"""

from __future__ import annotations

import re
import typing as t

from . import docker, toolkit
from .refused import Refused

UNIT = "containerd.service"
_CONF = "/etc/containerd"
_OURS = f"{_CONF}/mlops-hosts"
_CERTS = f"{_CONF}/certs.d"
_DROP_IN = f"/etc/systemd/system/{UNIT}.d"
CRI = 'plugins."io.containerd.grpc.v1.cri"'
_PROXY = f"{_OURS}/proxy.env"
_PACKAGED = (("bin_dir", '"/usr/lib/cni"'), ("conf_dir", '"/etc/cni/net.d"'))
CONFIG = f"{_CONF}/config.toml"
SETTINGS = f"{_OURS}/settings.toml"


def parts(
    wanted: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    if wanted["source"] == "vendor":
        raise Refused(
            "containerd comes from the distribution here; set container_runtime_source to distribution, or use docker."
        )
    cri = _cri(wanted)
    if cri and not known["cri"]:
        raise Refused(
            f"The containerd of {platform['name']} {platform['release']} would lose what its package sets for "
            "Kubernetes in /etc/containerd/config.toml to settings of the toolkit, registries or mirrors; use a later "
            "release, or set them there by hand."
        )
    hosts = list(_hosts(wanted))
    ca_directories, ca_files = docker.certificates(wanted["registries"], _CERTS)
    paths = [item["path"] for item in ca_directories]
    for name, _text, _secret in hosts:
        paths += [_CERTS, f"{_CERTS}/{name}"]
    mount = f"[Unit]\nRequiresMountsFor={wanted['data_root']}\n" if docker.needs_mount(wanted) else ""
    drop_in = (
        f"# Ansible managed\n{mount}[Service]\n"
        f"ExecStart=\nExecStart=/usr/bin/containerd --config {_OURS}/config.toml\n"
        + (f"EnvironmentFile={_PROXY}\n" if docker.proxy_environment(wanted) else "")
    )
    version = str(wanted["version"])
    return {
        "packages": [toolkit.pinned(name, version if name == "containerd" else "") for name in known["packages"]],
        "directories": [{"path": path} for path in dict.fromkeys([_CONF, _OURS, *paths, _DROP_IN])],
        "files": [
            {
                "path": f"{_OURS}/settings.toml",
                "content": _settings(wanted, cri),
                "validate": ["containerd", "--config", "{staged}", "config", "dump"],
                "units": [UNIT],
            },
            {
                "path": f"{_OURS}/config.toml",
                "content": (
                    f'# Ansible managed\nversion = 2\nimports = ["{_CONF}/config.toml", "{_OURS}/settings.toml"]\n'
                ),
                "units": [UNIT],
            },
            {"path": f"{_DROP_IN}/mlops-hosts.conf", "content": drop_in, "units": [UNIT]},
            *docker.proxy_files(wanted, _PROXY, UNIT),
            *ca_files,
            *(
                {
                    "path": f"{_CERTS}/{name}/hosts.toml",
                    "content": f"# Ansible managed\n{text}",
                    "mode": "0600" if secret else "0644",
                    "secret": secret,
                    "on_change": "none",
                }
                for name, text, secret in hosts
            ),
        ],
        "units": [{"name": UNIT, "enabled": True, "state": "started", "drop_ins": "keep"}],
        "ready": [{"unit": UNIT, "command": ["ctr", "version"]}],
    }


def own_settings(text: str) -> list[str]:
    """What a config.toml sets for Kubernetes, beyond what Debian's package does, which is built in as well."""
    found, table = [], ""
    for line in text.splitlines():
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        setting = re.match(r"\s*([\w-]+)\s*=\s*(.*?)\s*$", line)
        if header:
            table = header.group(1).strip()
        elif setting and table.startswith(CRI) and setting.groups() not in _PACKAGED:
            found.append(f"{table}.{setting.group(1)}")
    return found


def _settings(wanted: t.Mapping[str, t.Any], cri: str) -> str:
    root = f'root = "{wanted["data_root"]}"\n' if wanted["data_root"] else ""
    return f"# Ansible managed\nversion = 2\n{root}{cri}"


def _cri(wanted: t.Mapping[str, t.Any]) -> str:
    text = ""
    if wanted["toolkit"] != "none":
        name = wanted["toolkit"]
        text += (
            f"[{CRI}]\nenable_cdi = true\n"
            f'cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]\n'
            f'[{CRI}.containerd.runtimes.{name}]\nruntime_type = "io.containerd.runc.v2"\n'
            f'[{CRI}.containerd.runtimes.{name}.options]\nBinaryName = "/usr/bin/{name}-container-runtime"\n'
        )
    if wanted["registries"] or wanted["registry_mirrors"] or wanted["insecure_registries"]:
        text += f'[{CRI}.registry]\nconfig_path = "{_CERTS}"\n'
    return text


def _hosts(wanted: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str, bool]]:
    """For each registry its name, its hosts.toml, and whether a password is in that."""
    if wanted["registry_mirrors"]:
        mirrors = "".join(
            f'[host."{url}"]\ncapabilities = ["pull", "resolve"]\n{_of(url.split("://")[1], wanted)}'
            for url in wanted["registry_mirrors"]
        )
        yield "docker.io", f'server = "https://registry-1.docker.io"\n{mirrors}', "Authorization" in mirrors
    for registry in wanted["registries"]:
        url = f"https://{registry['name']}"
        ours = _of(registry["name"], wanted)
        yield registry["name"], f'server = "{url}"\n[host."{url}"]\n{ours}', "Authorization" in ours
    for name in wanted["insecure_registries"]:
        yield name, f'server = "http://{name}"\n[host."http://{name}"]\nskip_verify = true\n', False


def _of(name: str, wanted: t.Mapping[str, t.Any]) -> str:
    registry: t.Mapping[str, t.Any] = next(
        (item for item in wanted["registries"] if item["name"] == name.rstrip("/")), {}
    )
    text = f'ca = "{_CERTS}/{registry["name"]}/ca.crt"\n' if registry.get("ca") else ""
    if registry.get("username"):
        text += f'[host."https://{registry["name"]}".header]\nAuthorization = "Basic {docker.basic(registry)}"\n'
    return text
