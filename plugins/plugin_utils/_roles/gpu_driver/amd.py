# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What role gpu_driver asks of a host with GPUs of AMD: amdgpu-dkms, and ROCm where it is desired. Pure.

AMD pins by address: each version of driver and of ROCm has a repository of its own.
"""

from __future__ import annotations

import re
import typing as t

from ....module_utils._driver import versions

_DRIVER = re.compile(r"\d+\.\d+(\.\d+)?")
_ARCHITECTURE = re.compile(r"gfx[0-9a-f]{3,4}")
# Before, no package of EL said of which release it is.
_EL_SINCE = (30, 10)
# From ROCm 7.13 on packages are named by version and GPU, from 10 on they have another host.
_BY_GPU_SINCE, _CORE_SINCE = (7, 13), (10, 0)
_HOSTS = {"rocm": "https://repo.radeon.com", "multi": "https://repo.amd.com", "core": "https://stable.repo.amd.com"}
_UDEV = (
    '# Ansible managed\nKERNEL=="kfd", GROUP="render", MODE="0660"\n'
    'SUBSYSTEM=="drm", KERNEL=="renderD*", GROUP="render", MODE="0660"\n'
)


def problems(desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any]) -> list[str]:
    """Why it cannot be, in sentences."""
    found = []
    release = platform["releases"][platform["release"]]
    if seen["architecture"] != "x86_64":
        found.append(f"AMD has no driver packages for the architecture {seen['architecture']} of this host.")
    if desired["source"] != "vendor":
        found.append("AMD's driver comes from AMD, or with the kernel: set gpu_driver_source to vendor.")
    if "amd" not in release:
        found.append(f"AMD has no packages for {platform['name']} {platform['release']}.")
    if not _DRIVER.fullmatch(str(desired["version"])):
        found.append(f"gpu_driver_version must be a version of amdgpu such as 31.50, not {desired['version']!r}.")
    elif platform["manager"] != "apt" and _order(desired["version"]) < _EL_SINCE:
        found.append(f"gpu_driver_version {desired['version']} is too old for {platform['name']}: 30.10 is the first.")
    if not desired["repository_key"] or not desired["repository_fingerprint"]:
        found.append(
            "gpu_driver_repository_key and gpu_driver_repository_fingerprint are not set, and AMD's repositories are "
            f"to be trusted by them; the key is at {_HOSTS['rocm']}/rocm/rocm.gpg.key: check it, and keep it with "
            "the inventory."
        )
    if bool(desired["rocm_repository_key"]) != bool(desired["rocm_repository_fingerprint"]):
        found.append("gpu_driver_rocm_repository_key and gpu_driver_rocm_repository_fingerprint go together: set both.")
    odd = [name for name in desired["rocm_architectures"] if not _ARCHITECTURE.fullmatch(name)]
    if odd:
        found.append(f"gpu_driver_rocm_architectures has {', '.join(odd)}, which is no GPU target such as gfx942.")
    if desired["rocm_version"] and not _DRIVER.fullmatch(str(desired["rocm_version"])):
        found.append(
            f"gpu_driver_rocm_version must be a version such as 10.1 or 7.2.4, not {desired['rocm_version']!r}."
        )
    if desired["rocm_architectures"] and desired["rocm_version"] and _order(desired["rocm_version"]) < _BY_GPU_SINCE:
        found.append(
            f"ROCm {desired['rocm_version']} has one package for all GPUs; leave gpu_driver_rocm_architectures empty."
        )
    return found


def component(
    desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """Options of the module component; see :func:`problems` first."""
    release = platform["releases"][platform["release"]]["amd"]
    headers = [
        {"name": f"linux-headers-{kernel['release']}", "on_change": "none", "before_packages": True}
        for kernel in seen["kernels"]
        if platform["manager"] == "apt"
    ]
    return {
        "repositories": _repositories(desired, platform, release),
        "packages": [
            *headers,
            *({"name": name, "version": pattern, "on_change": "none"} for name, pattern in _driver(desired, platform)),
            *({"name": name, "version": version, "on_change": "none"} for name, version in _rocm(desired)),
        ],
        "directories": [],
        "files": [
            {
                "path": "/etc/udev/rules.d/70-mlops-hosts-amdgpu.rules",
                # udev reads it by itself, before the next device.
                "content": _UDEV,
                "on_change": "none",
            }
        ],
        "units": [],
    }


def headers(platform: t.Mapping[str, t.Any], seen: t.Mapping[str, t.Any]) -> list[str]:
    """Packages with those that are missing, where several versions of one package are installed side by side."""
    if platform["manager"] == "apt":
        return []
    return [f"kernel-devel-{kernel['release']}" for kernel in seen["kernels"] if not kernel["headers"]]


def _driver(desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any]) -> list[tuple[str, str | None]]:
    version = str(desired["version"])
    if platform["manager"] == "apt":
        # It takes no dependency to an older version by itself.
        return [(name, f"[0-9]*.{versions.digits(version)}*") for name in ("amdgpu-dkms", "amdgpu-dkms-firmware")]
    # Of the release only the firmware's version tells; the module is that of the repository.
    return [("amdgpu-dkms", None), ("amdgpu-dkms-firmware", f"{version}.*")]


def _rocm(desired: t.Mapping[str, t.Any]) -> list[tuple[str, str | None]]:
    version = str(desired["rocm_version"])
    if not version:
        return []
    if _order(version) < _BY_GPU_SINCE:
        return [("rocm", f"{version}*")]
    names = [f"amdrocm{version}-{name}" for name in desired["rocm_architectures"]] or [f"amdrocm{version}"]
    return [(name, None) for name in names]


def _repositories(
    desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any], release: t.Mapping[str, str]
) -> list[dict[str, t.Any]]:
    key = (desired["repository_key"], desired["repository_fingerprint"])
    found = [_repository("amdgpu", *_driver_address(str(desired["version"]), platform, release, desired), *key)]
    if desired["rocm_version"]:
        if desired["rocm_repository_key"]:
            key = (desired["rocm_repository_key"], desired["rocm_repository_fingerprint"])
        found.append(
            _repository("rocm", *_rocm_address(str(desired["rocm_version"]), platform, release, desired), *key)
        )
    return found


def _repository(name: str, uri: str, suite: str | None, key: str, fingerprint: str) -> dict[str, t.Any]:
    apt = {"suites": [suite], "components": ["main"]} if suite else {}
    return {"name": name, "uris": [uri], **apt, "key": key, "fingerprint": fingerprint}


def _driver_address(
    version: str, platform: t.Mapping[str, t.Any], release: t.Mapping[str, str], desired: t.Mapping[str, t.Any]
) -> tuple[str, str | None]:
    base = f"{_host('rocm', desired)}/amdgpu/{version}"
    if platform["manager"] == "apt":
        return f"{base}/ubuntu", release["codename"]
    return f"{base}/el/{release['el'] or platform['distribution_version']}/main/x86_64/", None


def _rocm_address(
    version: str, platform: t.Mapping[str, t.Any], release: t.Mapping[str, str], desired: t.Mapping[str, t.Any]
) -> tuple[str, str | None]:
    apt = platform["manager"] == "apt"
    if _order(version) < _BY_GPU_SINCE:
        if apt:
            return f"{_host('rocm', desired)}/rocm/apt/{version}", release["codename"]
        return f"{_host('rocm', desired)}/rocm/el{platform['release']}/{version}/main", None
    kind, path = (
        ("core", "rocm/core/packages") if _order(version) >= _CORE_SINCE else ("multi", "rocm/packages-multi-arch")
    )
    base = f"{_host(kind, desired)}/{path}/{release['directory']}"
    return (base, "stable") if apt else (f"{base}/x86_64/", None)


def _host(kind: str, desired: t.Mapping[str, t.Any]) -> str:
    """AMD's own, or the mirror that has them all."""
    return str(desired["amd_mirror"]).rstrip("/") or _HOSTS[kind]


def _order(version: t.Any) -> tuple[int, ...]:
    return tuple(int(part) for part in str(version).split("."))
