# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the role's variables and a host to a component, row by row."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.module_utils._driver.types import (
    Desired,
    FabricManager,
    Gpu,
    Installed,
    Kernel,
    Loaded,
    Mismatch,
    Module,
    Mok,
    Package,
    State,
    Verdict,
    as_result,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_driver import package_names as names
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_driver.build import (
    asks,
    build,
    facts,
    leftovers,
    resources,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import platform as of_platform

ROLE = pathlib.Path(__file__).parents[5] / "roles" / "gpu_driver"
A100, V100, B200 = "10de:20b2", "10de:1db5", "10de:2901"
GENERATIONS = {A100: "ampere", V100: "volta", B200: "blackwell", "10de:ffff": None}


def platform(distribution, release):
    text = yaml.safe_load((ROLE / "vars" / f"{distribution}.yml").read_text())
    return {**text["__gpu_driver_platform"], "release": release}


def desired(**more):
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    read = ("source", "version", "flavour", "profile", "modules", "repository_url", "repository_key")
    read += (
        "amd_mirror",
        "rocm_version",
        "rocm_architectures",
        "rocm_repository_key",
        "rocm_repository_fingerprint",
        "repository_fingerprint",
        "fabric_manager",
        "imex",
        "persistence",
        "unattended",
        "vendor",
    )
    found = {name: defaults[f"gpu_driver_{name}"] for name in read}
    return {**found, "repository_key": "a key", "repository_fingerprint": "a fingerprint", **more}


def seen(*ids, verdict="absent", **more):
    gpus = tuple(
        Gpu(f"0000:{number:02x}:00.0", pci_id, GENERATIONS[pci_id]) for number, pci_id in enumerate(ids or [A100])
    )
    more = {"vendor": "nvidia", "architecture": "x86_64", "kernels": (Kernel("6.1.0-1-amd64"),), **more}
    return as_result(State(gpus=gpus, **more), Desired(), Verdict(verdict))


def answer(distribution="Debian", release="bookworm", host=None, **more):
    return resources(desired(**more), platform(distribution, release), host or seen())


def packages(asked):
    return {item["name"]: item.get("version") for item in asked["component"]["packages"]}


def content(asked, name):
    return next(item["content"] for item in asked["component"]["files"] if item["path"].endswith(name))


DEBIAN = Package("libcuda1", "535.309.01-0+deb12u1", source="distribution")


@pytest.mark.parametrize(
    ("distribution", "release", "more", "desired"),
    [
        (
            "Debian",
            "bookworm",
            {"version": "580"},
            {
                "nvidia-driver-pinning-580": None,
                "linux-headers-6.1.0-1-amd64": None,
                "nvidia-kernel-open-dkms": "580.*",
                "nvidia-driver-cuda": "580.*",
                "nvidia-persistenced": "580.*",
            },
        ),
        (
            "Debian",
            "bookworm",
            {"version": "610.57.04", "profile": "full", "imex": True},
            {
                "nvidia-driver-pinning-610.57.04": None,
                "linux-headers-6.1.0-1-amd64": None,
                "nvidia-kernel-open-dkms": "610.57.04-*",
                "nvidia-driver-cuda": "610.57.04-*",
                "nvidia-persistenced": "610.57.04-*",
                "nvidia-open": "610.57.04-*",
                "nvidia-imex": "610.57.04-*",
            },
        ),
        (
            "Ubuntu",
            "noble",
            {"version": "570", "fabric_manager": "always", "flavour": "proprietary"},
            {
                "nvidia-driver-pinning-570": None,
                "linux-headers-6.1.0-1-amd64": None,
                "nvidia-dkms-570": "570.*",
                "libnvidia-compute-570": "570.*",
                "nvidia-utils-570": "570.*",
                "nvidia-persistenced": "570.*",
                "nvidia-fabricmanager-570": "570.*",
                "libnvidia-nscq-570": "570.*",
            },
        ),
        (
            "Ubuntu",
            "noble",
            {"version": "580", "source": "distribution", "fabric_manager": "always"},
            {
                "nvidia-headless-no-dkms-580-server-open": "580.*",
                "nvidia-utils-580-server": "580.*",
                "linux-modules-nvidia-580-server-open-6.1.0-1-amd64": None,
                "nvidia-fabricmanager-580": "580.*",
                "libnvidia-nscq-580": "580.*",
            },
        ),
        (
            "RedHat",
            "9",
            {"version": "580.178.04"},
            {
                "kmod-nvidia-open-dkms": "580.178.04",
                "nvidia-driver-cuda": "580.178.04",
                "nvidia-persistenced": "580.178.04",
            },
        ),
    ],
)
def test_one_statement_drives_all_packages(distribution, release, more, desired):
    asked = answer(distribution, release, **more)
    assert asked["problems"] == []
    assert packages(asked) == desired


@pytest.mark.parametrize(
    ("host", "more", "sentence"),
    [
        (seen(V100), {"flavour": "open"}, "The open kernel module does not drive Volta"),
        (seen(V100), {"version": "610"}, "Driver branch 610 does not drive Volta"),
        (seen(B200), {"flavour": "proprietary"}, "The proprietary kernel module does not drive Blackwell"),
        (seen(V100, B200), {}, "No driver serves both"),
        (seen("10de:ffff"), {}, "No table knows the PCI id 10de:ffff"),
        (seen(), {"version": "latest"}, "must be a branch such as 580 or an exact version"),
        (seen(), {"repository_key": ""}, "gpu_driver_repository_key is not set"),
        (seen(), {"modules": "prebuilt"}, "There are no prebuilt modules of source vendor for Debian"),
        (seen(architecture="riscv64"), {}, "no driver packages for the architecture riscv64"),
        (
            seen(),
            {"repository_url": "https://mirror.example/debian12/sbsa"},
            "is for another architecture than x86_64, which this host has",
        ),
        (seen(), {"source": "distribution"}, "at different versions; set gpu_driver_version to the exact one"),
        (
            seen(fabric_manager=FabricManager(needed=True)),
            {"source": "distribution", "version": "535.261.03"},
            "a fabric manager, which its NVSwitches need, and Debian has no package of it",
        ),
    ],
)
def test_what_cannot_be_is_refused(host, more, sentence):
    asked = answer(host=host, **more)
    assert sentence in " ".join(asked["problems"])
    assert asked["component"]["packages"] == []


def test_enterprise_linux_has_no_distribution_source():
    assert (
        "set gpu_driver_source to vendor" in answer("RedHat", "9", source="distribution", version="595")["problems"][0]
    )


def test_a_fingerprint_that_is_not_known_has_to_be_given():
    asked = answer(release="trixie", repository_fingerprint="")
    assert "gpu_driver_repository_fingerprint is not set" in asked["problems"][0]
    assert "8793F200.pub" in asked["problems"][0]


def test_volta_has_the_proprietary_module():
    asked = answer(host=seen(V100), version="580")
    assert asked["flavour"] == "proprietary"
    assert "nvidia-kernel-dkms" in packages(asked)


def test_a_driver_of_the_branch_stays_and_what_is_added_is_of_its_build():
    there = Installed("580.95.05", "open", "vendor", (Package("nvidia-driver-cuda", "580.95.05-1", source="vendor"),))
    asked = answer(host=seen(installed=there, verdict="ok"), version="580", fabric_manager="always")
    assert packages(asked)["nvidia-fabricmanager"] == "580.95.05-*"
    assert {unit["state"] for unit in asked["component"]["units"]} == {"started"}


def test_a_pin_does_not_go_along():
    pins = (Package("nvidia-driver-pinning-580.95.05", "580.95.05-1", source="vendor"),)
    there = Installed("580.95.05", "open", "vendor", (Package("nvidia-smi", "580.95.05-1", source="vendor"), *pins))
    asked = answer(host=seen(installed=there), version="580.95.05")
    assert [item["name"] for item in asked["component"]["packages"] if item.get("owned") is False] == ["nvidia-smi"]


def test_units_wait_for_the_driver():
    asked = answer(version="580")
    assert asked["component"]["units"] == [
        {"name": "nvidia-persistenced.service", "enabled": True, "state": "unmanaged"}
    ]


def test_libraries_that_others_installed_go_along_and_other_flavours_do_not():
    extra = Package("libnvidia-encode1", "535.309.01-0+deb12u1", source="distribution")
    own = Package("nvidia-modprobe", "535.309.01-0+deb12u1", source="distribution")
    other = Package("nvidia-kernel-dkms", "535.309.01-0+deb12u1", source="distribution")
    there = Installed("535.309.01", "proprietary", "distribution", (DEBIAN, extra, own, other))
    asked = answer(host=seen(installed=there), source="distribution", version="535.261.03")
    along = [item for item in asked["component"]["packages"] if item.get("owned") is False]
    assert along == [{"name": "libnvidia-encode1", "version": "535.261.03-*", "on_change": "none", "owned": False}]


def test_nothing_goes_along_to_a_branch_whose_packages_have_other_names():
    common = Package("nvidia-kernel-common", "610.57.04-1ubuntu1", source="vendor")
    there = Installed("610.57.04", "open", "vendor", (common,))
    for version, along in (("615", 1), ("570", 0)):
        asked = answer("Ubuntu", "noble", host=seen(installed=there), version=version)
        assert len([item for item in asked["component"]["packages"] if item.get("owned") is False]) == along


def test_what_stands_beside_the_driver():
    extra = Package("libnvidia-gl-570", "570.1.1-1", source="vendor")
    other = Package("nvidia-kernel-dkms", "580.95.05-1", source="vendor")
    foreign = Package("nvidia-alternative", "535.309.01-1", source="distribution")
    gone = Package("nvidia-smi", "535.309.01-1", state="config_files", source="distribution")
    own = Package("nvidia-driver-cuda", "580.95.05-1", source="vendor")
    there = Installed("580.95.05", None, None, (extra, other, foreign, gone, own))
    host = seen(installed=there, mismatches=(Mismatch("libnvidia-gl-570", "570.1.1"),))
    assert leftovers(answer(version="580"), host, "vendor") == [
        "libnvidia-gl-570",
        "nvidia-alternative",
        "nvidia-kernel-dkms",
    ]


EL_KERNELS = (Kernel("6.12.0-124.8.1.el10_1.x86_64"), Kernel("6.12.0-124.56.1.el10_1.x86_64", running=True))
RHEL_PACKAGES = {
    "nvidia-driver-cuda": "595.71.05",
    "nvidia-persistenced": "595.71.05",
    "dnf-plugin-nvidia": None,
    "kmod-nvidia-open-595.71.05-6.12.0-124.56.1": None,
}


def rhel(host=None, distribution="RedHat", **more):
    where = {**platform("RedHat", "10"), "distribution": distribution}
    return resources(desired(source="distribution", **more), where, host or seen(kernels=EL_KERNELS))


def test_red_hats_driver_has_a_signed_module_for_each_kernel_and_is_locked():
    asked = rhel(seen(kernels=EL_KERNELS, secure_boot="enabled", mok=Mok(enrolled=False)), version="595.71.05")
    assert asked["problems"] == []
    assert packages(asked) == RHEL_PACKAGES
    assert sorted(asked["modules"].values()) == [
        "kmod-nvidia-open-595.71.05-6.12.0-124.56.1",
        "kmod-nvidia-open-595.71.05-6.12.0-124.8.1",
    ]
    assert {item["hold"] for item in asked["component"]["packages"] if item.get("version")} == {True}
    assert (asked["component"]["repositories"], asked["headers"], asked["unsigned"]) == ([], [], False)
    assert [item["path"] for item in asked["component"]["files"] if "/apt/" in item["path"]] == []
    assert "rhel-10-for-x86_64-extensions-rpms" in asked["notices"][0]


def test_a_branch_of_red_hats_driver_is_the_build_that_is_there():
    there = Installed("595.71.05", "open", "distribution", (Package("nvidia-driver-cuda", "3:595.71.05-1.el10_2"),))
    asked = rhel(seen(installed=there, kernels=EL_KERNELS), version="595")
    assert (packages(asked), asked["notices"]) == (RHEL_PACKAGES, [])
    asked = rhel(version="595")
    assert "exact version: set gpu_driver_version to one of branch 595" in asked["problems"][0]


def test_modules_of_another_version_of_red_hats_driver_do_not_come_along():
    old = Package("kmod-nvidia-open-595.71.05-6.12.0-124.8.1", "3:595.71.05-1.el10_1", source="distribution")
    there = Installed("595.71.05", "open", "distribution", (old,))
    asked = rhel(seen(installed=there, kernels=EL_KERNELS), version="610.57.04")
    assert old.name not in packages(asked)
    there = seen(installed=there, kernels=EL_KERNELS)
    assert leftovers(asked, there, "distribution") == [old.name]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"distribution": "Rocky"},
            "set gpu_driver_source to vendor. Red Hat's own driver comes with Red Hat Enterprise",
        ),
        ({"flavour": "proprietary", "version": "580.95.05"}, "Red Hat builds the open kernel module only"),
        ({"modules": "dkms", "version": "595.71.05"}, "leave gpu_driver_modules at auto"),
        ({"imex": True, "version": "595.71.05"}, "has no package of it"),
    ],
)
def test_what_red_hat_does_not_build_is_refused(more, says):
    assert says in rhel(**more)["problems"][0]


def test_one_version_of_nvidia_and_of_red_hat_is_not_taken_for_the_other():
    theirs = Package("nvidia-driver-cuda", "3:595.71.05-1.el10", source="vendor")
    there = Installed("595.71.05", "open", "vendor", (theirs,))
    asked = rhel(seen(installed=there, kernels=EL_KERNELS), version="595.71.05")
    assert "gpu_driver_state: absent" in asked["problems"][0]


def test_packages_of_others_under_other_names_make_way_on_enterprise_linux():
    theirs = Package("kmod-nvidia", "580.95.05-1.el9", source="distribution")
    host = seen(installed=Installed("580.95.05", "open", "distribution", (theirs,)), kernels=EL_KERNELS)
    asked = answer("RedHat", "9", host=host, version="580")
    assert asked["problems"] == []
    assert leftovers(asked, host, "vendor") == ["kmod-nvidia"]


def test_a_distribution_driver_is_pinned_by_preferences_and_the_vendor_is_kept_out():
    asked = answer(source="distribution", version="535.261.03")
    pins = content(asked, "preferences.d/mlops-hosts-gpu-driver")
    assert "Pin: version 535.261.03-*\nPin-Priority: 1001" in pins
    assert "Pin: release o=NVIDIA\nPin-Priority: -1" in pins
    assert [item["before_packages"] for item in asked["component"]["files"] if "preferences" in item["path"]] == [True]


@pytest.mark.parametrize(
    ("release", "version", "unattended", "stream", "hold"),
    [
        ("9", "580", "exclude", ["580-dkms"], True),
        ("9", "580", "ignore", ["580-dkms"], False),
        ("9", "580.95.05", "ignore", ["580-dkms"], True),
        ("10", "580", "ignore", [], True),
    ],
)
def test_enterprise_linux_pins_by_stream_and_by_lock(release, version, unattended, stream, hold):
    asked = answer("RedHat", release, version=version, flavour="proprietary", unattended=unattended)
    modules = [item["content"] for item in asked["component"]["files"] if item["path"].endswith(".module")]
    assert [text.rpartition("stream=")[2].strip() for text in modules] == stream
    assert {item["hold"] for item in asked["component"]["packages"] if item.get("version")} == {hold}


@pytest.mark.parametrize(
    ("enrolled", "source", "distribution", "unsigned"),
    [
        (False, "vendor", "Debian", True),
        (None, "vendor", "Debian", True),
        (True, "vendor", "Debian", False),
        (False, "distribution", "Ubuntu", False),
    ],
)
def test_secure_boot_is_inspected_before_the_first_change(enrolled, source, distribution, unsigned):
    host = seen(secure_boot="enabled", mok=Mok(enrolled=enrolled))
    asked = answer(distribution, "noble" if distribution == "Ubuntu" else "bookworm", host=host, source=source)
    assert asked["unsigned"] is unsigned


def test_a_module_that_the_kernel_has_loaded_is_trusted():
    module = Module("580.95.05", "open", "DKMS module signing key", "dkms", "/lib/modules/6.1.0-1/nvidia.ko")
    for loaded, unsigned in (("580.95.05", False), (None, True), ("570.1.1", True)):
        host = seen(
            secure_boot="enabled",
            loaded=Loaded("nvidia", loaded),
            kernels=(Kernel("6.1.0-1", running=True, module=module),),
        )
        assert answer(host=host)["unsigned"] is unsigned


def test_an_initramfs_is_rebuilt_only_where_there_are_kernels():
    nouveau = "modprobe.d/mlops-hosts-gpu-driver.conf"
    for kernels, command in (((), []), ((Kernel("6.1.0-1-amd64"),), ["update-initramfs", "-u", "-k", "all"])):
        files = answer(host=seen(kernels=kernels))["component"]["files"]
        assert next(item["apply_command"] for item in files if item["path"].endswith(nouveau)) == command


@pytest.mark.parametrize("scheme", names.SCHEMES)
def test_every_option_leads_to_managed_names_only(scheme):
    for flavour in ("open", "proprietary"):
        for profile in ("compute", "full"):
            found = names.driver(scheme, 580, flavour, profile)
            assert {item.name for item in found if item.versioned} <= names.managed(scheme, {580})


def test_headers_of_enterprise_linux_are_asked_for_where_they_are_missing():
    kernels = (Kernel("5.14.0-1.el9.x86_64", headers=True), Kernel("5.14.0-2.el9.x86_64"))
    asked = answer("RedHat", "9", host=seen(kernels=kernels), version="580")
    assert asked["headers"] == ["kernel-devel-5.14.0-2.el9.x86_64"]


AMD = State(vendor="amd", gpus=(Gpu("0000:01:00.0", "1002:74a1"),), architecture="x86_64", kernels=(Kernel("6.8.0-1"),))


def amd(distribution="Ubuntu", release="noble", **more):
    host = as_result(AMD, Desired(), Verdict("absent"))
    return resources(desired(**{"version": "31.50", **more}), platform(distribution, release), host)


@pytest.mark.parametrize(
    ("distribution", "release", "more", "desired", "uris"),
    [
        (
            "Ubuntu",
            "noble",
            {"rocm_version": "10.1", "rocm_architectures": ["gfx942"]},
            {
                "linux-headers-6.8.0-1": None,
                "amdgpu-dkms": "[0-9]*.3150*",
                "amdgpu-dkms-firmware": "[0-9]*.3150*",
                "amdrocm10.1-gfx942": None,
            },
            [
                "https://repo.radeon.com/amdgpu/31.50/ubuntu",
                "https://stable.repo.amd.com/rocm/core/packages/ubuntu2404",
            ],
        ),
        (
            "Ubuntu",
            "jammy",
            {"version": "30.20.1", "rocm_version": "7.2.4"},
            {
                "linux-headers-6.8.0-1": None,
                "amdgpu-dkms": "[0-9]*.302001*",
                "amdgpu-dkms-firmware": "[0-9]*.302001*",
                "rocm": "7.2.4*",
            },
            ["https://repo.radeon.com/amdgpu/30.20.1/ubuntu", "https://repo.radeon.com/rocm/apt/7.2.4"],
        ),
        (
            "RedHat",
            "10",
            {"rocm_version": "7.14", "amd_mirror": "https://mirror.example/amd/"},
            {"amdgpu-dkms": None, "amdgpu-dkms-firmware": "31.50.*", "amdrocm7.14": None},
            [
                "https://mirror.example/amd/amdgpu/31.50/el/10/main/x86_64/",
                "https://mirror.example/amd/rocm/packages-multi-arch/rhel10/x86_64/",
            ],
        ),
    ],
)
def test_amd_pins_by_address(distribution, release, more, desired, uris):
    asked = amd(distribution, release, **more)
    assert asked["problems"] == []
    assert packages(asked) == desired
    assert [item["uris"] for item in asked["component"]["repositories"]] == [[uri] for uri in uris]


def test_amd_signs_rocm_with_a_key_of_its_own():
    more = {"rocm_repository_key": "another key", "rocm_repository_fingerprint": "another fingerprint"}
    asked = amd(rocm_version="10.1", **more)
    keys = [(item["key"], item["fingerprint"]) for item in asked["component"]["repositories"]]
    assert keys == [("a key", "a fingerprint"), ("another key", "another fingerprint")]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"version": ""}, "must be a version of amdgpu such as 31.50"),
        ({"source": "distribution"}, "set gpu_driver_source to vendor"),
        ({"repository_key": ""}, "gpu_driver_repository_key and gpu_driver_repository_fingerprint are not set"),
        ({"rocm_version": "10.1", "rocm_architectures": ["mi300"]}, "which is no GPU target such as gfx942"),
        ({"rocm_version": "7.2", "rocm_architectures": ["gfx942"]}, "has one package for all GPUs"),
        ({"rocm_repository_key": "another key"}, "gpu_driver_rocm_repository_fingerprint go together"),
    ],
)
def test_amd_refuses(more, sentence):
    assert sentence in " ".join(amd(**more)["problems"])


def test_amd_on_enterprise_linux_is_told_by_its_firmware_and_needs_headers():
    asked = amd("RedHat", "10", version="6.4.2")
    assert "gpu_driver_version 6.4.2 is too old for Enterprise Linux" in asked["problems"][0]
    assert amd("RedHat", "10")["headers"] == ["kernel-devel-6.8.0-1"]
    assert amd()["headers"] == []


def test_amd_has_nothing_for_debian():
    assert "AMD has no packages for Debian bookworm" in amd("Debian", "bookworm")["problems"][0]


def prebuilt(version="580.95.05"):
    return Module(
        version, "open", "Canonical Ltd. Kernel Module Signing", "prebuilt", "/lib/modules/r/kernel/nvidia.ko"
    )


def canonical(name, version="580.95.05-0ubuntu0.24.04.1"):
    return Package(name, version, source="distribution")


OLD, NOW, NEXT = "6.8.0-87-generic", "6.8.0-88-generic", "6.8.0-90-generic"
UBUNTU = Installed(
    "580.95.05",
    "open",
    "distribution",
    (
        canonical("libnvidia-compute-580-server"),
        canonical("nvidia-firmware-580-server-580.95.05"),
        canonical("nvidia-kernel-source-580-server-open"),
        canonical(f"linux-modules-nvidia-580-server-open-{NOW}", "6.8.0-88.89"),
    ),
)


def of_ubuntu(host=None, **more):
    return answer("Ubuntu", "noble", host=host, **{"source": "distribution", "version": "580", **more})


def test_prebuilt_modules_are_asked_for_where_they_matter_and_for_kernels_to_come():
    kernels = (Kernel(OLD), Kernel(NOW, running=True), Kernel(NEXT, next_boot=True))
    asked = of_ubuntu(seen(kernels=kernels, kernel_packages=("linux-image-generic-hwe-24.04", "linux-image-virtual")))
    modules = [name for name in packages(asked) if name.startswith("linux-modules-nvidia-580-server-open-")]
    tails = [name.removeprefix("linux-modules-nvidia-580-server-open-") for name in modules]
    assert tails == [NOW, NEXT, "generic-hwe-24.04", "generic"]
    assert asked["prebuilt"] == "580-server-open"


@pytest.mark.parametrize(
    ("package", "kernels"),
    [
        ("linux-image-generic", "generic"),
        ("linux-image-virtual-hwe-24.04", "generic-hwe-24.04"),
        ("linux-image-aws", "aws"),
        ("linux-image-virtualfoo", "virtualfoo"),
    ],
)
def test_the_package_of_modules_is_called_after_that_of_kernels(package, kernels):
    name = names.prebuilt_modules(580, "proprietary", package).name
    assert name == f"linux-modules-nvidia-580-server-{kernels}"


@pytest.mark.parametrize(
    ("module", "pattern"),
    [
        pytest.param(prebuilt(), "580.95.05-*", id="what is there of the branch stays"),
        pytest.param(None, "580.*", id="the archive may have built a later one only"),
    ],
)
def test_a_kernel_without_its_module_lets_the_driver_go_on(module, pattern):
    kernels = (Kernel(NOW, running=True, module=prebuilt()), Kernel(NEXT, next_boot=True, module=module))
    asked = of_ubuntu(seen(kernels=kernels, installed=UBUNTU, verdict="rebuild"))
    assert packages(asked)["nvidia-utils-580-server"] == pattern
    assert packages(asked)["libnvidia-compute-580-server"] == pattern


@pytest.mark.parametrize(("version", "held"), [("580", False), ("580.95.05", True)])
def test_prebuilt_modules_of_an_exact_driver_are_locked(version, held):
    host = seen(kernels=(Kernel(NOW, running=True),), kernel_packages=("linux-image-generic",))
    modules = [
        each for each in of_ubuntu(host, version=version)["component"]["packages"] if "-modules-" in each["name"]
    ]
    assert [each.get("hold", False) for each in modules] == [held, held]


def test_what_ubuntu_names_by_version_or_flavour_does_not_go_along():
    asked = of_ubuntu(seen(installed=UBUNTU), flavour="proprietary")
    along = [item["name"] for item in asked["component"]["packages"] if item.get("owned") is False]
    assert along == ["libnvidia-compute-580-server"]


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ({}, ["linux-modules-nvidia-580-server-6.8.0-88-generic", "nvidia-dkms-580-server-open"]),
        (
            {"modules": "dkms"},
            ["linux-modules-nvidia-580-server-6.8.0-88-generic", f"linux-modules-nvidia-580-server-open-{NOW}"],
        ),
    ],
)
def test_modules_of_another_flavour_or_make_are_left_over(more, left):
    other = canonical("linux-modules-nvidia-580-server-6.8.0-88-generic", "6.8.0-88.89")
    there = (*UBUNTU.packages, other, canonical("nvidia-dkms-580-server-open"))
    host = seen(installed=Installed("580.95.05", None, "distribution", there))
    assert leftovers(of_ubuntu(host, **more), host, "distribution") == left


def test_prebuilt_modules_are_not_kept_from_kernels_that_come_by_themselves():
    kept = content(of_ubuntu(), "52mlops-hosts-gpu-driver")
    assert "^nvidia-" in kept and "^linux-modules" not in kept
    assert "^linux-modules" in content(of_ubuntu(modules="dkms"), "52mlops-hosts-gpu-driver")


# What the role has to do


def built(host=None, dry_run=False, changed=False, **more):
    given = {**desired(vendor="auto", users=[], verify="changed", state="present"), **more}
    facts = {"distribution": "Debian", "distribution_release": "bookworm", "os_family": "Debian"}
    found = build(given, of_platform("gpu_driver", facts), host or seen())
    return found, found.rest(changed, dry_run)


def test_a_host_without_the_role_is_not_asked():
    assert facts({"vendor": "none", "state": "present"}) == ()
    assert asks({"vendor": "none", "state": "present"}) is None
    assert build({"vendor": "none", "state": "present"}, of_platform("gpu_driver", {})).component is None


def test_only_what_is_desired_is_asked_for():
    desired = {"vendor": "auto", "state": "present", "version": "580", "flavour": "auto"}
    assert asks(desired).args == {"vendor": "auto", "version": "580"}
    assert asks({**desired, "state": "absent"}).args == {"vendor": "auto"}
    assert facts({**desired, "state": "absent"}) == ()


@pytest.mark.parametrize(
    ("host", "more", "left"),
    [
        pytest.param(seen(verdict="ok"), {}, False, id="right"),
        pytest.param(seen(verdict="ok"), {"changed": True}, True, id="changed"),
        pytest.param(seen(verdict="ok"), {"verify": "always"}, True, id="verified-always"),
        pytest.param(seen(verdict="ok"), {"verify": "always", "dry_run": True}, False, id="not-in-a-dry-run"),
        pytest.param(seen(verdict="reboot"), {}, True, id="waits-for-a-reboot"),
        pytest.param(seen(verdict="reboot"), {"dry_run": True}, False, id="which-a-dry-run-does-not-do"),
        pytest.param({**seen(verdict="ok"), "disruption": {"boot_id": "x"}}, {}, True, id="out-of-service"),
    ],
)
def test_the_other_tasks_run_where_they_have_something_to_do(host, more, left):
    found, rest = built(host, **more)
    assert found.problems == () and found.component["name"] == "gpu_driver"
    assert (rest is not None) == left
    if rest:
        assert rest["first"] == host and set(rest["desired"]["component"]) == {"units"}


def test_a_host_without_a_gpu_has_no_driver_of_the_role():
    found, rest = built({**seen(verdict="absent"), "gpus": []})
    assert found.component is None and rest is None
    assert found.published["asked"]["mlops.hosts.driver_info"]["verdict"] == "absent"


def test_a_driver_that_secure_boot_would_refuse_is_not_installed():
    host = {**seen(), "secure_boot": "enabled"}
    found, rest = built(host)
    assert found.component is None and rest["desired"]["unsigned"] is True


def test_an_unknown_release_is_refused():
    facts = {"distribution": "Debian", "distribution_release": "sid", "os_family": "Debian"}
    found = build({**desired(vendor="auto"), "state": "present"}, of_platform("gpu_driver", facts), seen())
    assert found.problems == (
        "gpu_driver knows bookworm, trixie, and this host is Debian sid; take it out of the play.",
    )
