# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is pinned, from the files that it is used from: locks, vars of roles, the execution environment.

What a distribution's own index has, by name alone, is no pin; docs/sbom.cdx.json names it.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import typing as t
from pathlib import Path

import yaml

from tools.pins.locks import locked
from tools.sbom.__main__ import role_vars

ROOT = Path(__file__).resolve().parents[2]
LOCKS = (
    "requirements.lock",
    "roles/ray_cluster/files/ray.txt",
    "molecule/model_server_vllm/data/vllm-cpu.txt",
    "molecule/model_server_sglang/data/sglang.txt",
)
# tools/engine_wheels.py makes this one, and compares it with its pin; no index has it.
MADE_HERE = ("molecule/model_server_vllm/data/vllm-cpu.txt", "vllm")
_EE = "examples/execution-environment/execution-environment.yml"
# Assignments in programs: a list, or a dictionary of versions of one package.
_IN_PROGRAMS = (("benchmarks/gateway.py", "WHEELS", ""), ("tools/release/compat.py", "CANDIDATES", "ansible-core"))
_DRIVERS = ("nvidia-driver", "nvidia-open", "cuda-drivers")


@dataclasses.dataclass(frozen=True)
class Wheels:
    """A release of a Python package. ``hashes`` are of sha256, and empty where only the version is pinned."""

    file: str
    name: str
    version: str
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        count = f", {len(self.hashes)} hash{'es' * (len(self.hashes) > 1)}" if self.hashes else ""
        return f"{self.file}: {self.name} {self.version}{count}"


@dataclasses.dataclass(frozen=True)
class Repository:
    """``kind``: flat and debian are of apt, rpm is of dnf. Debian's own is that of this machine: ``url`` is empty."""

    kind: str
    url: str
    suite: str = ""

    def __str__(self) -> str:
        return f"{self.url or 'the archive of'}{f' {self.suite}' if self.suite else ''}"


@dataclasses.dataclass(frozen=True)
class Package:
    """A version, or the beginning of one, of the packages with such names."""

    file: str
    names: tuple[str, ...]
    version: str
    repository: Repository

    def __str__(self) -> str:
        return f"{self.file}: {self.names[0]} {self.version}, {self.repository}"


@dataclasses.dataclass(frozen=True)
class Key:
    """An OpenPGP key by its fingerprint, at a URL or in a file of the repository."""

    file: str
    fingerprint: str
    at: str

    def __str__(self) -> str:
        return f"{self.file}: key {self.fingerprint}, {self.at}"


@dataclasses.dataclass(frozen=True)
class Image:
    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.file}: image {self.name}"


Pin = t.Union[Wheels, Package, Key, Image]


def pins(root: Path = ROOT) -> list[Pin]:
    return [*_locks(root), *_programs(root), *_environment(root), *_toolkits(root), *_releases(root), *_keys(root)]


def _locks(root: Path) -> t.Iterator[Pin]:
    for file in LOCKS:
        yield from (Wheels(file, *one) for one in locked((root / file).read_text()))


def _programs(root: Path) -> t.Iterator[Pin]:
    for file, variable, package in _IN_PROGRAMS:
        (value,) = re.findall(rf"^{variable} = (.+)$", (root / file).read_text(), re.MULTILINE)
        given = ast.literal_eval(value)
        lines = [f"{package}=={one}" for one in given.values()] if package else given
        yield from (Wheels(file, *one) for one in locked("\n".join(lines)))


def _environment(root: Path) -> t.Iterator[Pin]:
    definition = yaml.safe_load((root / _EE).read_text())
    for one in definition["dependencies"].values():
        if "package_pip" in one:
            yield from (Wheels(_EE, *found) for found in locked(one["package_pip"]))
    yield Image(_EE, definition["images"]["base_image"]["name"])


def _toolkits(root: Path) -> t.Iterator[Pin]:
    file = "roles/container_runtime/vars/any.yml"
    known = role_vars(root, "container_runtime", "any")["vendors"]["toolkits"]
    nvidia, amd = known["nvidia"], known["amd"]
    base = f"{nvidia['host']}/libnvidia-container/stable"
    for repository in (Repository("flat", f"{base}/deb/amd64"), Repository("rpm", f"{base}/rpm/x86_64")):
        yield Package(file, ("nvidia-container-toolkit",), str(nvidia["version"]), repository)
    for family in ("Ubuntu", "RedHat"):
        for release in role_vars(root, "container_runtime", family)["platform"]["releases"].values():
            if codename := release.get("amd_codename"):
                at = Repository("debian", f"{amd['host']}/amd-container-toolkit/apt", f"{codename}/main")
            elif directory := release.get("amd_directory"):
                at = Repository("rpm", f"{amd['host']}/amd-container-toolkit/{directory}/main")
            else:
                continue
            yield Package(file, ("amd-container-toolkit",), str(amd["version"]), at)


def _releases(root: Path) -> t.Iterator[Pin]:
    """Of drivers: the vendor's version, the distribution's own, and the key of the vendor's repository."""
    url = yaml.safe_load((root / "roles/gpu_driver/defaults/main.yml").read_text())["gpu_driver_repository_url"]
    for path in sorted((root / "roles/gpu_driver/vars").glob("[A-Z]*.yml")):
        file, platform = path.relative_to(root).as_posix(), role_vars(root, "gpu_driver", path.stem)["platform"]
        for name, release in platform["releases"].items():
            at = f"{url}/{release['directory']}/x86_64"
            kind = "rpm" if platform["manager"] == "dnf" else "flat"
            if version := release["default_version"].get("vendor"):
                yield Package(file, _DRIVERS, version, Repository(kind, at))
            if version := release["default_version"].get("distribution"):
                where = f"{platform['name']} {name}"
                yield Package(file, _DRIVERS, version, Repository("debian", "", where))
            if release["fingerprint"]:
                yield Key(file, release["fingerprint"], f"{at}/{release['key']}")


def _keys(root: Path) -> t.Iterator[Pin]:
    known = role_vars(root, "container_runtime", "any")["vendors"]
    docker, nvidia = known["docker"], known["toolkits"]["nvidia"]
    for family in ("Debian", "Ubuntu", "RedHat"):
        platform = role_vars(root, "container_runtime", family)["platform"]
        fingerprint = platform.get("docker_fingerprint", docker["fingerprint"])
        for path in (platform["docker_path"], *platform.get("docker_paths", {}).values()):
            yield Key(f"roles/container_runtime/vars/{family}.yml", fingerprint, f"{docker['host']}/{path}/gpg")
    yield Key("roles/container_runtime/vars/any.yml", nvidia["fingerprint"], nvidia["key_url"])
    for shipper in role_vars(root, "log_shipper", "Debian")["shippers"].values():
        if repository := shipper.get("repository"):
            at = f"roles/log_shipper/files/{repository['key_src']}"
            yield Key("roles/log_shipper/vars/Debian.yml", repository["fingerprint"], at)
