# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What role container_runtime asks of a host: from its variables to a component. Pure."""

from __future__ import annotations

import re
import typing as t

from . import containerd, crio, docker, podman, toolkit
from .refused import Refused

_IMAGE = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")
_PROVIDERS = {"docker": docker.parts, "podman": podman.parts, "crio": crio.parts}
_UNITS = {"docker": docker.UNIT, "containerd": containerd.UNIT, "crio": crio.UNIT}
_ONLY_FOR = {
    "daemon_config": ("docker",),
    "default_address_pools": ("docker",),
    "default_runtime": ("docker", "crio"),
    "users": ("docker",),
}
_KINDS = ("repositories", "packages", "directories", "files", "absent_paths", "units", "ready")


def request(
    wanted: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], site: t.Callable[[containerd.Tree], containerd.Site]
) -> dict[str, t.Any]:
    """Returns ``problems`` (sentences), ``unit`` (of the engine, None without one) and ``component`` (options of the
    module component). With a problem the component is empty.

    ``wanted``: the role's variables without their prefix. ``platform``: what the role knows of the distribution, the
    ``release`` and ``architecture`` of the host among it. ``site`` makes of what is known of the distribution's
    containerd what the host's runs with.
    """
    component: dict[str, list[t.Any]] = {kind: [] for kind in _KINDS}
    problems = list(_problems(wanted))
    if not problems:
        try:
            known = _known(wanted, platform)
            if wanted["provider"] == "containerd":
                engine = containerd.parts(wanted, platform, known, site(known))
            else:
                engine = _PROVIDERS[wanted["provider"]](wanted, platform, known)
            for part in (toolkit.parts(wanted, platform), engine):
                for kind in _KINDS:
                    component[kind] += part.get(kind, [])
            if platform["manager"] == "dnf" and any(item.get("hold") for item in component["packages"]):
                component["packages"].append({"name": "python3-dnf-plugin-versionlock", "on_change": "none"})
        except Refused as refused:
            problems = [str(refused)]
            component = {kind: [] for kind in _KINDS}
    return {"problems": problems, "unit": _UNITS.get(wanted["provider"]), "component": component}


def _known(wanted: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """What is known of the distribution's own packages of the engine."""
    provider = wanted["provider"]
    if platform["release"] not in platform["releases"]:
        raise Refused(
            f"No {provider} is known for {platform['name']} {platform['release']}; take the host out of the play."
        )
    known: t.Mapping[str, t.Any] | None = platform["releases"][platform["release"]].get(provider)
    if known is None and platform["manager"] == "dnf" and (provider, wanted["source"]) != ("docker", "vendor"):
        raise Refused(
            f"{platform['name']} {platform['release']} has no {provider}; set container_runtime_provider to podman, or "
            "to docker with container_runtime_source vendor."
        )
    return known or {}


def _problems(wanted: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for image in wanted["images"]:
        if not _IMAGE.fullmatch(image):
            yield (
                f"container_runtime_images has {image!r}, which can be another image tomorrow; "
                "name it by digest, as registry/name@sha256:..."
            )
    insecure = [*wanted["insecure_registries"], *(url for url in wanted["registry_mirrors"] if url[:7] == "http://")]
    if insecure and not wanted["insecure_registries_allowed"]:
        yield (
            f"{', '.join(insecure)} would be talked to without a certificate that is checked, so that anybody on the "
            "way can change images; give its CA in container_runtime_registries, or set "
            "container_runtime_insecure_registries_allowed if that is meant."
        )
    for url in wanted["registry_mirrors"]:
        if not re.match(r"https?://", url):
            yield f"container_runtime_registry_mirrors has {url!r}, and a URL such as https://{url} is wanted."
    for registry in wanted["registries"]:
        name = registry["name"]
        if not _REGISTRY.fullmatch(name):
            yield f"container_runtime_registries has {name!r}, and a host, such as r.example.org:5000, is wanted."
        if bool(registry.get("username")) != bool(registry.get("password")):
            yield f"registry {name} in container_runtime_registries needs username and password, or neither of them."
        if registry.get("ca") and "-----BEGIN CERTIFICATE-----" not in registry["ca"]:
            yield f"the ca of registry {name} in container_runtime_registries is no certificate in PEM."
    if wanted["quadlets"] and wanted["provider"] != "podman":
        yield (
            "container_runtime_quadlets are units of podman, and container_runtime_provider is "
            f"{wanted['provider']}; set it to podman."
        )
    if wanted["data_root"] and not wanted["data_root"].startswith("/"):
        yield f"container_runtime_data_root is {wanted['data_root']!r}, and an absolute path is wanted."
    for name, providers in _ONLY_FOR.items():
        if wanted[name] and wanted["provider"] not in providers:
            shown = f"container_runtime_{'docker_users' if name == 'users' else name}"
            yield f"{shown} is for {' and '.join(providers)}, and container_runtime_provider is {wanted['provider']}."
