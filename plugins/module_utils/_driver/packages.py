# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The packages of the driver, from dpkg or rpm. One process.

Of the driver are the kernel module, the libraries and tools of user space, fabric manager, IMEX, NSCQ, the package that
pins a version, and firmware; the container toolkit and the CUDA toolkit are not.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from .. import _versionlock
from .._errors import HostError
from .._package_manager import find_manager
from .._runner import Runner, must
from . import files, versions
from .types import Flavour, Installed, Mismatch, Package, Source, Vendor

# Asked for by pattern: a host has a thousand packages, and a few are of the driver.
_PATTERNS = (
    "*nvidia*",
    "libcuda*",
    "libnvcuvid*",
    "libnvoptix*",
    "libnvsdm*",
    "nvlsm*",
    "nvlink5*",
    "cuda-drivers*",
    "amdgpu*",
    "linux-image-*",
)
_FAMILY: dict[Vendor, re.Pattern[str]] = {
    "nvidia": re.compile(
        r"(lib)?nvidia-|libcuda(1|debugger1)$|libnvcuvid1|libnvoptix|libnvsdm|nvlsm$|nvlink5|cuda-drivers"
        r"|a?kmod-nvidia|linux-(modules|objects|signatures)-nvidia|xserver-xorg-video-nvidia|firmware-nvidia-"
    ),
    "amd": re.compile(r"amdgpu-(dkms|core|install|kmod)"),
}
_OTHERS = re.compile(
    r"nvidia-(container|ctk|docker|cuda-(toolkit|dev|gdb|doc|samples)|cudnn|nsight|profiler|visual-profiler|openjdk|texture|fs\b|fs-"
    r"|gds|prime|mig-|mlnx|dcgm|cg-|driver-local-repo|installer-cleanup|support$|detect$)"
    r"|libnvidia-(container|egl-(wayland|gbm|xcb|xlib)|ptxjitcompiler-dev)"
)
# Versions of their own, whatever they look like. Ubuntu's firmware has one in its name, and those of all versions stay.
_OWN_VERSION = re.compile(
    r"nvidia-(persistenced|settings|modprobe|xconfig|driver-(pinning|assistant)|firmware-.*\d\.\d)|linux-|nvlsm"
    r"|nvidia-kernel-common$"
)
# Of Ubuntu and Debian: what brings the next kernel by an upgrade. That of one kernel begins with its version.
_KERNEL_PACKAGE = re.compile(r"linux-image-(?!\d|unsigned-|extra-|uc-)")
_DRIVER_VERSION = re.compile(r"\d{3}\.\d+")
_OPEN = re.compile(r"nvidia-.*\bopen\b|kmod-nvidia-open")
_KERNEL = re.compile(
    r"nvidia-(open-)?kernel-(open-)?dkms|nvidia-(.*-)?kernel-dkms|nvidia-dkms|a?kmod-nvidia|linux-(modules|objects)-nvidia|amdgpu-dkms$"
)
# Which package says what version the driver of user space is: the library that programs load comes first.
_LIBRARIES = (
    re.compile(r"libcuda1$|libnvidia-compute(-|$)|nvidia-driver-cuda-libs$|nvidia-driver-libs$"),
    re.compile(r"libnvidia-ml1?$"),
    re.compile(r"nvidia-(smi|utils(-.*)?|driver-cuda)$|nvidia-compute-utils"),
)
_MAKERS: dict[Vendor, re.Pattern[str]] = {
    # Debian's maintainers of the driver carry NVIDIA in their name: its addresses decide.
    "nvidia": re.compile(r"@nvidia\.com|^nvidia( corporation)?$", re.IGNORECASE | re.MULTILINE),
    "amd": re.compile(r"@amd\.com|advanced micro devices", re.IGNORECASE),
}
_DPKG_FORMAT = "${Package}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\t${db:Status-Eflag}\t${Maintainer}\n"
_RPM_FORMAT = "%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\t%{VENDOR}\t%{PACKAGER}\t%{RSAHEADER:pgpsig}\n"
# NVIDIA signs with a key for each distribution, and builds by specs that name no vendor.
_NVIDIA_KEYS = re.compile(r"(d42d0685|cdf6ba43|1940c73e|73cd9b30|3a8b5622)$", re.IGNORECASE)
_NO_DPKG_MATCH = 1
# Triggers are work that dpkg does by itself at the end of a run, and what they belong to is in place.
_WHOLE = ("installed", "config_files", "not_installed", "triggers_awaited", "triggers_pending")
FABRIC_MANAGER = re.compile(r"nvidia-fabric-?manager(-\d+)?$")
NOTHING: tuple[Installed, tuple[Mismatch, ...]] = (Installed(), ())


@dataclasses.dataclass(frozen=True)
class Found:
    """The packages of each vendor's driver, and the names of those that bring the next kernel by an upgrade."""

    nvidia: tuple[Package, ...] = ()
    amd: tuple[Package, ...] = ()
    kernels: tuple[str, ...] = ()


def read(root: str, run: Runner, timeout_s: float) -> Found:
    """Nothing where the host has no package manager that is known."""
    try:
        manager = find_manager(root)
    except HostError:
        return Found()
    found = _dpkg(run, timeout_s) if manager == "apt" else _rpm(root, run, timeout_s)
    nvidia, amd = (tuple(package for package in found if _belongs(package.name, vendor)) for vendor in _FAMILY)
    kernels = (package.name for package in found if _KERNEL_PACKAGE.match(package.name) and is_there(package))
    return Found(nvidia, amd, tuple(sorted(kernels)))


def compare(packages: tuple[Package, ...], vendor: Vendor, chosen: str) -> tuple[Installed, tuple[Mismatch, ...]]:
    """What is installed, and what does not fit to it. ``chosen`` is the module's name on disk."""
    there = [package for package in packages if is_there(package)]
    version = _user_space(there) if vendor == "nvidia" else _amdgpu(there)
    modules = [package for package in there if has_module(package)]
    flavours: set[Flavour] = {"open" if _OPEN.search(package.name) else "proprietary" for package in modules}
    if len(flavours) > 1 and chosen != "nvidia":
        # Debian's packages of both flavours can lie side by side.
        flavours = {"open" if chosen.endswith("-open") else "proprietary"}
    sources = {package.source for package in there if is_part(package)}
    installed = Installed(
        version=version,
        flavour=flavours.pop() if vendor == "nvidia" and len(flavours) == 1 else None,
        source=sources.pop() if len(sources) == 1 else None,
        packages=packages,
    )
    mismatches = tuple(
        Mismatch(package.name, versions.upstream(package.version))
        for package in there
        if version and vendor == "nvidia" and is_part(package) and versions.upstream(package.version) != version
    )
    return installed, mismatches or (tuple(_of_another_build(there)) if vendor == "amd" else ())


def has_version_of_its_own(name: str) -> bool:
    return bool(_OWN_VERSION.match(name))


def is_whole(package: Package) -> bool:
    return package.state in _WHOLE


def is_there(package: Package) -> bool:
    """Whether more of it is left than its configuration."""
    return package.state not in ("config_files", "not_installed")


def has_module(package: Package) -> bool:
    """Whether the kernel module comes with the package."""
    return bool(_KERNEL.match(package.name)) and is_there(package)


def is_part(package: Package) -> bool:
    """Whether the package carries the version of the driver, so that it must move with it."""
    if not is_there(package) or _OWN_VERSION.match(package.name):
        return False
    return bool(_DRIVER_VERSION.match(versions.upstream(package.version))) or package.name.startswith("amdgpu-dkms")


def _belongs(name: str, vendor: Vendor) -> bool:
    return bool(_FAMILY[vendor].match(name)) and not _OTHERS.match(name)


def _user_space(packages: t.Iterable[Package]) -> str | None:
    for pattern in _LIBRARIES:
        for package in packages:
            if pattern.match(package.name) and is_part(package):
                return versions.upstream(package.version)
    return None


def _amdgpu(packages: t.Iterable[Package]) -> str | None:
    """With AMD's release at its end, as Ubuntu's package has it: on EL only the firmware says which one it is."""
    said = {package.name: versions.upstream(package.version) for package in packages}
    version, firmware = said.get("amdgpu-dkms"), said.get("amdgpu-dkms-firmware", "")
    release = re.match(r"\d{2}\.\d+\.\d+(?=\.\d+\.\d{7,8}$)", firmware)
    if version is None or release is None or re.search(r"\.\d{8}$", version):
        return version
    return f"{version}.{versions.digits(release[0]).ljust(8, '0')}"


def _of_another_build(packages: t.Iterable[Package]) -> t.Iterator[Mismatch]:
    """AMD builds all packages of a release at once, and numbers the build."""
    builds = {package.name: re.search(r"-(\d{6,})", package.version) for package in packages}
    of_module, of_firmware = builds.get("amdgpu-dkms"), builds.get("amdgpu-dkms-firmware")
    if of_module and of_firmware and of_module[1] != of_firmware[1]:
        yield Mismatch("amdgpu-dkms", versions.upstream(of_module.string))


def _dpkg(run: Runner, timeout_s: float) -> list[Package]:
    done = run("dpkg-query", "-W", "-f", _DPKG_FORMAT, *_PATTERNS, timeout_s=timeout_s)
    if done.rc not in (0, _NO_DPKG_MATCH) or done.timed_out:
        must(done, "the installed packages could not be read")
    found = []
    for line in done.stdout.splitlines():
        name, version, want, state, flag, maintainer = line.split("\t")
        if state != "not-installed":
            words = "reinst_required" if flag == "reinstreq" else state.replace("-", "_")
            found.append(Package(name, version, words, want == "hold", _source(maintainer)))
    return found


def _rpm(root: str, run: Runner, timeout_s: float) -> list[Package]:
    done = must(
        run("rpm", "-qa", "--qf", _RPM_FORMAT, *_PATTERNS, timeout_s=timeout_s),
        "the installed packages could not be read",
    )
    locks = _versionlocks(root)
    found = []
    for line in done.stdout.splitlines():
        name, version, vendor, packager, signature = line.split("\t")
        spellings = (name, f"{name}-{version}", f"{name}-{version.partition(':')[2]}")
        held = any(fnmatch.fnmatchcase(spelling, lock) for lock in locks for spelling in spellings)
        version = version.rpartition(".")[0].removeprefix("0:")
        found.append(Package(name, version, "installed", held, _source(f"{vendor}\n{packager}", signature)))
    return sorted(found, key=lambda package: package.name)


def _source(maker: str, signature: str = "") -> Source | None:
    if any(pattern.search(maker) for pattern in _MAKERS.values()) or _NVIDIA_KEYS.search(signature):
        return "vendor"
    return "distribution" if maker.replace("(none)", "").strip() else None


def _versionlocks(root: str) -> list[str]:
    """Patterns of dnf4's versionlock and names of dnf5's; what they merely exclude is not locked."""
    listed = (files.read(root, "etc/dnf/plugins/versionlock.list") or "").splitlines()
    locks = [line.strip() for line in listed if line.strip() and line[0] not in "!#"]
    return [*locks, *_versionlock.names(files.read(root, "etc/dnf/versionlock.toml") or "")]
