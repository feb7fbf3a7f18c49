#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of Red Hat's own NVIDIA driver, for fake_repository.py.

    fake_rhel.py KERNEL VERSION ... | fake_repository.py dnf DIRECTORY

KERNEL is the release of a kernel that there is. Names are those that Red Hat's rhel-drivers installs. The module of a
version for a kernel is laid out as NVIDIA lays out its own prebuilt ones: its parts lie in a folder of the version, and
are put together when it is installed. The content is not theirs: no GPU is driven.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from fake_driver import Build, el
from fake_module import Signer, in_text, module

SIGNER = "Nvidia GPU OOT CA (fake)"
VENDOR = "Red Hat, Inc."
# What NVIDIA packages for Enterprise Linux and Red Hat, as far as is known, does not.
NOT_RED_HATS = ("kmod-nvidia", "nvidia-open", "cuda-drivers", "libnvidia-nscq", "libnvsdm", "nvidia-imex")
POST = """
mkdir -p {folder}
cat {parts}/nvidia.o {parts}/nvidia.sig >{folder}/nvidia.ko
depmod {kernel}
"""
# Another version for the same kernel may have taken its place.
PREUN = """
if [ "$(modinfo -F version {folder}/nvidia.ko)" = {version} ]; then
    rm {folder}/nvidia.ko
    depmod {kernel}
fi
"""


def describe(kernel: str, versions: list[str]) -> list[dict[str, Any]]:
    """What fake_repository.py takes."""
    signer = Signer(SIGNER)
    builds = [Build(version, "1.el10_1", "255.0") for version in versions]
    plugin = {"/usr/share/doc/dnf-plugin-nvidia/README.fake": "A fake, which keeps dnf from nothing.\n"}
    return [
        *(package for build in builds for package in driver(build, kernel, signer)),
        {"name": "dnf-plugin-nvidia", "version": "2.2-1.el10", "maintainer": VENDOR, "files": plugin},
        # The shell, which a simulated EL has already, but not from an rpm.
        {
            "name": "bash",
            "version": "5.2-1.el10",
            "provides": ["/bin/sh"],
            "files": {"/usr/share/doc/fake-bash": ""},
        },
    ]


def driver(build: Build, kernel: str, signer: Signer) -> Iterator[dict[str, Any]]:
    for package in el(build):
        if not package["name"].startswith(NOT_RED_HATS):
            files = {path: text.replace("NVIDIA's", "Red Hat's") for path, text in package["files"].items()}
            yield {**package, "maintainer": VENDOR, "files": files}
    name = f"kmod-nvidia-open-{build.version}-{kernel}"
    words = {
        "version": build.version,
        "kernel": kernel,
        "folder": f"/lib/modules/{kernel}/extra/drivers/video/nvidia",
        "parts": f"/usr/lib64/nvidia/{build.version}/{kernel}",
    }
    content = module(build, "open", kernel)
    parts = {"nvidia.o": content, "nvidia.sig": signer.signature(content)}
    yield {
        "name": name,
        "version": f"3:{build.full}",
        "architecture": "x86_64",
        "maintainer": VENDOR,
        "files": {f"/usr/share/doc/{name}/README.fake": "A fake of Red Hat's kernel module, for tests.\n"},
        "binary": {f"{words['parts']}/{part}": in_text(data) for part, data in parts.items()},
        "provides": [f"nvidia-kmod = 3:{build.full}"],
        "scripts": {"post": POST.format(**words), "preun": PREUN.format(**words)},
    }


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    json.dump(describe(sys.argv[1], sys.argv[2:]), sys.stdout)
