# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.cuda_toolkit.build import build, facts
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform

PLATFORM = {
    "name": "Debian",
    "release": "bookworm",
    "architecture": "x86_64",
    "distribution_package": "nvidia-cuda-toolkit",
    "distribution_needs": ["g++"],
    "releases": {"bookworm": {"directory": "debian12", "key": "k.pub", "fingerprint": "F00D"}},
}
VENDOR = {
    "source": "vendor",
    "versions": ["13.4"],
    "default": "",
    "components": ["toolkit"],
    "profile": True,
    "cudnn": {},
    "nccl": {},
    "repository_url": "https://mirror.example.org/repos/",
    "repository_key": "KEY",
    "repository_fingerprint": "",
}
DISTRIBUTION = {**VENDOR, "source": "distribution", "versions": ["11.8"], "repository_key": ""}


def built(options, platform=PLATFORM):
    host = Platform(
        distribution=platform["name"],
        distribution_release=platform["release"],
        architecture=platform["architecture"],
        known={"platform": platform},
    )
    return build({"state": "present", "check_driver": True, **options}, host)


def request(options, platform=PLATFORM):
    found = built(options, platform)
    component = {key: value for key, value in (found.component or {}).items() if key not in ("name", "state")}
    return {"problems": list(found.problems), "component": component, **(found.verify or {})}


def asked(desired=VENDOR, platform=PLATFORM, **more):
    found = request({**desired, **more}, platform)
    assert found["problems"] == []
    return found


def names(found):
    return [package["name"] for package in found["component"]["packages"]]


@pytest.mark.parametrize(
    "platform", [PLATFORM, pytest.param({**PLATFORM, "release": "38", "name": "Fedora"}, id="unknown-platform")]
)
def test_nothing_is_nothing(platform):
    nothing = {**VENDOR, "state": "present", "versions": [], "repository_key": ""}
    assert built(nothing, platform) == Built()
    assert facts(nothing) == ()


def test_absent_needs_no_platform():
    absent = {**VENDOR, "state": "absent"}
    assert facts(absent) == ()
    assert build(absent, Platform()).component == {"name": "cuda_toolkit", "state": "absent"}


DRIVER = {
    "verdict": "ok",
    "installed": {"version": "535.309.01"},
    "loaded": {"version": "535.309.01"},
    "gpus": [{"generation": "hopper"}, {"generation": None}],
}


@pytest.mark.parametrize(
    ("options", "driver", "words"),
    [
        pytest.param({}, DRIVER, "CUDA 13.4 needs driver 580 or newer, and 535.309.01 is there", id="too-old"),
        pytest.param({"components": ["toolkit", "compat"]}, DRIVER, "", id="its-own-library"),
        pytest.param({"versions": ["12.2"]}, DRIVER, "", id="fits"),
        pytest.param(
            {},
            {**DRIVER, "verdict": "absent", "loaded": {"version": None}},
            "",
            id="libraries-without-a-module-are-no-driver",
        ),
        pytest.param(
            {},
            {**DRIVER, "installed": {"version": None}},
            "and 535.309.01 is there",
            id="what-runs-counts-where-nothing-is-installed",
        ),
    ],
)
def test_the_driver_and_the_gpus_decide(options, driver, words):
    found = " ".join(built({**VENDOR, **options}).conflicts(driver, {}, False))
    assert words in found if words else not found
    assert not found or "cuda_toolkit_check_driver: false" in found


def test_nobody_is_asked_about_the_driver_where_it_does_not_count():
    assert built({**VENDOR, "check_driver": False}).question is None
    assert built({**VENDOR, "versions": [], "cudnn": {}, "nccl": {"version": "2.32.3-1+cuda13.4"}}).question is None


def test_toolkits_stand_side_by_side():
    found = asked(versions=["13-4", "12.9"], default="12-9", components=["toolkit", "compat"])
    assert names(found) == ["cuda-toolkit-13-4", "cuda-compat-13-4", "cuda-toolkit-12-9", "cuda-compat-12-9"]
    assert all(package["hold"] for package in found["component"]["packages"])
    assert found["component"]["links"] == [
        {"path": "/etc/alternatives/cuda", "target": "/usr/local/cuda-12.9", "on_change": "none"}
    ]
    assert found["compilers"] == {"13.4": "/usr/local/cuda-13.4/bin/nvcc", "12.9": "/usr/local/cuda-12.9/bin/nvcc"}


@pytest.mark.parametrize(
    ("more", "targets"),
    [
        pytest.param({"versions": ["9.9", "13.4", "12.9"]}, ["/usr/local/cuda-13.4"], id="the-newest"),
        pytest.param({"versions": ["13.4"], "components": ["cudart"]}, [], id="none-without-a-whole-toolkit"),
        pytest.param({"default": "13.4", "components": ["cudart"]}, ["/usr/local/cuda-13.4"], id="as-asked-for"),
    ],
)
def test_the_default(more, targets):
    assert [link["target"] for link in asked(**more)["component"]["links"]] == targets


def test_the_repository_is_that_of_the_host():
    (repository,) = asked(platform={**PLATFORM, "architecture": "aarch64"})["component"]["repositories"]
    assert repository["uris"] == ["https://mirror.example.org/repos/debian12/sbsa/"]
    assert (repository["suites"], repository["key"], repository["fingerprint"]) == (["/"], "KEY", "F00D")
    assert asked(repository_fingerprint="CAFE")["component"]["repositories"][0]["fingerprint"] == "CAFE"


def test_parts_are_named_as_their_packages():
    found = asked(components=["libraries", "libraries-dev", "libcublas", "cuda-nvcc", "cudart"])
    assert names(found) == [
        "cuda-libraries-13-4",
        "cuda-libraries-dev-13-4",
        "libcublas-13-4",
        "cuda-nvcc-13-4",
        "cuda-cudart-13-4",
    ]
    assert found["compilers"] == {}
    assert asked(components=["nvcc"])["compilers"] == {"13.4": "/usr/local/cuda-13.4/bin/nvcc"}


def test_libraries_are_pinned_before_they_are_installed():
    found = asked(
        versions=["13.4", "13.3", "12.9"],
        cudnn={"version": "9.28.1.10-1"},
        nccl={"version": "2.32.3-1+cuda13.4"},
        profile=False,
    )
    versions = {package["name"]: package["version"] for package in found["component"]["packages"][3:]}
    assert versions == {
        "libcudnn9-cuda-12": "9.28.1.10-1",
        "libcudnn9-dev-cuda-12": "9.28.1.10-1",
        "libcudnn9-cuda-13": "9.28.1.10-1",
        "libcudnn9-dev-cuda-13": "9.28.1.10-1",
        "libnccl2": "2.32.3-1+cuda13.4",
        "libnccl-dev": "2.32.3-1+cuda13.4",
    }
    (file,) = found["component"]["files"]
    assert file["before_packages"] and file["on_change"] == "none"
    assert (
        "Package: libcudnn9-* cudnn9-*\nPin: version 9.28.1.10-1\nPin-Priority: 1001\n\n"
        "Package: libnccl2 libnccl-dev\nPin: version 2.32.3-1+cuda13.4\nPin-Priority: 1001\n"
    ) in file["content"]


def test_nccl_alone_needs_no_toolkit():
    found = asked(versions=[], nccl={"version": "2.32.3-1+cuda13.4"})
    assert names(found) == ["libnccl2", "libnccl-dev"]
    assert [file["path"] for file in found["component"]["files"]] == ["/etc/apt/preferences.d/mlops-cuda-toolkit"]


def test_the_profile_is_for_toolkits():
    assert [file["path"] for file in asked()["component"]["files"]] == ["/etc/profile.d/cuda.sh"]


def test_the_distribution_has_one_package():
    found = asked(DISTRIBUTION)
    assert found["component"]["packages"] == [
        {"name": "nvidia-cuda-toolkit", "version": "11.8.*", "hold": True, "on_change": "none"},
        {"name": "g++", "on_change": "none"},
    ]
    assert found["component"]["repositories"] == found["component"]["files"] == []
    assert found["compilers"] == {"11.8": "/usr/bin/nvcc"}


@pytest.mark.parametrize(
    ("more", "part"),
    [
        pytest.param({"versions": ["13"]}, "'13', and each must be one release", id="major-alone"),
        pytest.param({"versions": ["latest"]}, "'latest', and each must be one release", id="latest"),
        pytest.param({"versions": ["13.4", "13-4"]}, "has 13.4 twice", id="twice"),
        pytest.param({"default": "12.9"}, "cuda_toolkit_default is 12.9, which is not among", id="default-not-there"),
        pytest.param({"components": ["drivers"]}, "'drivers', whose package brings a driver", id="drivers"),
        pytest.param({"components": ["cuda-drivers-580"]}, "whose package brings a driver", id="drivers-of-a-branch"),
        pytest.param({"components": ["cuda"]}, "whose package brings a driver", id="the-metapackage"),
        pytest.param({"components": ["runtime"]}, "whose package brings a driver", id="runtime"),
        pytest.param({"components": ["nvcc=1"]}, "no part of a package's name", id="odd-name"),
        pytest.param({"components": []}, "cuda_toolkit_components is empty", id="no-components"),
        pytest.param({"cudnn": {"version": "9"}}, "cuda_toolkit_cudnn has version '9'", id="cudnn-not-exact"),
        pytest.param(
            {"cudnn": {"version": "9.28.1.10-1"}, "versions": []}, "for each major release", id="cudnn-for-what"
        ),
        pytest.param({"nccl": {"version": "2.32.3-1"}}, "write it with its CUDA", id="nccl-for-what"),
        pytest.param({"nccl": {"version": "2.32.3-1+cuda12.9"}}, "for CUDA 12, and", id="nccl-for-another"),
        pytest.param({"repository_key": ""}, "cuda_toolkit_repository_key is not set", id="no-key"),
        pytest.param({"repository_url": "https://m.example.org/sbsa"}, "another architecture", id="other-architecture"),
    ],
)
def test_what_cannot_be_meant_is_said(more, part):
    found = request({**VENDOR, **more}, PLATFORM)
    assert [problem for problem in found["problems"] if part in problem], found["problems"]
    assert found["component"] == {}


@pytest.mark.parametrize(
    ("more", "part"),
    [
        pytest.param({"versions": ["11.8", "12.4"]}, "has several; leave one", id="several"),
        pytest.param({"components": ["nvcc"]}, "packages the CUDA toolkit as one", id="parts"),
        pytest.param({"nccl": {"version": "2.32.3-1+cuda11.8"}}, "come from the vendor", id="libraries"),
    ],
)
def test_what_the_distribution_does_not_have_is_said(more, part):
    (problem,) = request({**DISTRIBUTION, **more}, PLATFORM)["problems"]
    assert part in problem


@pytest.mark.parametrize(
    ("more", "part"),
    [
        pytest.param(
            {"release": "38", "name": "Fedora"}, "cuda_toolkit knows bookworm, and this host is Fedora 38", id="release"
        ),
        pytest.param({"release": "38", "name": "X", "releases": {}}, "knows Debian and Ubuntu", id="distribution"),
        pytest.param({"architecture": "riscv64"}, "no CUDA packages for the architecture riscv64", id="machine"),
    ],
)
def test_a_host_that_is_not_known_is_said(more, part):
    (problem,) = request(VENDOR, {**PLATFORM, **more})["problems"]
    assert part in problem
