# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the modules ``container_runtime_info`` and ``container_image``."""

from __future__ import annotations

from .images import PULL_TIMEOUT_S

_PROVIDER = {"type": "str", "choices": ["docker", "podman", "containerd", "crio"], "default": "docker"}
INFO = {
    "provider": _PROVIDER,
    "mounts": {"type": "list", "elements": "path", "default": []},
    "containerd_settings": {"type": "str"},
}
IMAGE = {
    "images": {"type": "list", "elements": "str", "required": True},
    "provider": _PROVIDER,
    "mirrors": {"type": "dict", "default": {}},
    "timeout_s": {"type": "int", "default": PULL_TIMEOUT_S},
}
