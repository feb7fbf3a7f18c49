#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of AMD's driver and of ROCm, under their true names, for fake_repository.py.

    fake_amdgpu.py driver VERSION | fake_repository.py apt DIRECTORY/amdgpu/VERSION/ubuntu noble
    fake_amdgpu.py rocm VERSION   | fake_repository.py apt DIRECTORY/rocm/core/packages/ubuntu2404 stable
    fake_amdgpu.py driver VERSION el9 | fake_repository.py dnf DIRECTORY/amdgpu/VERSION/el/9.6/main/x86_64
    fake_amdgpu.py rocm VERSION el9   | fake_repository.py dnf DIRECTORY/rocm/el9/VERSION/main

AMD has a repository for each version of its driver, and other packages for each generation of ROCm. Names and versions
are AMD's, as far as they are known; the content is not: no GPU is driven. DKMS builds the kernel module, which loads.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

# The version that the module says of itself, by that of the release.
MODULES = {"30.30": "6.16.13", "31.50": "7.1.3"}
BUILDS = {"30.30": "2300000", "31.50": "2390000"}
UBUNTU = "24.04"
# From ROCm 7.13 on there is a package for each GPU target.
TARGETS = ("gfx90a", "gfx942")
SOURCES = pathlib.Path(__file__).resolve().parent / "fake_amdgpu"
POSTINST = """#!/bin/sh
set -e
if [ "$1" = configure ]; then
    /usr/lib/dkms/common.postinst amdgpu {dkms} /usr/share/amdgpu-dkms "" $2
fi
"""
POST = """
dkms add -m amdgpu -v {dkms} -q || :
dkms build -m amdgpu -v {dkms} -q || :
dkms install -m amdgpu -v {dkms} -q --force || :
"""
PREUN = "\ndkms remove -m amdgpu -v {dkms} -q --all || :\n"
PRERM = """#!/bin/sh
set -e
case "$1" in
    remove|upgrade|deconfigure)
        if [ "$(dkms status -m amdgpu -v {dkms})" ]; then
            dkms remove -m amdgpu -v {dkms} --all
        fi
        ;;
esac
"""


def driver(version: str, suffix: str) -> list[dict[str, Any]]:
    """amdgpu-dkms with its firmware. On EL the version of the module has no release of AMD in it, and that of the
    firmware is one."""
    digits = "".join(f"{int(part):02}" for part in version.split(".")).ljust(8, "0")
    module, build, is_deb = MODULES[version], f"{BUILDS[version]}.{suffix}", suffix == UBUNTU
    dkms = f"{module}-{build}"
    full = f"1:{module}.{digits}-{build}" if is_deb else f"1:{dkms}"
    firmware = full if is_deb else f"1:{version}.0.0.{digits}-{build}"
    needs, scripts = (
        ("amdgpu-dkms-firmware (= {})", (POSTINST, PRERM)) if is_deb else ("amdgpu-dkms-firmware", (POST, PREUN))
    )
    values = {"MODULE": module, "DKMS": dkms}
    sources = {name: _filled(name, values) for name in ("amdgpu.c", "Kbuild.in", "dkms.conf.in")}
    return [
        _package("amdgpu-dkms-firmware", firmware),
        _package(
            "amdgpu-dkms",
            full,
            {f"/usr/src/amdgpu-{dkms}/{name.removesuffix('.in')}": text for name, text in sources.items()},
            depends=["dkms", needs.format(full)],
            scripts={
                name: text.format(dkms=dkms)
                for name, text in zip(("postinst", "prerm") if is_deb else ("post", "preun"), scripts, strict=True)
            },
        ),
    ]


def rocm(version: str, suffix: str) -> list[dict[str, Any]]:
    """The packages of one version; before 7.13 it is one for all GPUs."""
    if tuple(map(int, version.split("."))) < (7, 13):
        return [_package("rocm", f"{version}.70204-93{'~' if suffix == UBUNTU else '.'}{suffix}")]
    names = [f"amdrocm{version}", *(f"amdrocm{version}-{target}" for target in TARGETS)]
    return [_package(name, f"{version}.0-1") for name in names]


def _package(name: str, version: str, files: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    note = {f"/usr/share/doc/{name}/README.fake": f"A fake of AMD's {name} {version}, for tests.\n"}
    maintainer = "Advanced Micro Devices (AMD) <gpudriver.dev.support@amd.com>"
    return {"name": name, "version": version, "maintainer": maintainer, "files": {**note, **(files or {})}, **more}


def _filled(name: str, values: dict[str, str]) -> str:
    text = (SOURCES / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("driver", "rocm"):
        raise SystemExit(__doc__)
    json.dump({"driver": driver, "rocm": rocm}[sys.argv[1]](sys.argv[2], (*sys.argv[3:], UBUNTU)[0]), sys.stdout)
