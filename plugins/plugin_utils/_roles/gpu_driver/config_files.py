# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The files that role gpu_driver writes for NVIDIA's driver, as the module component takes them. Pure."""

from __future__ import annotations

import typing as t

from ....module_utils._driver.generations import Flavour

DROP_IN = "/etc/systemd/system/nvidia-persistenced.service.d"
# What apt may move of a driver; the toolkit for containers and CUDA have versions that do not look like a driver's.
_GLOBS = (
    "nvidia-* libnvidia-* libcuda1 libcudadebugger1 firmware-nvidia-gsp xserver-xorg-video-nvidia* libnvcuvid1 "
    "libnvoptix1 libegl-nvidia0 libgl1-nvidia-* libgles-nvidia* libglx-nvidia0 libxnvctrl0 cuda-drivers*"
)
_UNATTENDED = (
    "^nvidia-",
    "^libnvidia-",
    "^libcuda",
    "^libnvcuvid",
    "^libnvoptix",
    "^libnvsdm",
    "^firmware-nvidia-",
    "^linux-modules-nvidia-",
    "^linux-objects-nvidia-",
    "^cuda-drivers",
    "^xserver-xorg-video-nvidia",
)


def no_nouveau(rebuild_initramfs: t.Sequence[str]) -> dict[str, t.Any]:
    """``rebuild_initramfs``: the command that does it; none where there is no initramfs."""
    return {
        "path": "/etc/modprobe.d/mlops-hosts-gpu-driver.conf",
        "content": "# Ansible managed\nblacklist nouveau\nblacklist nova_core\noptions nouveau modeset=0\n",
        "apply_command": list(rebuild_initramfs),
        "on_change": "none",
    }


def preferences(version: str) -> dict[str, t.Any]:
    """Of apt, for a distribution's driver: this version (a pattern), and nothing of NVIDIA's repository."""
    return {
        "path": "/etc/apt/preferences.d/mlops-hosts-gpu-driver",
        "content": (
            "# Ansible managed\n"
            f"Package: {_GLOBS}\nPin: release o=NVIDIA\nPin-Priority: -1\n\n"
            f"Package: {_GLOBS}\nPin: version {version}\nPin-Priority: 1001\n"
        ),
        "on_change": "none",
        "before_packages": True,
    }


def not_unattended(*, prebuilt: bool) -> dict[str, t.Any]:
    """What unattended-upgrades leaves alone. Held back, prebuilt modules would be missing for a kernel that comes; to
    their libraries they are tied."""
    patterns = [each for each in _UNATTENDED if not (prebuilt and each.startswith("^linux-"))]
    lines = "".join(f'  "{pattern}";\n' for pattern in patterns)
    return {
        "path": "/etc/apt/apt.conf.d/52mlops-hosts-gpu-driver",
        "content": f"// Ansible managed\nUnattended-Upgrade::Package-Blacklist {{\n{lines}}};\n",
        "on_change": "none",
    }


def module_stream(branch: int, flavour: Flavour) -> dict[str, t.Any]:
    """Of dnf, where NVIDIA's repository has streams."""
    stream = f"{branch}-{'open' if flavour == 'open' else 'dkms'}"
    return {
        "path": "/etc/dnf/modules.d/nvidia-driver.module",
        "content": f"[nvidia-driver]\nname=nvidia-driver\nprofiles=\nstate=enabled\nstream={stream}\n",
        "on_change": "none",
        "before_packages": True,
    }


def persistence_mode() -> dict[str, t.Any]:
    """For units that start the daemon without it."""
    return {
        "path": f"{DROP_IN}/mlops-hosts.conf",
        "content": (
            "# Ansible managed\n[Service]\nExecStart=\nExecStart=/usr/bin/nvidia-persistenced "
            "--user nvidia-persistenced --persistence-mode --verbose\n"
        ),
        "units": ["nvidia-persistenced.service"],
    }
