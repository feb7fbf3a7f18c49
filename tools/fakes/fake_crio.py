#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of CRI-O, under their true name, for fake_repository.py.

    fake_crio.py VERSION ... | fake_repository.py apt DIRECTORY

Places of files are those of CRI-O's own package, as far as they are known; the content is not: the crio in it validates
its configuration and tells of it, and crun, runc and conmon are empty.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

SOURCES = pathlib.Path(__file__).resolve().parent / "fake_crio"
LIBEXEC = "/usr/libexec/crio"
SETTINGS = f"""[crio.image]
signature_policy = "/etc/crio/policy.json"
[crio.runtime]
default_runtime = "crun"
[crio.runtime.runtimes.crun]
runtime_path = "{LIBEXEC}/crun"
monitor_path = "{LIBEXEC}/conmon"
[crio.runtime.runtimes.runc]
runtime_path = "{LIBEXEC}/runc"
monitor_path = "{LIBEXEC}/conmon"
"""
START = """#!/bin/sh
set -e
if [ "$1" = configure ]; then
    deb-systemd-helper enable crio.service >/dev/null
    systemctl --system daemon-reload
    deb-systemd-invoke start crio.service >/dev/null || true
fi
"""
STOP = """#!/bin/sh
set -e
if [ "$1" = remove ]; then
    deb-systemd-invoke stop crio.service >/dev/null || true
fi
"""


def package(version: str) -> dict[str, Any]:
    binaries = [f"{LIBEXEC}/{name}" for name in ("crun", "runc", "conmon")]
    return {
        "name": "cri-o",
        "version": f"{version}-1.1",
        "architecture": "amd64",
        "files": {
            "/usr/bin/crio": (SOURCES / "crio").read_text() + f"# {version}\n",
            "/usr/lib/systemd/system/crio.service": (SOURCES / "crio.service").read_text(),
            **dict.fromkeys(binaries, "#!/bin/sh\n"),
            "/etc/crio/crio.conf.d/10-crio.conf": SETTINGS,
            "/etc/crio/policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}\n',
            "/etc/default/crio": "",
            "/etc/containers/registries.conf.d/crio.conf": 'unqualified-search-registries = ["docker.io"]\n',
        },
        "executable": ["/usr/bin/crio", *binaries],
        "conffiles": ["/etc/default/crio", "/etc/containers/registries.conf.d/crio.conf"],
        "scripts": {"postinst": START, "prerm": STOP},
    }


if __name__ == "__main__":
    json.dump([package(version) for version in sys.argv[1:]], sys.stdout)
