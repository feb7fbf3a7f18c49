#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe stand-in packages of NVIDIA's container toolkit, under their true names, for standin_repository.py.

    standin_container_toolkit.py [VERSION ...] | standin_repository.py apt DIRECTORY

Names, units and what goes with what are NVIDIA's, as far as they are known; the content is not. nvidia-ctk writes a
specification of what nvidia-smi gives, and nvidia-container-runtime is runc.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

VERSIONS = ("1.19.1", "1.20.0")
SOURCES = pathlib.Path(__file__).resolve().parent / "standin_container_toolkit"
UNITS = ("nvidia-cdi-refresh.service", "nvidia-cdi-refresh.path")
CTK, RUNTIME = "/usr/bin/nvidia-ctk", "/usr/bin/nvidia-container-runtime"
START = """#!/bin/sh
set -e
if [ "$1" = configure ]; then
    deb-systemd-helper enable nvidia-cdi-refresh.service nvidia-cdi-refresh.path >/dev/null
    systemctl --system daemon-reload
    deb-systemd-invoke start nvidia-cdi-refresh.path >/dev/null || true
fi
"""
STOP = """#!/bin/sh
set -e
if [ "$1" = remove ]; then
    deb-systemd-invoke stop nvidia-cdi-refresh.path >/dev/null || true
fi
"""


def packages(version: str) -> Iterator[dict[str, Any]]:
    """The four packages of one version, each with those that it needs at the same one."""
    common = {
        "version": f"{version}-1",
        "architecture": "amd64",
        "maintainer": "NVIDIA CORPORATION <tests@example.invalid>",
    }

    def same(name: str) -> str:
        return f"{name} (= {version}-1)"

    yield {"name": "libnvidia-container1", "files": {}, **common}
    yield {
        "name": "libnvidia-container-tools",
        "files": {},
        "depends": [same("libnvidia-container1")],
        **common,
    }
    yield {
        "name": "nvidia-container-toolkit-base",
        "files": {
            CTK: (SOURCES / "nvidia-ctk").read_text() + f"# {version}\n",
            RUNTIME: '#!/bin/sh\nexec runc "$@"\n',
            **{f"/usr/lib/systemd/system/{name}": (SOURCES / name).read_text() for name in UNITS},
        },
        "executable": [CTK, RUNTIME],
        "scripts": {"postinst": START, "prerm": STOP},
        **common,
    }
    yield {
        "name": "nvidia-container-toolkit",
        "files": {},
        "depends": [same("nvidia-container-toolkit-base"), same("libnvidia-container-tools")],
        **common,
    }


if __name__ == "__main__":
    json.dump([package for version in sys.argv[1:] or VERSIONS for package in packages(version)], sys.stdout)
