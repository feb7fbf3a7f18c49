# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake repository of NVIDIA has the true names, and everything that its packages need."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "fakes" / "fake_driver.py"
PLATFORMS = ("ubuntu", "debian", "el9", "el10")
BESIDE = {
    570: {"nvidia-fabricmanager-570", "nvidia-imex-570", "libnvidia-nscq-570"},
    580: {"nvidia-fabricmanager", "nvidia-imex", "libnvidia-nscq"},
}
NAMES = {
    ("ubuntu", "570.172.08"): BESIDE[570]
    | {"nvidia-open-570", "cuda-drivers-570", "nvidia-open", "cuda-drivers", "nvidia-dkms-570", "nvidia-dkms-570-open"}
    | {"libnvidia-compute-570", "nvidia-utils-570", "nvidia-headless-no-dkms-570-open", "nvidia-persistenced"},
    ("ubuntu", "580.178.04"): BESIDE[580] | {"nvidia-open-580", "nvidia-dkms-580-open", "libnvidia-compute-580"},
    ("ubuntu", "610.57.04"): BESIDE[580]
    | {"nvidia-open", "cuda-drivers", "libnvidia-compute", "nvidia-dkms", "nvidia-dkms-open", "nvidia-utils"},
    ("debian", "580.95.05"): BESIDE[580]
    | {"nvidia-kernel-open-dkms", "nvidia-kernel-dkms", "nvidia-driver-cuda", "nvidia-open", "cuda-drivers"},
    ("el9", "570.172.08"): {"nvidia-fabric-manager", "libnvidia-nscq-570", "nvidia-imex-570"},
    ("el10", "610.57.04"): BESIDE[580]
    | {"kmod-nvidia-open-dkms", "kmod-nvidia-latest-dkms", "nvidia-driver-cuda", "nvidia-driver-libs", "libnvidia-ml"},
}


def _described(*argv):
    done = subprocess.run([sys.executable, str(TOOL), *argv], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _packages(*argv):
    return [item for item in _described(*argv) if "name" in item]


@pytest.mark.parametrize(("platform", "version"), NAMES, ids=" ".join)
def test_names_are_those_of_the_branch(platform, version):
    found = {package["name"] for package in _packages(platform, version)}
    assert NAMES[platform, version] <= found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_dependency_is_there(platform):
    packages = _packages(platform)
    there = {f"{package['name']} = {package['version']}" for package in packages}
    there |= {name for package in packages for name in (package["name"], *package.get("provides", ()))}
    # Debian's own, on Debian.
    there |= {"dkms"}
    for package in packages:
        for need in package.get("depends", ()):
            choices = [re.sub("[()>]", "", choice) for choice in need.split(" | ")]
            assert there & set(choices), f"{package['name']} {package['version']} needs {need}"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_proprietary_module_from_615_on(platform):
    packages = _packages(platform, "610.57.04", "615.71.09")
    licences = {
        (package["version"].rpartition(":")[2][:3], re.findall('LICENSE "(.*)"', text)[0])
        for package in packages
        for path, text in package["files"].items()
        if path.endswith("/fake.h")
    }
    assert licences == {("610", "Dual MIT/GPL"), ("610", "NVIDIA"), ("615", "Dual MIT/GPL")}
    metas = {package["version"].rpartition(":")[2][:3] for package in packages if package["name"] == "cuda-drivers"}
    assert metas == {"610"}


@pytest.mark.parametrize("platform", ["ubuntu", "debian"])
def test_a_pin_for_every_branch_and_build(platform):
    packages = _packages(platform, "580.95.05", "580.178.04")
    pins = {p["name"]: p["files"] for p in packages if p["name"].startswith("nvidia-driver-pinning-")}
    assert {name.removeprefix("nvidia-driver-pinning-") for name in pins} == {"580", "580.95.05", "580.178.04"}
    (text,) = pins["nvidia-driver-pinning-580.95.05"].values()
    assert text.endswith("\nPin: version 580.95.05-*\nPin-Priority: 1000\n")
    assert "pinning" not in text


def test_streams_have_one_branch_and_one_flavour_each():
    modules = next(item["modules"] for item in _described("el9") if "modules" in item)
    data = [document["data"] for document in yaml.safe_load_all(modules)]
    streams = {item["stream"]: item["artifacts"]["rpms"] for item in data if "artifacts" in item}
    assert {"open-dkms", "latest-dkms", "580-open", "580-dkms", "615-open"} <= set(streams)
    assert "615-dkms" not in streams
    assert {rpm.split(":")[1][:3] for rpm in streams["580-dkms"]} == {"580"}
    assert not [rpm for rpm in streams["580-dkms"] if "open" in rpm]
    assert [rpm for rpm in streams["open-dkms"] if rpm.startswith("nvidia-open-3:615.71.09-1.el9.x86_64")]


def test_a_kernel_can_be_too_new():
    header = next(
        t
        for p in _packages("--kernels-below=6.12", "debian", "580.95.05")
        for t in p["files"].values()
        if "KERNEL_VERSION" in t
    )
    assert "KERNEL_VERSION(6, 12, 0)" in header
