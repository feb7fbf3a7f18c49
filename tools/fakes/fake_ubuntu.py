#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of Ubuntu's own NVIDIA driver, and of the kernels that it is built for, for
fake_repository.py.

    fake_ubuntu.py UPLOAD ... | fake_repository.py apt DIRECTORY

An upload of the kernel's team is such as 6.8.0-88.89=570.172.08,580.95.05: kernel 6.8.0-88-generic, and prebuilt
signed modules of these drivers for it, at version 6.8.0-88.89. 6.8.0-88.89+1 is a later one for the same kernel. Names
and what goes with what are those of Ubuntu's archive, as far as they are known; the content is not: no GPU is driven,
and no kernel boots. A module is an object file that says of itself what a real one says, and is really signed, by a key
of this run. As in the archive the object and its signature come in packages of their own, and are put together where
they are installed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from fake_driver import BLACKLIST, OPEN_ONLY_SINCE, Build
from fake_module import Signer, in_text, module

FLAVOUR = "generic"
SIGNER = "Canonical Ltd. Kernel Module Signing (fake)"
DRIVER_TEAM = "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>"
KERNEL_TEAM = "Canonical Kernel Team <kernel-team@lists.ubuntu.com>"
IMAGE_POSTINST = """#!/bin/sh
set -e
depmod {kernel}
update-initramfs -c -k {kernel}
"""
IMAGE_POSTRM = "#!/bin/sh\nset -e\nrm -f /boot/initrd.img-{kernel} /lib/modules/{kernel}/modules.*\n"
# The real one links as well where the licence does not let Canonical do so.
MODULES_POSTINST = """#!/bin/sh
set -e
cd /lib/modules/{kernel}/kernel/{folder}
cat bits/nvidia.o bits/nvidia.ko.sig >nvidia.ko
depmod {kernel}
"""
MODULES_PRERM = "#!/bin/sh\nset -e\nrm -f /lib/modules/{kernel}/kernel/{folder}/nvidia.ko\n"
MODULES_POSTRM = "#!/bin/sh\nset -e\n[ ! -d /lib/modules/{kernel}/kernel ] || depmod {kernel}\n"
# Ubuntu's is not enabled but started by udev, with the module, and without the mode that it is there for.
PERSISTENCED = """[Unit]
Description=NVIDIA Persistence Daemon (fake)
Wants=syslog.target

[Service]
ExecStart=/usr/bin/nvidia-persistenced --user nvidia-persistenced --no-persistence-mode --verbose
"""


def describe(uploads: list[str]) -> list[dict[str, Any]]:
    """What fake_repository.py takes."""
    told = {
        revision: drivers.split(",") for revision, _equals, drivers in (upload.partition("=") for upload in uploads)
    }
    versions = sorted({version for drivers in told.values() for version in drivers})
    signer = Signer(SIGNER)
    found = [package for version in versions for package in driver(Build(version, "0ubuntu0.24.04.1", "255.0"))]
    for revision, drivers in told.items():
        found += kernel(revision, [Build(version, "", "") for version in drivers], signer)
    return found


def driver(build: Build) -> Iterator[dict[str, Any]]:
    """Of nvidia-graphics-drivers-<branch>-server."""
    exactly, series = f" (= {build.full})", f"{build.branch}-server"
    suits = _suits(build, f"nvidia-kernel-common-{series}")

    def package(name: str, files: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        made = build.package(name, files, **more)
        text = {path: content.replace("NVIDIA's", "Ubuntu's") for path, content in made["files"].items()}
        return {**made, "maintainer": DRIVER_TEAM, "files": text}

    # One for each version, which stays beside the next.
    yield package(f"nvidia-firmware-{series}-{build.version}")
    yield package(
        f"nvidia-kernel-common-{series}",
        {"/usr/lib/modprobe.d/nvidia-graphics-drivers.conf": BLACKLIST},
        depends=[f"nvidia-firmware-{series}-{build.version}"],
        **_alone("nvidia-kernel-common", f"nvidia-kernel-common-{series}-{build.version}"),
    )
    for name in ("libnvidia-compute", "libnvidia-cfg1", "libnvidia-gl"):
        yield package(f"{name}-{series}", **_alone(name))
    needs = [f"libnvidia-compute-{series}{exactly}"]
    yield package(f"nvidia-utils-{series}", **build.smi(), depends=needs, **_alone("nvidia-utils"))
    daemon = build.persistence()
    daemon["files"] = {path: PERSISTENCED if "systemd" in path else text for path, text in daemon["files"].items()}
    yield package(
        f"nvidia-compute-utils-{series}",
        **daemon,
        depends=needs,
        **_alone("nvidia-compute-utils", "nvidia-persistenced"),
    )
    for tail in [""] * (build.branch < OPEN_ONLY_SINCE) + ["-open"]:
        yield package(f"nvidia-kernel-source-{series}{tail}", **_alone("nvidia-kernel-source"))
        needs = ["dkms", f"nvidia-kernel-source-{series}{tail}{exactly}", *suits]
        yield package(f"nvidia-dkms-{series}{tail}", depends=needs, **_alone("nvidia-dkms-kernel"))
        libraries = ("libnvidia-cfg1", "libnvidia-compute", "nvidia-compute-utils", "nvidia-kernel-common")
        needs = [f"{name}-{series}{exactly}" for name in libraries]
        needs.append(f"nvidia-kernel-source-{series}{tail}{exactly}")
        name = f"nvidia-headless-no-dkms-{series}{tail}"
        yield package(name, depends=needs, **_alone("nvidia-headless-no-dkms"))
        needs = [*needs, *(f"{each}-{series}{exactly}" for each in ("libnvidia-gl", "nvidia-utils"))]
        needs += _suits(build, f"nvidia-dkms-{series}{tail}")
        yield package(f"nvidia-driver-{series}{tail}", depends=needs, **_alone("nvidia-driver-any"))
    library = f"libnvidia-nscq-{build.branch}"
    yield package(library, **_alone("libnvidia-nscq"))
    needs = [f"nvidia-kernel-common-{series}-{build.version}", f"{library}{exactly}"]
    name = f"nvidia-fabricmanager-{build.branch}"
    yield package(name, **build.fabric_manager(), depends=needs, **_alone("nvidia-fabricmanager"))


def kernel(revision: str, builds: list[Build], signer: Signer) -> Iterator[dict[str, Any]]:
    """Of linux, linux-meta and linux-restricted-modules: one kernel, and what is built for it."""
    release = f"{revision.rpartition('.')[0]}-{FLAVOUR}"
    words, image = {"kernel": release}, f"linux-image-{release}"
    first = revision.partition("+")[0]

    def package(name: str, version: str, files: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        note = {f"/usr/share/doc/{name}/README.fake": f"A fake of Ubuntu's {name} {version}, for tests.\n"}
        same = {"architecture": "amd64", "maintainer": KERNEL_TEAM}
        return {"name": name, "version": version, **same, "files": {**note, **(files or {})}, **more}

    yield package(
        image,
        first,
        {
            f"/boot/vmlinuz-{release}": "fake\n",
            f"/boot/config-{release}": "CONFIG_RD_GZIP=y\n",
            f"/lib/modules/{release}/kernel/README": "fake\n",
        },
        depends=["initramfs-tools", "kmod"],
        scripts={"postinst": IMAGE_POSTINST.format(**words), "postrm": IMAGE_POSTRM.format(**words)},
    )
    yield package(f"linux-image-{FLAVOUR}", first, depends=[f"{image} (= {first})"])
    signatures: dict[str, str] = {}
    for build in builds:
        for flavour in build.flavours:
            tail = "-open" if flavour == "open" else ""
            series = f"{build.branch}-server{tail}"
            folder = f"nvidia-{build.branch}srv{tail}"
            bits = f"/lib/modules/{release}/kernel/{folder}/bits"
            content = module(build, flavour, release)
            signatures[f"{bits}/nvidia.ko.sig"] = in_text(signer.signature(content))
            objects = f"linux-objects-nvidia-{series}-{release}"
            yield package(objects, revision, binary={f"{bits}/nvidia.o": in_text(content)})
            suits = _suits(build, f"nvidia-kernel-common-{build.branch}-server")
            needs = [f"{image} | linux-image-unsigned-{release}", f"linux-signatures-nvidia-{release} (= {revision})"]
            scripts = {"postinst": MODULES_POSTINST, "prerm": MODULES_PRERM, "postrm": MODULES_POSTRM}
            yield package(
                f"linux-modules-nvidia-{series}-{release}",
                revision,
                depends=[*needs, f"{objects} (= {revision})", *suits],
                scripts={name: text.format(folder=folder, **words) for name, text in scripts.items()},
            )
            yield package(
                f"linux-modules-nvidia-{series}-{FLAVOUR}",
                revision,
                depends=[f"linux-modules-nvidia-{series}-{release} (= {revision})", *suits],
                # With it nvidia-driver-* needs no DKMS.
                provides=[f"nvidia-dkms-{series} (= {build.version}-0ubuntu0.24.04.1)", "nvidia-prebuilt-kernel"],
            )
    yield package(f"linux-signatures-nvidia-{release}", revision, depends=[image], binary=signatures)


def _suits(build: Build, name: str) -> list[str]:
    """A package of this version, whatever packaging adds: so Ubuntu ties modules to libraries."""
    return [f"{name} (>= {build.version})", f"{name} (<= {build.version}-1)"]


def _alone(virtual: str, *more: str) -> dict[str, Any]:
    return {"provides": [virtual, *more], "conflicts": [virtual], "replaces": [virtual]}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    json.dump(describe(sys.argv[1:]), sys.stdout)
