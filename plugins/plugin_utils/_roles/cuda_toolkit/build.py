# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``cuda_toolkit`` into component data, and says what is wrong with them. Pure."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._driver import compat
from ....module_utils._driver.compat import release
from ..built import Built, Data, Question
from ..nvidia_repository import Repository
from ..platform import Platform

# The repository is the one that drivers come from, too: role gpu_driver has it by the same name.
REPOSITORY = "nvidia-cuda"
PREFERENCES = "/etc/apt/preferences.d/mlops-cuda-toolkit"
PROFILE = "/etc/profile.d/cuda.sh"
# The vendor's packages register their folders as alternatives of the link /usr/local/cuda. This is the link that such a
# choice changes: owned as a link, check mode and the way back know of it.
ALTERNATIVE = "/etc/alternatives/cuda"

_EXACT = re.compile(r"\d+[.-]\d+")
_PART = re.compile(r"[a-z][a-z0-9-]*")
# They depend on a driver of their own choice, or are one.
_WITH_DRIVER = ("cuda", "runtime", "demo-suite", "drivers", "driver", "driver-dev")
_CUDNN = re.compile(r"(\d+)\.\d+\.\d+[\w.+~-]*")
_NCCL = re.compile(r"\d+\.\d+\.\d+-\d+\+cuda(\d+)\.\d+")
_PROFILE_TEXT = """\
# Managed by mlops.hosts: the programs of the CUDA toolkit that /usr/local/cuda points to.
case ":$PATH:" in
*:/usr/local/cuda/bin:*) ;;
*) PATH="/usr/local/cuda/bin:$PATH" ;;
esac
"""
_NOTHING: Data = {"repositories": [], "packages": [], "files": [], "links": []}
# A change of these can change what is right here.
AFTER = ("gpu_driver",)


def facts(options: Data) -> tuple[str, ...]:
    """A host of which nothing is desired is not asked anything."""
    if options["state"] == "absent" or not _used(options):
        return ()
    return ("distribution", "distribution_release", "architecture")


def build(options: Data, platform: Platform) -> Built:
    """With nothing desired, nothing is done: nothing is removed either, for which there is the state absent."""
    if options["state"] == "absent":
        return Built(component={"name": "cuda_toolkit", "state": "absent"})
    if not _used(options):
        return Built()
    desired = _Desired(options, platform)
    if problems := tuple(dict.fromkeys(desired.problems())):
        return Built(problems)
    ask = options["check_driver"] and desired.releases
    return Built(
        component={"name": "cuda_toolkit", "state": "present", **desired.component()},
        question=Question("mlops.hosts.driver_info", {"vendor": "nvidia"}) if ask else None,
        conflicts=lambda driver, _compared, _dry_run: _conflicts(options, driver),
        verify={"compilers": desired.compilers(), "default": desired.target},
    )


def _used(options: Data) -> bool:
    return bool(options["versions"] or options["cudnn"] or options["nccl"])


def _conflicts(options: Data, driver: Data) -> list[str]:
    """``driver``: what driver_info returned.

    The driver that is installed is the one that runs from the next boot on; its libraries without a module are no
    driver. With the package for forward compatibility it is the library of that package that counts. A GPU that no
    table has is no reason to refuse.
    """
    installed = driver["installed"]["version"] if driver["verdict"] != "absent" else None
    found = compat.conflicts(
        {"cuda": options["versions"]},
        driver=None if "compat" in options["components"] else installed or driver["loaded"]["version"],
        generations=list(dict.fromkeys(gpu["generation"] for gpu in driver["gpus"] if gpu["generation"])),
    )
    advice = "Change the driver or cuda_toolkit_versions; cuda_toolkit_check_driver: false installs it nevertheless."
    return [*found, advice] if found else []


class _Desired:
    def __init__(self, options: Data, platform: Platform) -> None:
        self.options, self.platform = options, platform
        self.known: Data = platform.known.get("platform") or {"releases": {}}
        self.versions = [str(version).strip() for version in options.get("versions") or ()]
        self.releases = [version.replace("-", ".") for version in self.versions]
        self.default = str(options.get("default") or "").replace("-", ".")
        self.components = list(options.get("components") or ())
        if not self.default and "toolkit" in self.components:
            self.default = max(filter(release, self.releases), key=lambda found: release(found) or (), default="")
        self.cudnn = str((options.get("cudnn") or {}).get("version") or "")
        self.nccl = str((options.get("nccl") or {}).get("version") or "")
        self.vendor = options.get("source") == "vendor"
        self.of_release = self.known["releases"].get(platform.distribution_release)
        self.target = f"/usr/local/cuda-{self.default}" if self.vendor and self.default else None

    def problems(self) -> t.Iterator[str]:
        if self.of_release is None:
            known = ", ".join(self.known["releases"]) or "Debian and Ubuntu"
            host = f"{self.platform.distribution} {self.platform.distribution_release}"
            yield f"cuda_toolkit knows {known}, and this host is {host}; take it out of the play."
            return
        for version in self.versions:
            if not _EXACT.fullmatch(version):
                yield (
                    f"cuda_toolkit_versions has {version!r}, and each must be one release, such as 13.4: the packages "
                    "without one move to another release by themselves."
                )
        twice = sorted({name for name in self.releases if self.releases.count(name) > 1})
        if twice:
            yield f"cuda_toolkit_versions has {', '.join(twice)} twice."
        yield from self._problems_of_the_vendor() if self.vendor else self._problems_of_the_distribution()

    def _problems_of_the_vendor(self) -> t.Iterator[str]:
        if self.default and self.default not in self.releases:
            yield f"cuda_toolkit_default is {self.default}, which is not among cuda_toolkit_versions."
        for part in self.components:
            if re.sub(r"^cuda-", "", part) in _WITH_DRIVER or part.startswith("cuda-drivers"):
                yield (
                    f"cuda_toolkit_components has {part!r}, whose package brings a driver along; drivers are for role "
                    "gpu_driver, and libraries is what programs need to run."
                )
            elif not _PART.fullmatch(part):
                yield f"cuda_toolkit_components has {part!r}, which is no part of a package's name; write nvcc, say."
        if self.versions and not self.components:
            yield "cuda_toolkit_components is empty; write toolkit for all of it."
        majors = self._majors()
        if self.cudnn and not _CUDNN.fullmatch(self.cudnn):
            yield f"cuda_toolkit_cudnn has version {self.cudnn!r}; write one such as 9.28.1.10-1."
        if self.cudnn and not majors:
            yield "cuda_toolkit_cudnn is packaged for each major release of CUDA; ask for one in cuda_toolkit_versions."
        nccl = _NCCL.fullmatch(self.nccl)
        if self.nccl and not nccl:
            yield (
                f"cuda_toolkit_nccl has version {self.nccl!r}; write it with its CUDA, such as 2.32.3-1+cuda13.4: the "
                "same version is built for several."
            )
        if nccl and majors and nccl[1] not in majors:
            yield f"cuda_toolkit_nccl {self.nccl} is for CUDA {nccl[1]}, and cuda_toolkit_versions has none of it."
        yield from self._repository().problems("CUDA")

    def _problems_of_the_distribution(self) -> t.Iterator[str]:
        if len(self.versions) > 1:
            yield "The distribution has one CUDA toolkit, and cuda_toolkit_versions has several; leave one."
        if self.default and self.default not in self.releases:
            yield f"cuda_toolkit_default is {self.default}, which is not among cuda_toolkit_versions."
        if self.components != ["toolkit"]:
            yield "The distribution packages the CUDA toolkit as one; cuda_toolkit_components must be [toolkit]."
        if self.cudnn or self.nccl:
            yield "cuda_toolkit_cudnn and cuda_toolkit_nccl come from the vendor; set cuda_toolkit_source to vendor."

    def component(self) -> dict[str, t.Any]:
        if not self.vendor:
            pattern = f"{self.releases[0]}.*"
            packages = [_held(self.known["distribution_package"], pattern)]
            packages += [{"name": name, "on_change": "none"} for name in self.known["distribution_needs"]]
            return {**_NOTHING, "packages": packages}
        pinned = self._pinned()
        files = []
        if pinned:
            stanzas = [
                f"Package: {globs}\nPin: version {version}\nPin-Priority: 1001\n" for globs, version, _n in pinned
            ]
            text = "# Managed by mlops.hosts: versions that cuda_toolkit pins.\n" + "\n".join(stanzas)
            files.append({"path": PREFERENCES, "content": text, "before_packages": True, "on_change": "none"})
        if self.options.get("profile") and self.versions:
            files.append({"path": PROFILE, "content": _PROFILE_TEXT, "on_change": "none"})
        return {
            "repositories": [self._repository().data(REPOSITORY, flat=True)],
            "packages": [
                *(_held(_package(part, found)) for found in self.releases for part in self.components),
                *(_held(name, version) for _globs, version, names in pinned for name in names),
            ],
            "files": files,
            "links": [{"path": ALTERNATIVE, "target": self.target, "on_change": "none"}] if self.target else [],
        }

    def compilers(self) -> dict[str, str]:
        if not self.vendor:
            return {found: "/usr/bin/nvcc" for found in self.releases}
        if not {"toolkit", "nvcc"} & set(self.components):
            return {}
        return {found: f"/usr/local/cuda-{found}/bin/nvcc" for found in self.releases}

    def _pinned(self) -> list[tuple[str, str, list[str]]]:
        """What apt is not to move: names as its preferences take them, the version, and those to install."""
        found = []
        if self.cudnn:
            major = self.cudnn.partition(".")[0]
            names = [f"libcudnn{major}-{kind}cuda-{cuda}" for cuda in sorted(self._majors()) for kind in ("", "dev-")]
            # Its other packages are dependencies of these, of exactly the same version.
            found.append((f"libcudnn{major}-* cudnn{major}-*", self.cudnn, names))
        if self.nccl:
            found.append(("libnccl2 libnccl-dev", self.nccl, ["libnccl2", "libnccl-dev"]))
        return found

    def _majors(self) -> set[str]:
        return {str(found[0]) for found in map(release, self.releases) if found}

    def _repository(self) -> Repository:
        return Repository.of(
            "cuda_toolkit", self.options, t.cast(Data, self.of_release), str(self.platform.architecture)
        )


def _package(part: str, found: str) -> str:
    """The name of a part for one release, such as cuda-toolkit-13-4 and libcublas-13-4."""
    prefix = "" if re.match(r"cuda-|lib(?!raries)", part) else "cuda-"
    return f"{prefix}{part}-{found.replace('.', '-')}"


def _held(name: str, version: str | None = None) -> dict[str, t.Any]:
    return {"name": name, "version": version, "hold": True, "on_change": "none"}
