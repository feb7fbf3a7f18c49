#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of NVIDIA's or AMD's container toolkit, under their true names, for fake_repository.py.

    fake_container_toolkit.py nvidia apt | fake_repository.py apt DIRECTORY
    fake_container_toolkit.py nvidia dnf | fake_repository.py dnf DIRECTORY
    fake_container_toolkit.py amd apt    | fake_repository.py apt DIRECTORY noble

Names, units and what goes with what are the vendors', as far as they are known; the content is not. nvidia-ctk and
amd-ctk are those of fake_gpu_tools, which has to be on the host; the runtimes are runc. NVIDIA signs no rpm, but the
repository's index.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

SOURCES = pathlib.Path(__file__).resolve().parent / "fake_container_toolkit"
UNITS = ("nvidia-cdi-refresh.service", "nvidia-cdi-refresh.path")
PROGRAM = """#!/bin/sh
# The fake of version {version} starts that of fake_gpu_tools.
exec /usr/local/lib/fake-gpu-tools/bin/{name} "$@"
"""
RUNTIME = '#!/bin/sh\nexec runc "$@"\n'
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
# As that of AMD, when the package is upgraded, too: all specifications go, and its keys in the configuration of Docker.
AMD_PRERM = """#!/bin/sh
rm -rf /etc/cdi
config=/etc/docker/daemon.json
if [ -f "$config" ]; then
    jq 'del(.runtimes.amd, .features.cdi) | if .runtimes == {} then del(.runtimes) else . end
        | if .features == {} then del(.features) else . end' "$config" >"$config.amd" && cat "$config.amd" >"$config"
    rm -f "$config.amd"
fi
"""


def nvidia(version: str, manager: str) -> Iterator[dict[str, Any]]:
    """The four packages of one version, each with those that it needs at the same one."""
    apt = manager == "apt"
    common = {
        "version": f"{version}-1",
        "architecture": "amd64" if apt else "x86_64",
        "maintainer": "NVIDIA CORPORATION <tests@example.invalid>",
        "signature": "none",
    }

    def same(name: str) -> str:
        return f"{name} (= {version}-1)" if apt else f"{name} = {version}-1"

    programs = {
        "/usr/bin/nvidia-ctk": PROGRAM.format(name="nvidia-ctk", version=version),
        "/usr/bin/nvidia-cdi-hook": "#!/bin/sh\n",
        "/usr/bin/nvidia-container-runtime": RUNTIME,
    }
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
            **programs,
            **{f"/usr/lib/systemd/system/{name}": (SOURCES / name).read_text() for name in UNITS},
        },
        "executable": list(programs),
        "scripts": {"postinst": START, "prerm": STOP} if apt else {},
        **common,
    }
    yield {
        "name": "nvidia-container-toolkit",
        "files": {},
        "depends": [same("nvidia-container-toolkit-base"), same("libnvidia-container-tools")],
        **common,
    }


def amd(version: str, _manager: str) -> Iterator[dict[str, Any]]:
    """The one package of one version."""
    programs = {
        "/usr/bin/amd-ctk": PROGRAM.format(name="amd-ctk", version=version),
        "/usr/bin/amd-container-runtime": RUNTIME,
    }
    yield {
        "name": "amd-container-toolkit",
        "version": version,
        "architecture": "amd64",
        "maintainer": "AMD Inc. <tests@example.invalid>",
        "files": programs,
        "executable": list(programs),
        "depends": ["jq"],
        "scripts": {"prerm": AMD_PRERM},
    }


VENDORS = {"nvidia": (nvidia, ("1.19.1", "1.20.0", "1.21.0")), "amd": (amd, ("1.2.0", "1.3.0", "1.4.0"))}


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in VENDORS:
        raise SystemExit(__doc__)
    of, versions = VENDORS[sys.argv[1]]
    json.dump([package for version in versions for package in of(version, sys.argv[2])], sys.stdout)
