# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which packages make up a driver of NVIDIA, by who packaged it. Pure; names are those of the vendor and of the
distributions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ....module_utils._driver.generations import Flavour

# Who packaged it and for which distribution: each has names of its own.
Scheme = t.Literal["debian", "ubuntu", "rhel", "nvidia_debian", "nvidia_ubuntu", "nvidia_el"]
Profile = t.Literal["compute", "full"]
SCHEMES: tuple[Scheme, ...] = t.get_args(Scheme)

PIN = "nvidia-driver-pinning-"
# From here on NVIDIA's packages have no branch in their names.
_NO_SUFFIX_SINCE = 590
_FABRIC_NO_SUFFIX_SINCE = 580


@dataclasses.dataclass(frozen=True)
class Named:
    """One package. ``versioned``: its version is that of the driver."""

    name: str
    versioned: bool = True
    before_packages: bool = False


def pin(scheme: Scheme, version: str) -> str | None:
    """The package that pins a branch or an exact version, where the packager has one."""
    return f"{PIN}{version}" if scheme in ("nvidia_debian", "nvidia_ubuntu") else None


def driver(scheme: Scheme, branch: int, flavour: Flavour, profile: Profile) -> tuple[Named, ...]:
    """Kernel module, libraries and tools."""
    return _DRIVERS[scheme](branch, flavour == "open", profile == "full")


def series(branch: int, flavour: Flavour) -> str:
    """What Ubuntu's archive calls the driver of data centres."""
    return f"{branch}-server{'-open' if flavour == 'open' else ''}"


def prebuilt_module(branch: int, flavour: Flavour, kernel: str) -> Named:
    """The module that Canonical built and signed for one kernel. Its version is the kernel's."""
    return Named(f"linux-modules-nvidia-{series(branch, flavour)}-{kernel}", versioned=False)


def prebuilt_modules(branch: int, flavour: Flavour, kernel_package: str) -> Named:
    """The package that brings it along with each kernel that ``kernel_package`` brings, and stands in for DKMS."""
    kernels = re.sub(r"^linux-image-(virtual(?![^-]))?", lambda found: "generic" if found[1] else "", kernel_package)
    return prebuilt_module(branch, flavour, kernels)


def prebuilt_series(name: str) -> str | None:
    """Of which series a package with prebuilt modules is."""
    found = re.match(
        r"linux-(?:modules|objects)-nvidia-(\d+(?:-server)?(?:-open)?)-|kmod-nvidia-open-(\d[\d.]+)-", name
    )
    return found[1] or found[2] if found else None


def built_module(branch: int, flavour: Flavour) -> Named:
    """Ubuntu's own source of the module, for DKMS."""
    return Named(f"nvidia-dkms-{series(branch, flavour)}")


def comes_with_another(name: str) -> bool:
    """Whether nobody asks for it by name: what is named brings it in the right version, and it has another name in
    the next version or flavour."""
    return bool(re.match(r"nvidia-(kernel-source-\d|firmware-.*\d\.\d)|kmod-nvidia-open-\d", name))


def prebuilt_kmod(version: str, kernel: str) -> Named:
    """The module that Red Hat built and signed for one kernel: its name has the exact version and the kernel's release
    without the distribution."""
    return Named(f"kmod-nvidia-open-{version}-{re.sub(r'[.]el[0-9].*', '', kernel)}", versioned=False)


def fabric(scheme: Scheme, branch: int) -> tuple[Named, ...] | None:
    """Fabric manager and the library that asks NVSwitches. None where the packager has none."""
    if scheme == "debian":
        return None
    if scheme == "ubuntu":
        return (Named(f"nvidia-fabricmanager-{branch}"), Named(f"libnvidia-nscq-{branch}"))
    if scheme == "rhel":
        return (Named("nvidia-fabricmanager"),)
    suffix = "" if branch >= _FABRIC_NO_SUFFIX_SINCE else f"-{branch}"
    if scheme == "nvidia_el":
        manager = "nvidia-fabricmanager" if branch >= _FABRIC_NO_SUFFIX_SINCE else "nvidia-fabric-manager"
        return (Named(manager), Named(f"libnvidia-nscq{suffix}"))
    return (Named(f"nvidia-fabricmanager{suffix}"), Named(f"libnvidia-nscq{suffix}"))


def imex(scheme: Scheme, branch: int) -> tuple[Named, ...] | None:
    """IMEX, which shares memory over NVLink between hosts. None where the packager has none."""
    if scheme in ("debian", "ubuntu", "rhel"):
        return None
    return (Named("nvidia-imex" if branch >= _FABRIC_NO_SUFFIX_SINCE else f"nvidia-imex-{branch}"),)


def renamed(scheme: Scheme, old: int, new: int) -> bool:
    """Whether all packages have other names in the new branch."""
    return scheme == "nvidia_ubuntu" and (old >= _NO_SUFFIX_SINCE) != (new >= _NO_SUFFIX_SINCE)


def headers(kernel: str) -> Named:
    """The headers of one kernel of Debian or Ubuntu, by its release."""
    return Named(f"linux-headers-{kernel}", versioned=False, before_packages=True)


def managed(scheme: Scheme, branches: t.Iterable[int]) -> frozenset[str]:
    """Every name that could be desired: such a package is desired, or it is in the way."""
    found: set[str] = set()
    for branch in branches:
        for flavour in t.cast("tuple[Flavour, ...]", ("open", "proprietary")):
            for profile in t.cast("tuple[Profile, ...]", ("compute", "full")):
                found |= {item.name for item in driver(scheme, branch, flavour, profile) if item.versioned}
            if scheme == "ubuntu":
                found.add(built_module(branch, flavour).name)
        found |= {item.name for item in (*(fabric(scheme, branch) or ()), *(imex(scheme, branch) or ()))}
    return frozenset(found)


def _debian(branch: int, is_open: bool, full: bool) -> tuple[Named, ...]:
    names = ["nvidia-open-kernel-dkms" if is_open else "nvidia-kernel-dkms"]
    names += ["nvidia-alternative", "libcuda1", "libnvidia-ml1", "libnvidia-cfg1", "nvidia-smi"]
    if full:
        names += ["nvidia-driver", "nvidia-driver-libs", "nvidia-driver-bin", "xserver-xorg-video-nvidia"]
    # These have releases of their own.
    return (*map(Named, names), Named("nvidia-persistenced", versioned=False))


def _ubuntu(branch: int, is_open: bool, full: bool) -> tuple[Named, ...]:
    flavoured = series(branch, "open" if is_open else "proprietary")
    whole = f"nvidia-driver-{flavoured}" if full else f"nvidia-headless-no-dkms-{flavoured}"
    return (Named(whole), Named(f"nvidia-utils-{branch}-server"))


def _rhel(branch: int, is_open: bool, full: bool) -> tuple[Named, ...]:
    names = ["nvidia-driver-cuda", "nvidia-persistenced", *(["nvidia-driver"] if full else [])]
    # It keeps dnf from kernels that no module is built for yet.
    return (*map(Named, names), Named("dnf-plugin-nvidia", versioned=False))


def _nvidia_ubuntu(branch: int, is_open: bool, full: bool) -> tuple[Named, ...]:
    suffix = "" if branch >= _NO_SUFFIX_SINCE else f"-{branch}"
    names = [f"nvidia-dkms{suffix}{'-open' if is_open else ''}", f"libnvidia-compute{suffix}", f"nvidia-utils{suffix}"]
    return _of_nvidia(names, f"nvidia-open{suffix}" if is_open else f"cuda-drivers{suffix}", full=full)


def _nvidia_debian(branch: int, is_open: bool, full: bool) -> tuple[Named, ...]:
    module = "nvidia-kernel-open-dkms" if is_open else "nvidia-kernel-dkms"
    return _of_nvidia([module, "nvidia-driver-cuda"], "nvidia-open" if is_open else "cuda-drivers", full=full)


def _nvidia_el(branch: int, is_open: bool, full: bool) -> tuple[Named, ...]:
    module = "kmod-nvidia-open-dkms" if is_open else "kmod-nvidia-latest-dkms"
    return _of_nvidia([module, "nvidia-driver-cuda"], "nvidia-open" if is_open else "cuda-drivers", full=full)


def _of_nvidia(parts: list[str], whole: str, *, full: bool) -> tuple[Named, ...]:
    return tuple(map(Named, [*parts, "nvidia-persistenced", *([whole] if full else [])]))


_DRIVERS: dict[Scheme, t.Callable[[int, bool, bool], tuple[Named, ...]]] = {
    "debian": _debian,
    "ubuntu": _ubuntu,
    "rhel": _rhel,
    "nvidia_debian": _nvidia_debian,
    "nvidia_ubuntu": _nvidia_ubuntu,
    "nvidia_el": _nvidia_el,
}
