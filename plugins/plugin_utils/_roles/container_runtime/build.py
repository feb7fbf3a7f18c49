# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""From the options of role container_runtime to a component, and what a change of it means for a host. Pure."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._container_runtime.paths import CONTAINERD_UNIT, DAEMON_JSON, DOCKER_UNIT, SETTINGS
from ..built import Built, Check, Confirm, Data, Decision, Question
from ..platform import Platform
from . import decide, toolkit
from .engines import containerd, containerd_config, crio, docker, podman
from .refused import Refused

_IMAGE = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")
_ENGINES = {"docker": docker.parts, "podman": podman.parts, "crio": crio.parts}
_UNITS = {"docker": DOCKER_UNIT, "containerd": CONTAINERD_UNIT, "crio": crio.UNIT}
_ONLY_FOR = {
    "daemon_config": ("docker",),
    "default_address_pools": ("docker",),
    "default_runtime": ("docker", "crio"),
    "docker_users": ("docker",),
}
_KINDS = ("repositories", "packages", "directories", "files", "absent_paths", "units", "ready")
_INFO = "mlops.hosts.container_runtime_info"
_ALWAYS: Data = {"name": "container_runtime", "settle_s": 2, "lock_timeout_s": 600}
# A change of these can change what is right here.
AFTER = ("gpu_driver", "gpu_settings")


def facts(options: Data) -> tuple[str, ...]:
    if options["provider"] == "none" or options["state"] == "absent":
        return ()
    return ("distribution", "distribution_release", "os_family", "architecture")


def asks(options: Data) -> Question | None:
    """The role's file of containerd repeats what others set."""
    if options["provider"] != "containerd" or options["state"] == "absent":
        return None
    return Question(_INFO, {"provider": "containerd"})


def build(options: Data, platform: Platform, answer: Data | None = None) -> Built:
    """``answer``: of ``asks``, None where nothing was asked."""
    provider = options["provider"]
    if provider == "none":
        return Built()
    if options["state"] == "absent":
        return Built(
            component={**_ALWAYS, "state": "absent"},
            question=Question(_INFO, {"provider": provider}),
            decide=lambda seen, compared, _dry_run: _decide_absent(options, compared, seen),
        )
    configuration = (answer or {}).get("configuration") or {}
    found = component(options, known(platform), lambda built_in: containerd_config.read(configuration, built_in))
    if isinstance(found, tuple):
        return Built(problems=found)
    settings = next((file["content"] for file in found["files"] if file["path"] == SETTINGS), None)
    mounts = [options["data_root"]] if options["data_root"] and options["data_root_is_mount"] else []
    arguments = {"provider": provider, "mounts": mounts, **({"containerd_settings": settings} if settings else {})}
    return Built(
        component={**_ALWAYS, "state": "present", **found},
        question=Question(_INFO, arguments),
        decide=lambda seen, compared, _dry_run: _decide(options, found, compared, seen),
        confirm=_confirm(options, found, settings),
        checks=tuple(_checks(options)),
        rest=lambda _changed, _dry_run: _rest(options),
    )


def known(platform: Platform) -> dict[str, t.Any]:
    """What the role knows of the platform, as engines read it."""
    vendors, of = platform.known["vendors"], {"manager": "apt", "releases": {}, **platform.known.get("platform", {})}
    path = of.get("docker_paths", {}).get(platform.distribution, of.get("docker_path", ""))
    dnf = of["manager"] == "dnf"
    return {
        **vendors,
        **of,
        "distribution": platform.distribution,
        "release": platform.distribution_major_version if dnf else platform.distribution_release,
        "architecture": platform.architecture,
        "docker": {
            **vendors["docker"],
            "path": path,
            "fingerprint": of.get("docker_fingerprint", vendors["docker"]["fingerprint"]),
            "key_url": f"{vendors['docker']['host']}/{path}/gpg",
        },
    }


def component(
    options: Data, platform: Data, site: t.Callable[[containerd.Tree], containerd.Site]
) -> dict[str, t.Any] | tuple[str, ...]:
    """Options of the module component, or sentences about what is wrong.

    ``platform``: of ``known``. ``site`` makes of what is known of the distribution's containerd what the host's runs
    with.
    """
    if problems := tuple(_problems(options)):
        return problems
    found: dict[str, list[t.Any]] = {kind: [] for kind in _KINDS}
    try:
        packaged = _packaged(options, platform)
        if options["provider"] == "containerd":
            engine = containerd.parts(options, platform, packaged, site(packaged))
        else:
            engine = _ENGINES[options["provider"]](options, platform, packaged)
        for part in (toolkit.parts(options, platform), engine):
            for kind in _KINDS:
                found[kind] += part.get(kind, [])
    except Refused as refused:
        return (str(refused),)
    if platform["manager"] == "dnf" and any(item.get("hold") for item in found["packages"]):
        found["packages"].append({"name": "python3-dnf-plugin-versionlock", "on_change": "none"})
    return found


def _decide(options: Data, desired: Data, compared: Data, seen: Data) -> Decision:
    unit = _UNITS.get(options["provider"])
    files = {file["path"]: file for file in desired["files"]}
    conflicts = decide.conflicts(list(files.get(DAEMON_JSON, {}).get("json_keys", ())), seen)
    if SETTINGS in files:
        conflicts += containerd_config.lost(seen["configuration"], files[SETTINGS]["content"])
    stops = unit in compared["stopped"]
    waits = ""
    if stops or unit in compared["restarted"]:
        waits = decide.pending(seen, consent=options["restart"], stops=stops)
    pending = ({"what": str(unit), "why": waits, "ends_with": "restart"},) if waits else ()
    return Decision(tuple(conflicts), pending)


def _decide_absent(options: Data, compared: Data, seen: Data) -> Decision:
    """It is not removed under containers that run."""
    stops = _UNITS.get(options["provider"]) in compared["stopped"]
    # Never is about restarts, and state absent asks for this stop.
    consent = "when_needed" if options["restart"] == "when_needed" else "when_idle"
    waits = decide.pending(seen, consent=consent, stops=True) if stops else ""
    return Decision((waits,) if waits else ())


def _confirm(options: Data, desired: Data, settings: str | None) -> Confirm | None:
    """After a change the engine itself says whether it has taken its configuration."""
    provider = options["provider"]
    if provider == "docker":
        keys = next(file["json_keys"] for file in desired["files"] if file["path"] == DAEMON_JSON)
        return Confirm(Question(_INFO, {"provider": provider}), lambda seen: _docker_lost(keys, seen))
    if provider == "containerd":
        return Confirm(Question(_INFO, {"provider": provider}), lambda seen: _containerd_lost(settings, seen))
    if provider == "crio":
        # No module asks it.
        ours = next(file["content"] for file in desired["files"] if file["path"] == crio.SETTINGS)
        argv = ["crio", "status", "config"]
        return Confirm(
            Question("ansible.builtin.command", {"argv": argv}), lambda said: crio.lost(ours, said["stdout"])
        )
    return None


def _docker_lost(keys: Data, seen: Data) -> list[str]:
    if seen["active"] and seen["version"] is not None and seen["live_restore"] == keys["live-restore"]:
        return []
    shown = {name: seen[name] for name in ("active", "version", "live_restore")}
    return [f"Docker does not run as it should, with live-restore {keys['live-restore']}: {shown}."]


def _containerd_lost(settings: str | None, seen: Data) -> list[str]:
    configuration = seen["configuration"]
    found = [] if settings is None else containerd_config.lost(configuration, settings)
    if not found and configuration["cri"] not in ("ok", None):
        found = [f"The plugin for Kubernetes (CRI) is {configuration['cri']}."]
    return found


def _checks(options: Data) -> t.Iterator[Check]:
    """What is not part of the engine."""
    provider = options["provider"]
    if options["toolkit"] != "none":
        yield Check(Question("mlops.hosts.cdi_info", {"vendor": options["toolkit"]}), _cdi_drift)
    if options["docker_users"]:
        yield Check(
            Question(_INFO, {"provider": provider}),
            lambda seen: [
                _row("user", user, "groups", "docker", None)
                for user in options["docker_users"]
                if user not in (seen["docker_group"] or ())
            ],
        )
    if options["images"]:
        yield Check(
            Question("mlops.hosts.container_image", {"images": options["images"], "provider": provider}),
            lambda answer: [_row("image", image, "state", "present", "absent") for image in answer["pulled"]],
        )


def _cdi_drift(answer: Data) -> list[Data]:
    """What the role's tasks have a sentence for, too: containers that hold on to what the host no longer has."""
    told = [*answer["reasons"], *(f"container {one['name']}" for one in answer["containers_to_recreate"])]
    if answer["verdict"] in ("fresh", "not_needed") and not told:
        return []
    return [_row("cdi", "specification", "verdict", "fresh", f"{answer['verdict']}: {' '.join(told)}")]


def _row(kind: str, item: str, attribute: str, want: t.Any, have: t.Any) -> Data:
    return {"kind": kind, "item": item, "attribute": attribute, "want": want, "have": have}


def _rest(options: Data) -> dict[str, t.Any] | None:
    names = ("provider", "toolkit", "docker_users", "images")
    desired = options["toolkit"] != "none" or options["docker_users"] or options["images"]
    return {name: options[name] for name in names} if desired else None


def _packaged(options: Data, platform: Data) -> Data:
    """What is known of the distribution's own packages of the engine."""
    provider = options["provider"]
    if platform["release"] not in platform["releases"]:
        releases = ", ".join(platform["releases"]) or "Debian, Ubuntu and Enterprise Linux"
        raise Refused(
            f"container_runtime knows {releases}, and this host is {platform['distribution']} {platform['release']}; "
            "take it out of the play."
        )
    found: Data | None = platform["releases"][platform["release"]].get(provider)
    if found is None and platform["manager"] == "dnf" and (provider, options["source"]) != ("docker", "vendor"):
        raise Refused(
            f"{platform['name']} {platform['release']} has no {provider}; set container_runtime_provider to podman, or "
            "to docker with container_runtime_source vendor."
        )
    return found or {}


def _problems(options: Data) -> t.Iterator[str]:
    for image in options["images"]:
        if not _IMAGE.fullmatch(image):
            yield (
                f"container_runtime_images has {image!r}, which can be another image tomorrow; "
                "name it by digest, as registry/name@sha256:..."
            )
    insecure = [*options["insecure_registries"], *(url for url in options["registry_mirrors"] if url[:7] == "http://")]
    if insecure and not options["insecure_registries_allowed"]:
        yield (
            f"{', '.join(insecure)} would be talked to without a certificate that is checked, so that anybody on the "
            "way can change images; give its CA in container_runtime_registries, or set "
            "container_runtime_insecure_registries_allowed if that is meant."
        )
    for url in options["registry_mirrors"]:
        if not re.match(r"https?://", url):
            yield f"container_runtime_registry_mirrors must be URLs such as https://{url}, not {url!r}."
    for registry in options["registries"]:
        name = registry["name"]
        if not _REGISTRY.fullmatch(name):
            yield f"names in container_runtime_registries must be hosts such as r.example.org:5000, not {name!r}."
        if bool(registry.get("username")) != bool(registry.get("password")):
            yield f"registry {name} in container_runtime_registries needs username and password, or neither of them."
        if registry.get("ca") and "-----BEGIN CERTIFICATE-----" not in registry["ca"]:
            yield f"the ca of registry {name} in container_runtime_registries is no certificate in PEM."
    if options["quadlets"] and options["provider"] != "podman":
        yield (
            "container_runtime_quadlets are units of podman, and container_runtime_provider is "
            f"{options['provider']}; set it to podman."
        )
    if options["data_root"] and not options["data_root"].startswith("/"):
        yield f"container_runtime_data_root must be an absolute path, not {options['data_root']!r}."
    for name, providers in _ONLY_FOR.items():
        if options[name] and options["provider"] not in providers:
            yield (
                f"container_runtime_{name} is for {' and '.join(providers)}, and container_runtime_provider is "
                f"{options['provider']}."
            )
