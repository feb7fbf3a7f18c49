#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe fake packages of NVIDIA's driver, under their true names, for fake_repository.py.

    fake_driver.py {ubuntu|debian|el9|el10} [VERSION ...] | fake_repository.py {apt|dnf} DIRECTORY

Without a version all of BUILDS. Names, versions, and what goes with what are those of NVIDIA's network repositories, as
far as they are known; the content is not: no GPU is driven. The kernel modules are real ones that DKMS builds, and that
load (fake_driver/), and the daemons are processes that run. el9 has module streams as well.

    --kernels-below 6.12    the modules do not build for kernels from 6.12 on
    --release 2             a later package of the same build
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

BUILDS = ("570.172.08", "580.95.05", "580.178.04", "610.57.04", "615.71.09")
MAINTAINER = "cudatools <cudatools@nvidia.com>"
SOURCES = pathlib.Path(__file__).resolve().parent / "fake_driver"
# From these branches on: one name for all branches; fabric manager and its like alike; no proprietary module.
UNSUFFIXED_SINCE, FABRIC_UNSUFFIXED_SINCE, OPEN_ONLY_SINCE = 590, 580, 615
LICENSES = {"open": "Dual MIT/GPL", "proprietary": "NVIDIA"}
TITLES = {
    "open": "NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build  (fake@tests)  ",
    "proprietary": "NVIDIA UNIX x86_64 Kernel Module  {version}  ",
}
BUILT = "Thu Jan  1 00:00:00 UTC 2026"
BLACKLIST = "# Laid by a fake of NVIDIA's package.\nblacklist nouveau\noptions nouveau modeset=0\n"
# Not under the package's name: apt passes over a file with a dot in its name, but for .pref.
PREFERENCES = "/etc/apt/preferences.d/nvidia-driver-pinning"
# Where a unit is enabled and begins with its package, as Debian's tools write it.
START = """#!/bin/sh
set -e
if [ "$1" = configure ]; then
    deb-systemd-helper enable {unit} >/dev/null
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload
        deb-systemd-invoke start {unit} >/dev/null || true
    fi
fi
"""
STOP = """#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop {unit} >/dev/null || true
fi
"""
FORGET = """#!/bin/sh
set -e
if [ "$1" = purge ]; then
    deb-systemd-helper purge {unit} >/dev/null
fi
if [ "$1" = remove ]; then
    deb-systemd-helper mask {unit} >/dev/null 2>&1 || true
    deb-systemd-helper unmask {unit} >/dev/null 2>&1 || true
fi
"""
# What dh_dkms writes.
DKMS_POSTINST = """#!/bin/sh
set -e
if [ "$1" = configure ]; then
    /usr/lib/dkms/common.postinst {name} {version} /usr/share/{package} "" $2
fi
"""
DKMS_PRERM = """#!/bin/sh
set -e
case "$1" in
    remove|upgrade|deconfigure)
        if [ "$(dkms status -m {name} -v {version})" ]; then
            dkms remove -m {name} -v {version} --all
        fi
        ;;
esac
"""
DKMS_POST = """
dkms add -m {name} -v {version} -q || :
dkms build -m {name} -v {version} -q || :
dkms install -m {name} -v {version} -q --force || :
"""
DKMS_PREUN = "\ndkms remove -m {name} -v {version} -q --all || :\n"


@dataclasses.dataclass(frozen=True)
class Build:
    """One version of the driver, in one repository."""

    version: str
    release: str
    kernels_below: str

    @property
    def branch(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def full(self) -> str:
        return f"{self.version}-{self.release}"

    @property
    def flavours(self) -> tuple[str, ...]:
        return ("open",) if self.branch >= OPEN_ONLY_SINCE else ("open", "proprietary")

    @property
    def suffix(self) -> str:
        return f"-{self.branch}" if self.branch < UNSUFFIXED_SINCE else ""

    @property
    def fabric_suffix(self) -> str:
        return f"-{self.branch}" if self.branch < FABRIC_UNSUFFIXED_SINCE else ""

    def package(self, name: str, files: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        note = {f"/usr/share/doc/{name}/README.fake": f"A fake of NVIDIA's {name} {self.version}, for tests.\n"}
        return {
            "name": name,
            "version": self.full,
            "architecture": "amd64",
            "maintainer": MAINTAINER,
            "files": {**note, **(files or {})},
            **more,
        }

    def filled(self, source: str, **more: str) -> str:
        """A file of fake_driver/, with what is in it between @ filled in."""
        text = (SOURCES / source).read_text()
        values = {
            "VERSION": self.version,
            "MAJOR_MINOR": ".".join(self.version.split(".")[:2]),
            "KERNELS_BELOW": ", ".join(self.kernels_below.split(".")[:2]),
            "DRIVER_WORD": "KMD" if self.branch >= 610 else "DRIVER",
        }
        for key, value in {**values, **more}.items():
            text = text.replace(f"@{key}@", value)
        return text

    def module(self, dkms_name: str, flavour: str) -> dict[str, str]:
        """The source of the kernel modules, where DKMS looks for it."""
        title = TITLES[flavour].format(version=self.version) + BUILT
        texts = {
            "fake.h": self.filled("fake.h.in", LICENSE=LICENSES[flavour], TITLE=title),
            "dkms.conf": self.filled("dkms.conf.in", DKMS_NAME=dkms_name),
            **{name: self.filled(name) for name in ("Kbuild", "nvidia.c", "nvidia-uvm.c")},
        }
        return {f"/usr/src/{dkms_name}-{self.version}/{name}": text for name, text in texts.items()}

    def smi(self) -> dict[str, Any]:
        path = "/usr/bin/nvidia-smi"
        return {"files": {path: self.filled("nvidia-smi.in")}, "executable": [path]}

    def daemon(self, program: str, unit: str, files: dict[str, str] | None = None) -> dict[str, Any]:
        text = self.filled("daemon.in", PROGRAM=program.rpartition("/")[2])
        unit_file = {f"/usr/lib/systemd/system/{unit}": self.filled(unit)}
        return {"files": {program: text, **unit_file, **(files or {})}, "executable": [program]}

    def persistence(self) -> dict[str, Any]:
        return self.daemon("/usr/bin/nvidia-persistenced", "nvidia-persistenced.service")

    def fabric_manager(self) -> dict[str, Any]:
        settings = {"/usr/share/nvidia/nvswitch/fabricmanager.cfg": "# fake\nFABRIC_MODE=0\n"}
        return self.daemon("/usr/bin/nv-fabricmanager", "nvidia-fabricmanager.service", settings)

    def imex(self) -> dict[str, Any]:
        settings = {f"/etc/nvidia-imex/{name}": "# fake\n" for name in ("config.cfg", "nodes_config.cfg")}
        return {**self.daemon("/usr/bin/nvidia-imex", "nvidia-imex.service", settings), "conffiles": list(settings)}


def ubuntu(build: Build) -> Iterator[dict[str, Any]]:
    """As in the repositories ubuntu2204 to ubuntu2604."""
    exactly = f" (= {build.full})"
    b = build.suffix

    settings = {"/usr/lib/modprobe.d/nvidia-graphics-drivers.conf": BLACKLIST}
    yield build.package(f"nvidia-kernel-common{b}", settings, **_alone("nvidia-kernel-common{}", b))
    utils = _alone("nvidia-utils{}", b)
    yield build.package(f"nvidia-utils{b}", **build.smi(), depends=[f"libnvidia-compute{b}{exactly}"], **utils)
    for name in ("libnvidia-compute", "libnvidia-cfg1", "libnvidia-gl"):
        yield build.package(f"{name}{b}", **_alone(f"{name}{{}}", b))
    for flavour in build.flavours:
        tail = "-open" if flavour == "open" else ""
        alone = _alone(f"nvidia-dkms{{}}{tail}", b, "nvidia-dkms-kernel")
        needs = ["dkms", f"nvidia-kernel-common{b}{exactly}"]
        yield _dkms_deb(build, f"nvidia-dkms{b}{tail}", flavour, depends=needs, **alone)
        needs = [f"{name}{b}{exactly}" for name in ("libnvidia-compute", "libnvidia-cfg1", "nvidia-kernel-common")]
        alone = _alone(f"nvidia-headless-no-dkms{{}}{tail}", b, "nvidia-headless-no-dkms-any")
        yield build.package(f"nvidia-headless-no-dkms{b}{tail}", depends=needs, **alone)
        needs += [f"{name}{exactly}" for name in (f"nvidia-dkms{b}{tail}", f"nvidia-utils{b}", f"libnvidia-gl{b}")]
        needs += [f"{name} (>= {build.full})" for name in ("nvidia-modprobe", "nvidia-persistenced", "nvidia-settings")]
        alone = _alone(f"nvidia-driver{{}}{tail}", b, "nvidia-driver-any")
        yield build.package(f"nvidia-driver{b}{tail}", depends=needs, **alone)
        meta = "nvidia-open" if flavour == "open" else "cuda-drivers"
        if b:
            yield build.package(f"{meta}{b}", depends=[f"nvidia-driver{b}{tail}{exactly}"])
            yield build.package(meta, depends=[f"{meta}{b}{exactly}"])
        else:
            yield build.package(meta, depends=[f"nvidia-driver{tail}{exactly}"])
    yield from _beside_deb(build)


def debian(build: Build) -> Iterator[dict[str, Any]]:
    """As in the repositories debian12 and debian13."""
    exactly = f" (= {build.full})"
    kernel = " | ".join(
        f"{name}{exactly}"
        for name in [f"nvidia-kernel{'-open' if flavour == 'open' else ''}-dkms" for flavour in build.flavours]
    )
    settings = {"/usr/lib/modprobe.d/nvidia-graphics-drivers.conf": BLACKLIST}
    yield build.package("nvidia-kernel-support", settings)
    for name in ("libcuda1", "libnvidia-ml1", "libnvidia-cfg1", "libnvidia-ptxjitcompiler1", "firmware-nvidia-gsp"):
        yield build.package(name)
    yield build.package("nvidia-smi", depends=[f"libnvidia-ml1{exactly}"], **build.smi())
    yield build.package("nvidia-driver-libs", depends=[f"libnvidia-cfg1{exactly}"])
    needs = [f"{name}{exactly}" for name in ("libcuda1", "libnvidia-ptxjitcompiler1", "nvidia-smi")]
    yield build.package(
        "nvidia-driver-cuda", depends=[*needs, f"nvidia-persistenced{exactly}", f"nvidia-modprobe{exactly}", kernel]
    )
    yield build.package("nvidia-driver", depends=[f"nvidia-driver-libs{exactly}", f"nvidia-settings{exactly}", kernel])
    names = {"open": "nvidia-kernel-open-dkms", "proprietary": "nvidia-kernel-dkms"}
    for flavour in build.flavours:
        others = [name for kind, name in names.items() if kind != flavour]
        yield _dkms_deb(
            build,
            names[flavour],
            flavour,
            depends=["dkms", f"nvidia-kernel-support{exactly}", f"firmware-nvidia-gsp{exactly}"],
            conflicts=others,
            replaces=others,
        )
        meta = "nvidia-open" if flavour == "open" else "cuda-drivers"
        full = [f"{name}{exactly}" for name in (names[flavour], "nvidia-driver", "nvidia-driver-cuda")]
        if build.suffix:
            yield build.package(f"{meta}{build.suffix}", depends=full)
        yield build.package(meta, depends=full)
    yield from _beside_deb(build)


def el(build: Build) -> Iterator[dict[str, Any]]:
    """As in the repositories rhel9 and rhel10."""
    exactly = f" = 3:{build.full}"

    def package(name: str, files: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        made = build.package(name, files, **more)
        return {**made, "version": f"3:{build.full}", "architecture": "x86_64", "maintainer": "NVIDIA Corporation"}

    def rpm(name: str, parts: dict[str, Any], **more: Any) -> dict[str, Any]:
        return package(name, **parts, **more)

    for name in ("nvidia-driver-cuda-libs", "libnvidia-ml", "libnvidia-cfg", "nvidia-modprobe", "nvidia-settings"):
        yield package(name)
    yield package(
        "nvidia-kmod-common", {"/usr/lib/modprobe.d/nvidia.conf": BLACKLIST}, depends=[f"nvidia-kmod{exactly}"]
    )
    yield package("nvidia-driver-libs", depends=[f"libnvidia-ml{exactly}"])
    yield package("nvidia-driver", depends=[f"nvidia-driver-libs{exactly}", f"nvidia-kmod-common{exactly}"])
    needs = ("nvidia-driver-cuda-libs", "libnvidia-ml", "nvidia-kmod-common", "nvidia-persistenced", "nvidia-modprobe")
    yield rpm("nvidia-driver-cuda", build.smi(), depends=[f"{name}{exactly}" for name in needs])
    yield rpm("nvidia-persistenced", build.persistence())
    for flavour in build.flavours:
        dkms_name, name = {
            "open": ("nvidia-open", "kmod-nvidia-open-dkms"),
            "proprietary": ("nvidia", "kmod-nvidia-latest-dkms"),
        }[flavour]
        words = {"name": dkms_name, "version": build.version}
        yield package(
            name,
            build.module(dkms_name, flavour),
            depends=["dkms", f"nvidia-kmod-common{exactly}"],
            provides=[f"nvidia-kmod{exactly}"],
            conflicts=["kmod-nvidia-latest-dkms" if flavour == "open" else "kmod-nvidia-open-dkms"],
            scripts={"post": DKMS_POST.format(**words), "preun": DKMS_PREUN.format(**words)},
        )
        meta = "nvidia-open" if flavour == "open" else "cuda-drivers"
        full = (name, "nvidia-driver", "nvidia-driver-cuda", "nvidia-settings")
        yield package(meta, depends=[f"{each}{exactly}" for each in full])
    s = build.fabric_suffix
    yield rpm("nvidia-fabric-manager" if s else "nvidia-fabricmanager", build.fabric_manager())
    yield package("nvidia-fabric-manager-devel")
    yield package(f"libnvidia-nscq{s}")
    yield package(f"libnvsdm{s}")
    yield rpm(f"nvidia-imex{s}", build.imex())


def pins(builds: Iterable[Build], packages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One per branch and one per build; only one at a time can be installed."""
    names = " ".join(sorted({str(package["name"]) for package in packages}))
    desired = {str(build.branch): f"{build.branch}.*" for build in builds}
    desired |= {build.version: f"{build.version}-*" for build in builds}
    for name, version in desired.items():
        yield {
            "name": f"nvidia-driver-pinning-{name}",
            "version": f"{name}-1",
            "maintainer": MAINTAINER,
            "provides": ["nvidia-driver-pinning"],
            "conflicts": ["nvidia-driver-pinning"],
            "files": {PREFERENCES: f"Package: {names}\nPin: version {version}\nPin-Priority: 1000\n"},
        }


def streams(packages: list[dict[str, Any]]) -> str:
    """The module nvidia-driver: each branch as 580-open and 580-dkms, the newest also as open-dkms and latest-dkms."""
    rpms = {_nevra(package): package for package in packages if package["name"] != "dkms"}
    branches = sorted({_branch(package) for package in rpms.values()})
    documents = []
    for flavour, other in (
        ("open", "kmod-nvidia-latest-dkms cuda-drivers"),
        ("dkms", "kmod-nvidia-open-dkms nvidia-open"),
    ):
        having = [b for b in branches if flavour == "open" or b < OPEN_ONLY_SINCE]
        named = {f"{branch}-{flavour}": branch for branch in having}
        named["open-dkms" if flavour == "open" else "latest-dkms"] = having[-1]
        for stream, branch in named.items():
            artifacts = [
                nevra
                for nevra, package in sorted(rpms.items())
                if _branch(package) == branch and package["name"] not in other.split()
            ]
            documents.append(_modulemd(stream, artifacts))
    documents.append(
        "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: nvidia-driver\n  stream: latest-dkms\n"
        "  profiles:\n" + "".join(f"    {stream}: [default]\n" for stream in ("latest-dkms", "open-dkms")) + "...\n"
    )
    return "".join(documents)


def _modulemd(stream: str, artifacts: list[str]) -> str:
    return (
        "---\ndocument: modulemd\nversion: 2\ndata:\n  name: nvidia-driver\n"
        f'  stream: "{stream}"\n  version: 20260101000000\n  context: "fake0"\n  arch: x86_64\n'
        "  summary: fake of NVIDIA's driver\n  description: fake, for tests\n  license:\n    module: [MIT]\n"
        f"  profiles:\n    default:\n      rpms: [{'nvidia-open' if 'open' in stream else 'cuda-drivers'}]\n"
        "  artifacts:\n    rpms:\n" + "".join(f'    - "{nevra}"\n' for nevra in artifacts) + "...\n"
    )


def _nevra(package: dict[str, Any]) -> str:
    return f"{package['name']}-{package['version']}.{package['architecture']}"


def _branch(package: dict[str, Any]) -> int:
    return int(str(package["version"]).rpartition(":")[2].partition(".")[0])


def _dkms_deb(build: Build, name: str, flavour: str, **more: Any) -> dict[str, Any]:
    words = {"name": "nvidia", "version": build.version, "package": name}
    scripts = {"postinst": DKMS_POSTINST.format(**words), "prerm": DKMS_PRERM.format(**words)}
    return build.package(name, build.module("nvidia", flavour), scripts=scripts, **more)


def _beside_deb(build: Build) -> Iterator[dict[str, Any]]:
    """What has the same name on Ubuntu and Debian."""
    for name in ("nvidia-modprobe", "nvidia-settings"):
        yield build.package(name)
    unit = "nvidia-persistenced.service"
    scripts = {
        name: text.format(unit=unit) for name, text in (("postinst", START), ("prerm", STOP), ("postrm", FORGET))
    }
    yield build.package("nvidia-persistenced", scripts=scripts, **build.persistence())
    s = build.fabric_suffix
    parts = {"nvidia-fabricmanager": build.fabric_manager(), "nvidia-imex": build.imex()}
    for name in ("nvidia-fabricmanager", "nvidia-imex", "libnvidia-nscq", "libnvsdm"):
        yield build.package(f"{name}{s}", **parts.get(name, {}), **_alone(f"{name}{{}}", s))


def _alone(name: str, suffix: str, virtual: str = "") -> dict[str, Any]:
    """Relations of a package that cannot stand beside that of another branch, be the branch in its name or not."""
    suffixed = sorted({f"-{build.partition('.')[0]}" for build in BUILDS})
    others = [name.format("")] if suffix else [name.format(other) for other in suffixed]
    provided = [each for each in (name.format("") if suffix else "", virtual) if each]
    in_the_way = [each for each in (*others, virtual) if each]
    return {"provides": provided, "conflicts": in_the_way, "replaces": in_the_way}


PLATFORMS: dict[str, tuple[Callable[[Build], Iterator[dict[str, Any]]], str]] = {
    "ubuntu": (ubuntu, "{}ubuntu1"),
    "debian": (debian, "{}"),
    "el9": (el, "{}.el9"),
    "el10": (el, "{}.el10"),
}


def describe(
    platform: str, versions: Iterable[str] = BUILDS, *, release: str = "1", kernels_below: str = "255.0"
) -> list[dict[str, Any]]:
    """What fake_repository.py takes."""
    make, spelled = PLATFORMS[platform]
    builds = [Build(version, spelled.format(release), kernels_below) for version in versions]
    packages = [package for build in builds for package in make(build)]
    if platform.startswith("el"):
        # EPEL's dkms and EL's shell, which a simulated EL has already, but not from an rpm.
        files = {"/usr/share/doc/dkms/README.fake": "A fake of EPEL's dkms, for tests.\n"}
        dkms = {"name": "dkms", "version": "3.0-1", "architecture": "x86_64", "files": files, "provides": ["/bin/sh"]}
        modules = [{"modules": streams(packages)}] if platform == "el9" else []
        return [*packages, dkms, *modules]
    return [*packages, *pins(builds, packages)]


def main(argv: list[str]) -> None:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("platform", choices=sorted(PLATFORMS))
    parser.add_argument("versions", nargs="*", metavar="VERSION", default=BUILDS)
    parser.add_argument("--release", default="1")
    parser.add_argument("--kernels-below", default="255.0", metavar="KERNEL")
    options = parser.parse_args(argv)
    json.dump(
        describe(options.platform, options.versions, release=options.release, kernels_below=options.kernels_below),
        sys.stdout,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
