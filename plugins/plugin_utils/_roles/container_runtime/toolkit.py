# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The container toolkits of NVIDIA and AMD: packages of one version, their repository, their pin."""

from __future__ import annotations

import typing as t

from .refused import Refused

NVIDIA_PACKAGES = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Specifications that were written by hand before the unit was there: it would offer each device a second time.
_OLD_SPECS = ("/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia.json")


def parts(desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the toolkit adds to the component of any provider."""
    if desired["toolkit"] == "nvidia":
        return _nvidia(desired, platform)
    if desired["toolkit"] == "amd":
        return _amd(desired, platform)
    return {}


def vendor_key(desired: t.Mapping[str, t.Any], prefix: str, known: t.Mapping[str, t.Any], uri: str) -> dict[str, str]:
    """Key and fingerprint of a vendor's repository; ``prefix`` is that of the variables, with its underscore."""
    key = desired[f"{prefix}key"]
    fingerprint = desired[f"{prefix}fingerprint"] or known.get("fingerprint", "")
    if not key or not fingerprint:
        missing = "key" if not key else "fingerprint"
        raise Refused(
            f"container_runtime_{prefix}{missing} is not set, and the repository {uri} is to be trusted by it; its key "
            f"is at {known['key_url']}: check it, and keep it with the inventory."
        )
    return {"key": key, "fingerprint": fingerprint}


def pinned(name: str, version: str, **more: t.Any) -> dict[str, t.Any]:
    """A package that no upgrade of all packages moves away from the version, where one is asked for."""
    return {"name": name, **({"version": version, "hold": True} if version else {}), **more}


def architecture(platform: t.Mapping[str, t.Any], of: str) -> str:
    found = _ARCHITECTURES.get(platform["architecture"])
    if found is None:
        raise Refused(f"{of} has no packages for the architecture {platform['architecture']} of this host.")
    return found


def _nvidia(desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    version = str(desired["toolkit_version"] or platform["toolkits"]["nvidia"]["version"])
    known = platform["toolkits"]["nvidia"]
    base = f"{(desired['mirror'] or known['host']).rstrip('/')}/libnvidia-container/stable"
    machine = architecture(platform, "The toolkit of NVIDIA")
    apt = platform["manager"] == "apt"
    uri = f"{base}/deb/{machine}/" if apt else f"{base}/rpm/{platform['architecture']}"
    return {
        "repositories": [
            {
                "name": "nvidia-container-toolkit",
                "uris": [uri],
                "suites": ["/"],
                "gpg_check": "metadata",
                **vendor_key(desired, "toolkit_", known, uri),
            }
        ],
        "packages": [
            {"name": name, "version": f"{version}-*", "on_change": "none"}
            if apt
            else pinned(name, version, on_change="none")
            for name in NVIDIA_PACKAGES
        ],
        "files": [
            {
                # NVIDIA's CUDA repository has these packages, too.
                "path": "/etc/apt/preferences.d/mlops-hosts-container-toolkit",
                "content": (
                    f"# Ansible managed\nPackage: {' '.join(NVIDIA_PACKAGES)}\n"
                    f"Pin: version {version}-*\nPin-Priority: 1001\n"
                ),
                "on_change": "none",
                "before_packages": True,
            }
        ]
        if apt
        else [],
        "absent_paths": list(_OLD_SPECS),
        "units": [
            {"name": "nvidia-cdi-refresh.path", "enabled": True, "state": "started", "drop_ins": "keep"},
            {"name": "nvidia-cdi-refresh.service", "enabled": True, "state": "unmanaged", "drop_ins": "keep"},
        ],
    }


def _amd(desired: t.Mapping[str, t.Any], platform: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    known = platform["toolkits"]["amd"]
    if platform["architecture"] != "x86_64":
        raise Refused(
            f"The toolkit of AMD has no packages for the architecture {platform['architecture']} of this host."
        )
    release = platform["releases"][platform["release"]]
    codename, directory = release.get("amd_codename"), release.get("amd_directory")
    if not codename and not directory:
        raise Refused(
            f"AMD has no container toolkit for {platform['name']} {platform['release']}; set container_runtime_toolkit "
            "to none, and give containers /dev/kfd and /dev/dri."
        )
    uri = f"{(desired['mirror'] or known['host']).rstrip('/')}/amd-container-toolkit/"
    uri += "apt/" if codename else f"{directory}/main/"
    version = str(desired["toolkit_version"] or known["version"])
    return {
        "repositories": [
            {
                "name": "amd-container-toolkit",
                "uris": [uri],
                "suites": [codename] if codename else [],
                "components": ["main"],
                **vendor_key(desired, "toolkit_", known, uri),
            }
        ],
        "packages": [pinned("amd-container-toolkit", f"{version}*" if codename else version, on_change="none")],
    }
