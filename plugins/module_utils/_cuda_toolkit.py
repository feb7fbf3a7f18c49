# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns what the role ``cuda_toolkit`` was asked for into component data, and says what is wrong with it. Pure."""

from __future__ import annotations

import re
import typing as t

from ._driver.compat import release
from ._driver.repository import Repository

Data = t.Mapping[str, t.Any]

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
# Laid down by mlops.hosts: the programs of the CUDA toolkit that /usr/local/cuda points to.
case ":$PATH:" in
*:/usr/local/cuda/bin:*) ;;
*) PATH="/usr/local/cuda/bin:$PATH" ;;
esac
"""
_NOTHING: Data = {"repositories": [], "packages": [], "files": [], "links": []}


def request(wanted: Data, platform: Data) -> dict[str, t.Any]:
    """Returns ``problems`` (sentences), ``component`` (options of the module component) and ``compilers``: the compiler
    by release, where one is among what was asked for.

    ``wanted`` has the role's variables without their prefix, ``platform`` what the role knows of the host.
    """
    asked = _Asked(wanted, platform)
    if not asked.anything:
        return {"problems": [], "component": dict(_NOTHING), "compilers": {}}
    problems = list(dict.fromkeys(asked.problems()))
    if problems:
        return {"problems": problems, "component": dict(_NOTHING), "compilers": {}}
    return {"problems": [], "component": asked.component(), "compilers": asked.compilers()}


class _Asked:
    def __init__(self, wanted: Data, platform: Data) -> None:
        self.wanted, self.platform = wanted, platform
        self.versions = [str(version).strip() for version in wanted.get("versions") or ()]
        self.releases = [version.replace("-", ".") for version in self.versions]
        self.default = str(wanted.get("default") or "").replace("-", ".")
        self.components = list(wanted.get("components") or ())
        if not self.default and "toolkit" in self.components:
            self.default = max(filter(release, self.releases), key=lambda found: release(found) or (), default="")
        self.cudnn = str((wanted.get("cudnn") or {}).get("version") or "")
        self.nccl = str((wanted.get("nccl") or {}).get("version") or "")
        self.vendor = wanted.get("source") == "vendor"
        self.anything = bool(self.versions or self.cudnn or self.nccl)
        self.of_release = platform["releases"].get(platform["release"])

    def problems(self) -> t.Iterator[str]:
        if self.of_release is None:
            known = ", ".join(self.platform["releases"]) or "Debian and Ubuntu"
            yield (
                f"cuda_toolkit knows {known}, and this host is {self.platform['name']} {self.platform['release']}; "
                "take it out of the play."
            )
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
            packages = [_held(self.platform["distribution_package"], pattern)]
            packages += [{"name": name, "on_change": "none"} for name in self.platform["distribution_needs"]]
            return {**_NOTHING, "packages": packages}
        pinned = self._pinned()
        files = []
        if pinned:
            stanzas = [
                f"Package: {globs}\nPin: version {version}\nPin-Priority: 1001\n" for globs, version, _n in pinned
            ]
            text = "# Laid down by mlops.hosts: versions that cuda_toolkit pins.\n" + "\n".join(stanzas)
            files.append({"path": PREFERENCES, "content": text, "early": True, "on_change": "none"})
        if self.wanted.get("profile") and self.versions:
            files.append({"path": PROFILE, "content": _PROFILE_TEXT, "on_change": "none"})
        return {
            "repositories": [self._repository().data(REPOSITORY, flat=True)],
            "packages": [
                *(_held(_package(part, found)) for found in self.releases for part in self.components),
                *(_held(name, version) for _globs, version, names in pinned for name in names),
            ],
            "files": files,
            "links": [self._link()] if self.default else [],
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

    def _link(self) -> dict[str, t.Any]:
        return {"path": ALTERNATIVE, "target": f"/usr/local/cuda-{self.default}", "on_change": "none"}

    def _majors(self) -> set[str]:
        return {str(found[0]) for found in map(release, self.releases) if found}

    def _repository(self) -> Repository:
        return Repository.of("cuda_toolkit", self.wanted, t.cast(Data, self.of_release), self.platform["architecture"])


def _package(part: str, found: str) -> str:
    """The name of a part for one release, such as cuda-toolkit-13-4 and libcublas-13-4."""
    prefix = "" if re.match(r"cuda-|lib(?!raries)", part) else "cuda-"
    return f"{prefix}{part}-{found.replace('.', '-')}"


def _held(name: str, version: str | None = None) -> dict[str, t.Any]:
    return {"name": name, "version": version, "hold": True, "on_change": "none"}
