# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""containerd as component data. Its config.toml stays as it is: ours imports it, and has the last word.

containerd 1.x takes the settings of a plugin whole from the last file that has some, and with any runtime of one's own
its built-in ones are gone. So ours repeats what the host's other files set for Kubernetes (``site``); from 2.0 on the
files are merged key by key, and ours has only its own. docs/containerd.md has the measurements.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .....module_utils._container_runtime.paths import CERTS, CONF, CONFIG, MAIN, OURS, chain
from .....module_utils._container_runtime.paths import CONTAINERD_UNIT as UNIT
from .. import toolkit
from ..refused import Refused
from . import docker, toml_text

CRI = "io.containerd.grpc.v1.cri"
_DROP_IN = f"/etc/systemd/system/{UNIT}.d"
_PROXY = f"{OURS}/proxy.env"
_RUNC = "io.containerd.runc.v2"
_CDI_DIRS = ("/etc/cdi", "/var/run/cdi")
# The list does not say why a plugin is not ok, its details do.
_CRI_IS_OK = """\
ctr plugins ls id==cri | grep -q ' ok *$' && exit 0
echo "the plugin for Kubernetes (CRI) is not ok:" $(ctr plugins ls --detailed id==cri | grep -A3 '^Error') >&2
exit 1"""

Tree = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Site:
    """What the host's containerd runs with without the role. Trees of settings have the names of version 2.

    ``cri``: settings for Kubernetes, without those that are empty; ``repeated``: the part of them that containerd would
    lose to a file of ours; ``cri_enabled``, ``knows_cdi``: whether there is such a plugin, and whether it has CDI.
    ``places`` tells of a setting's path where it is, as "file, line 3"; ``problems`` are sentences.
    """

    cri: Tree
    repeated: Tree
    cri_enabled: bool = True
    knows_cdi: bool = True
    problems: tuple[str, ...] = ()
    place: t.Callable[[tuple[str, ...]], str] = lambda path: CONFIG


def parts(desired: Tree, platform: Tree, known: Tree, site: Site) -> dict[str, t.Any]:
    if desired["source"] == "vendor":
        raise Refused(
            "containerd comes from the distribution here; set container_runtime_source to distribution, or use docker."
        )
    ours = own_settings(desired, site)
    _refuse(ours, site)
    hosts = list(_hosts(desired))
    ca_directories, ca_files = docker.certificates(desired["registries"], CERTS)
    paths = [item["path"] for item in ca_directories]
    for name, _text, _private in hosts:
        paths += [CERTS, f"{CERTS}/{name}"]
    mount = f"[Unit]\nRequiresMountsFor={desired['data_root']}\n" if docker.needs_mount(desired) else ""
    drop_in = f"# Ansible managed\n{mount}[Service]\nExecStart=\nExecStart=/usr/bin/containerd --config {MAIN}\n" + (
        f"EnvironmentFile={_PROXY}\n" if docker.proxy_environment(desired) else ""
    )
    version = str(desired["version"])
    settings = merged({"plugins": {CRI: site.repeated}} if "plugins" in ours else {}, ours)
    # Passwords of registries, in what others wrote.
    secret = bool(site.repeated.get("registry", {}).get("configs"))
    texts = chain(OURS, toml_text.render({"version": 2, **settings}))
    files: list[dict[str, t.Any]] = [
        {"path": f"{OURS}/{name}", "content": text, "units": [UNIT]} for name, text in texts.items()
    ]
    files[-1].update(validate=["containerd", "--config", "{staged}", "config", "dump"])
    if secret:
        files[-1].update(mode="0600", secret=True)
    return {
        "packages": [toolkit.pinned(name, version if name == "containerd" else "") for name in known["packages"]],
        "directories": [{"path": path} for path in dict.fromkeys([CONF, OURS, *paths, _DROP_IN])],
        "files": [
            *files,
            {"path": f"{_DROP_IN}/mlops-hosts.conf", "content": drop_in, "units": [UNIT]},
            *docker.proxy_files(desired, _PROXY, UNIT),
            *ca_files,
            *(
                {
                    "path": f"{CERTS}/{name}/hosts.toml",
                    "content": f"# Ansible managed\n{text}",
                    "mode": "0600" if private else "0644",
                    "secret": private,
                    "on_change": "none",
                }
                for name, text, private in hosts
            ),
        ],
        "units": [{"name": UNIT, "enabled": True, "state": "started", "drop_ins": "keep"}],
        "ready": list(_ready(merged(site.cri, settings.get("plugins", {}).get(CRI, {})), site)),
    }


def own_settings(desired: Tree, site: Site) -> dict[str, t.Any]:
    """What the role itself sets, made to fit what the site has."""
    cri: dict[str, t.Any] = {}
    if desired["toolkit"] != "none":
        name = desired["toolkit"]
        if site.knows_cdi:
            directories = site.cri.get("cdi_spec_dirs", [])
            cri["enable_cdi"] = True
            cri["cdi_spec_dirs"] = [*directories, *(path for path in _CDI_DIRS if path not in directories)]
        cri["containerd"] = {"runtimes": {name: _toolkit_runtime(name, site)}}
    if desired["registries"] or desired["registry_mirrors"] or desired["insecure_registries"]:
        places = [path for path in site.cri.get("registry", {}).get("config_path", "").split(":") if path]
        cri["registry"] = {"config_path": ":".join(places if CERTS in places else [CERTS, *places])}
    root = {"root": desired["data_root"]} if desired["data_root"] else {}
    return {**root, **({"plugins": {CRI: cri}} if cri else {})}


def _toolkit_runtime(name: str, site: Site) -> dict[str, t.Any]:
    """As the default one, cgroups by systemd among it, but with the toolkit's program."""
    settings = site.cri.get("containerd", {})
    runtimes = settings.get("runtimes", {})
    like = runtimes.get(settings.get("default_runtime_name", "runc"), {})
    if like.get("runtime_type") != _RUNC:
        like = runtimes.get("runc", {})
    program = {"runtime_type": _RUNC, "options": {"BinaryName": f"/usr/bin/{name}-container-runtime"}}
    return merged(merged(like, runtimes.get(name, {})), program)


def merged(below: Tree, above: Tree) -> dict[str, t.Any]:
    """Both trees in one; the second has the last word."""
    result = dict(below)
    for name, value in above.items():
        both = isinstance(value, t.Mapping) and isinstance(result.get(name), t.Mapping)
        result[name] = merged(result[name], value) if both else value
    return result


def _refuse(ours: Tree, site: Site) -> None:
    """What conflicts with what the site has."""
    problems = list(site.problems)
    cri = ours.get("plugins", {}).get(CRI, {})
    if cri and not site.cri_enabled:
        problems.append(
            f"{site.place(('disabled_plugins',))} has cri in disabled_plugins, and the toolkit, registries and mirrors "
            "are settings of that plugin: take it out there, or set container_runtime_toolkit to none and leave "
            "registries and mirrors empty. Nothing was changed."
        )
    registry = site.cri.get("registry", {}) if "registry" in cri else {}
    for path in _not_with_hosts(registry):
        problems.append(
            f"{site.place(('plugins', CRI, 'registry', *path))} has registry.{'.'.join(path)}, with which containerd "
            f"has no CRI as soon as registries are described in {CERTS}: take it out there, and name the registry in "
            "container_runtime_registries or container_runtime_registry_mirrors. Nothing was changed."
        )
    if problems:
        raise Refused(" ".join(problems))


def _not_with_hosts(registry: Tree) -> t.Iterator[tuple[str, ...]]:
    for name in registry.get("mirrors", {}):
        yield "mirrors", name
    for name, config in registry.get("configs", {}).items():
        if "tls" in config:
            yield "configs", name, "tls"


def _ready(cri: Tree, site: Site) -> t.Iterator[dict[str, t.Any]]:
    """What users need: an answer, Kubernetes' plugin, and a default runtime that runs."""
    yield {"unit": UNIT, "command": ["ctr", "version"]}
    if not site.cri_enabled:
        return
    yield {"unit": UNIT, "command": ["sh", "-c", _CRI_IS_OK], "timeout_s": 20}
    settings = cri.get("containerd", {})
    runtime = settings.get("runtimes", {}).get(settings.get("default_runtime_name", "runc"), {})
    if runtime.get("runtime_type", _RUNC) == _RUNC:
        program = runtime.get("options", {}).get("BinaryName") or "runc"
        yield {"unit": UNIT, "command": [program, "--version"], "timeout_s": 20}


def _hosts(desired: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str, bool]]:
    """For each registry its name, its hosts.toml, and whether a password is in that."""
    if desired["registry_mirrors"]:
        mirrors = "".join(
            f'[host."{url}"]\ncapabilities = ["pull", "resolve"]\n{_of(url.split("://")[1], desired)}'
            for url in desired["registry_mirrors"]
        )
        yield "docker.io", f'server = "https://registry-1.docker.io"\n{mirrors}', "Authorization" in mirrors
    for registry in desired["registries"]:
        url = f"https://{registry['name']}"
        ours = _of(registry["name"], desired)
        yield registry["name"], f'server = "{url}"\n[host."{url}"]\n{ours}', "Authorization" in ours
    for name in desired["insecure_registries"]:
        yield name, f'server = "http://{name}"\n[host."http://{name}"]\nskip_verify = true\n', False


def _of(name: str, desired: t.Mapping[str, t.Any]) -> str:
    registry: t.Mapping[str, t.Any] = next(
        (item for item in desired["registries"] if item["name"] == name.rstrip("/")), {}
    )
    text = f'ca = "{CERTS}/{registry["name"]}/ca.crt"\n' if registry.get("ca") else ""
    if registry.get("username"):
        text += f'[host."https://{registry["name"]}".header]\nAuthorization = "Basic {docker.basic(registry)}"\n'
    return text
