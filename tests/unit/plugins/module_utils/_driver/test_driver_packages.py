# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of the driver: Debian's as recorded; names and makers elsewhere are those that the vendors document."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._driver import packages, unattended
from ansible_collections.mlops.hosts.plugins.module_utils._driver.types import Mismatch, Package
from ansible_collections.mlops.hosts.plugins.module_utils._errors import CommandError
from ansible_collections.mlops.hosts.tests.unit.fakes import RecordedHost, Told

from .support import recorded, write

EL = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'
PARTS = ["firmware-nvidia-gsp", "libnvidia-ml1", "nvidia-alternative", "nvidia-kernel-dkms", "nvidia-kernel-support"]


@pytest.fixture
def debian(tmp_path):
    write(tmp_path, "etc/os-release", recorded("os-release/debian-trixie"))
    write(tmp_path, "usr/bin/dpkg-query")
    return tmp_path


@pytest.fixture
def el(tmp_path):
    write(tmp_path, "etc/os-release", EL)
    write(tmp_path, "usr/bin/dnf")
    return tmp_path


def read(root, run, chosen="nvidia-current"):
    found = packages.read(str(root), run, 30).nvidia
    assert len(run.calls) == 1
    return packages.compare(found, "nvidia", chosen)


@pytest.mark.parametrize(("name", "version"), [("driver-bookworm", "535.309.01"), ("driver-trixie", "550.163.01")])
def test_debian(debian, name, version):
    installed, mismatches = read(debian, RecordedHost(dpkg_query=name))
    assert (installed.version, installed.flavour, installed.source) == (version, "proprietary", "distribution")
    assert mismatches == ()
    parts = [package.name for package in installed.packages if packages.is_part(package)]
    assert parts == [*PARTS, "nvidia-legacy-check", "nvidia-smi"]
    # It has a version of its own: 570 on trixie, where the driver is 550.
    assert "nvidia-modprobe" in [package.name for package in installed.packages]


def test_a_failed_build_leaves_its_package_half_configured(debian):
    installed, _mismatches = read(debian, RecordedHost(dpkg_query="driver-half-configured"))
    half = [package for package in installed.packages if not packages.is_whole(package)]
    assert [(package.name, package.state) for package in half] == [("nvidia-kernel-dkms", "half_configured")]


def test_a_hold(debian):
    installed, _mismatches = read(debian, RecordedHost(dpkg_query="driver-held"))
    assert [package.name for package in installed.packages if package.held] == ["nvidia-smi"]


def test_another_version_and_a_removed_package(debian):
    installed, mismatches = read(debian, RecordedHost(dpkg_query="driver-mismatch"))
    assert installed.version == "535.261.03"
    assert Mismatch("nvidia-smi", "535.309.01") in mismatches
    # Only its configuration is there, so that it does not count.
    assert "nvidia-legacy-check" not in [mismatch.name for mismatch in mismatches]
    assert {package.state for package in installed.packages} == {"installed", "config_files"}


@pytest.mark.parametrize(
    ("chosen", "flavour"), [("nvidia-current", "proprietary"), ("nvidia-current-open", "open"), ("nvidia", None)]
)
def test_both_flavours_side_by_side_are_told_apart_by_what_modprobe_would_load(debian, chosen, flavour):
    installed, _mismatches = read(debian, RecordedHost(dpkg_query="driver-both-flavours"), chosen)
    assert installed.flavour == flavour


def test_no_driver(debian):
    installed, mismatches = read(debian, RecordedHost(dpkg_query="none"))
    assert (installed.version, installed.packages, mismatches) == (None, (), ())


def test_a_database_that_cannot_be_read_is_not_an_empty_one(debian):
    with pytest.raises(CommandError, match="the installed packages could not be read"):
        packages.read(str(debian), RecordedHost(dpkg_query="unreadable"), 30)


def test_a_host_without_a_package_manager(tmp_path):
    assert packages.read(str(tmp_path), RecordedHost(), 30) == packages.Found()


def dpkg(*lines):
    """As dpkg-query prints it: (name, version, maintainer)."""
    text = "".join(f"{name}\t{version}\tinstall\tinstalled\tok\t{maker}\n" for name, version, maker in lines)
    return Told(dpkg_query=text)


NVIDIA, CANONICAL = "cudatools <cudatools@nvidia.com>", "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>"


@pytest.mark.parametrize(
    ("module", "maker", "version", "flavour", "source"),
    [
        ("nvidia-dkms-580-open", NVIDIA, "580.178.04-1ubuntu1", "open", "vendor"),
        ("nvidia-dkms-580", NVIDIA, "580.178.04-1ubuntu1", "proprietary", "vendor"),
        ("nvidia-dkms-open", NVIDIA, "595.91.07-1ubuntu1", "open", "vendor"),
        ("nvidia-kernel-open-dkms", NVIDIA, "595.91.07-1", "open", "vendor"),
        ("nvidia-open-kernel-dkms", CANONICAL, "550.163.01-2", "open", "distribution"),
        ("nvidia-dkms-580-server", CANONICAL, "580.178.04-0ubuntu0.24.04.1", "proprietary", "distribution"),
        ("nvidia-dkms-580-server-open", CANONICAL, "580.178.04-0ubuntu0.24.04.1", "open", "distribution"),
    ],
)
def test_names_of_the_kernel_module(debian, module, maker, version, flavour, source):
    library = "libnvidia-compute-580-server" if maker == CANONICAL else "libnvidia-compute"
    installed, mismatches = read(debian, dpkg((library, version, maker), (module, version, maker)))
    assert (installed.flavour, installed.source, mismatches) == (flavour, source, ())
    assert version.startswith(f"{installed.version}-")


def test_a_prebuilt_module_has_the_version_of_its_kernel(debian):
    run = dpkg(
        ("libnvidia-compute-580-server", "580.178.04-0ubuntu0.24.04.1", CANONICAL),
        ("linux-modules-nvidia-580-server-open-6.8.0-50-generic", "6.8.0-50.51", CANONICAL),
    )
    installed, mismatches = read(debian, run, "nvidia")
    assert (installed.version, installed.flavour, mismatches) == ("580.178.04", "open", ())


def test_firmware_of_an_earlier_version_stays_beside_the_driver(debian):
    run = dpkg(
        ("libnvidia-compute-580-server", "580.178.04-0ubuntu0.24.04.1", CANONICAL),
        ("nvidia-firmware-580-server-580.95.05", "580.95.05-0ubuntu0.24.04.1", CANONICAL),
    )
    assert read(debian, run)[1] == ()


def test_packages_that_bring_kernels(debian):
    found = (
        "linux-image-generic",
        "linux-image-6.8.0-88-generic",
        "linux-image-unsigned-6.8.0-88-generic",
        "linux-image-aws",
    )
    run = dpkg(*((name, "6.8.0-88.89", CANONICAL) for name in found))
    assert packages.read(str(debian), run, 30).kernels == ("linux-image-aws", "linux-image-generic")


@pytest.mark.parametrize(
    "name",
    [
        "nvidia-container-toolkit", "libnvidia-container1", "nvidia-cuda-toolkit", "nvidia-cuda-dev", "nvidia-cudnn",
        "libnvidia-egl-wayland1", "nvidia-driver-local-repo-ubuntu2404-580.178.04", "nvidia-gds", "nvidia-fs-dkms",
        "libcudart12", "nvidia-mig-manager", "nvidia-nsight-compute",
    ],
)  # fmt: skip
def test_what_is_not_of_the_driver(debian, name):
    assert packages.read(str(debian), dpkg((name, "580.178.04-1", NVIDIA)), 30).nvidia == ()


@pytest.mark.parametrize(
    "name",
    [
        "nvidia-persistenced",
        "nvidia-settings",
        "nvidia-modprobe",
        "nvidia-xconfig",
        "nvidia-driver-pinning-580",
        "nvlsm",
    ],
)
def test_what_has_a_version_of_its_own(debian, name):
    run = dpkg(("libnvidia-compute", "580.178.04-1ubuntu1", NVIDIA), (name, "595.1.2-1", NVIDIA))
    installed, mismatches = read(debian, run)
    assert (len(installed.packages), mismatches) == (2, ())


@pytest.mark.parametrize(
    "name", ["nvidia-fabricmanager", "nvidia-imex", "libnvidia-nscq", "libnvsdm", "nvidia-firmware-580", "libcuda1"]
)
def test_what_must_be_of_the_driver_s_version(debian, name):
    run = dpkg(
        ("nvidia-smi", "580.178.04-1", NVIDIA), ("libnvidia-ml1", "580.178.04-1", NVIDIA), (name, "580.1.2-1", NVIDIA)
    )
    assert len(read(debian, run)[1]) == (2 if name == "libcuda1" else 1)


def test_a_mixture_has_no_source(debian):
    run = dpkg(("libnvidia-compute", "580.178.04-1", NVIDIA), ("nvidia-utils-580", "580.178.04-0ubuntu1", CANONICAL))
    assert read(debian, run)[0].source is None


def test_amd(debian):
    maker = "Advanced Micro Devices (AMD) <gpudriverdevsupport@amd.com>"
    run = dpkg(
        ("amdgpu-dkms", "1:6.12.12.60402000-2187269.24.04", maker), ("amdgpu-dkms-firmware", "1:6.12.12-2", maker)
    )
    found = packages.read(str(debian), run, 30)
    installed, mismatches = packages.compare(found.amd, "amd", "amdgpu")
    assert (installed.version, installed.flavour, installed.source) == ("6.12.12.60402000", None, "vendor")
    assert (found.nvidia, mismatches) == ((), ())


KEY = "RSA/SHA512, Thu Jan  1 00:00:00 2026, Key ID 9cd0a493d42d0685"
RPM = f"""\
kmod-nvidia-open-dkms\t3:580.178.04-1.el9.noarch\tNVIDIA Corporation\t(none)\t(none)
nvidia-driver-cuda\t3:580.178.04-1.el9.x86_64\t(none)\t(none)\t{KEY}
nvidia-driver-cuda-libs\t3:580.178.04-1.el9.x86_64\tNVIDIA Corporation\t(none)\t(none)
nvidia-container-toolkit\t0:1.18.0-1.x86_64\tNVIDIA CORPORATION\t<cudatools@nvidia.com>\t(none)
nvidia-persistenced\t3:580.178.04-1.el9.x86_64\tNVIDIA Corporation\t(none)\t(none)
"""


@pytest.mark.parametrize(
    ("path", "text", "held"),
    [
        ("etc/dnf/plugins/versionlock.list", "*nvidia*580*\n", True),
        ("etc/dnf/plugins/versionlock.list", "# Added by us\nnvidia-driver-cuda-3:580.178.04-1.el9.*\n", True),
        ("etc/dnf/plugins/versionlock.list", "!nvidia-driver-cuda-3:580.178.04-1.el9.*\n", False),
        ("etc/dnf/versionlock.toml", 'version = "1.0"\n[[packages]]\nname = "nvidia-driver-cuda"\n', True),
        ("etc/dnf/versionlock.toml", "[[packages]]\n  name = 'nvidia-driver-cuda' # not \"!=\"\n", True),
        ("etc/dnf/versionlock.toml", 'packages = [{name = "nvidia-driver-cuda"}]\n', True),
        (
            "etc/dnf/versionlock.toml",
            "[[packages]]\nname = \"nvidia-driver-cuda\"\n[[packages.conditions]]\ncomparator = '!='\n",
            False,
        ),
        ("etc/dnf/versionlock.toml", '[[packages]]\nname = "nvidia-driver-cuda"\n[[', False),
        ("etc/dnf/dnf.conf", "[main]\n", False),
    ],
)
def test_el(el, path, text, held):
    write(el, path, text)
    installed, mismatches = read(el, Told(rpm=RPM), "nvidia")
    assert (installed.version, installed.flavour, installed.source) == ("580.178.04", "open", "vendor")
    assert mismatches == ()
    found = {package.name: package for package in installed.packages}
    assert (len(found), found["nvidia-driver-cuda"].version) == (4, "3:580.178.04-1.el9")
    assert found["nvidia-driver-cuda"].held is held


def test_el_by_rpm_itself_with_fake_packages(el):
    installed, mismatches = read(el, RecordedHost(rpm="driver-el9-fake"), "nvidia")
    assert (installed.version, installed.flavour, installed.source) == ("580.178.04", "open", "vendor")
    assert (len(installed.packages), mismatches) == (5, ())


def test_red_hat_s_own_packages_are_the_distribution_s(el):
    run = Told(
        rpm="kmod-nvidia-open\t0:595.71.05-1.el10.x86_64\tRed Hat, Inc.\tRed Hat, Inc. <http://bugzilla>\t(none)\n"
    )
    installed, _mismatches = read(el, run, "nvidia")
    assert (installed.flavour, installed.source, installed.version) == ("open", "distribution", None)


DRIVER = (Package("nvidia-smi", "535.309.01-1"), Package("libnvidia-ml1", "535.309.01-1"))


@pytest.mark.parametrize(
    ("name", "excluded"), [("unattended-bookworm", False), ("unattended-trixie", False), ("unattended-excluded", True)]
)
def test_unattended_upgrades(tmp_path, name, excluded):
    write(tmp_path, "usr/bin/unattended-upgrade")
    assert unattended.read(str(tmp_path), DRIVER, RecordedHost(apt_config=name), 30) is excluded


def test_unattended_upgrades_leave_alone_what_is_held(tmp_path):
    write(tmp_path, "usr/bin/unattended-upgrade")
    held = [Package(package.name, package.version, held=True) for package in DRIVER]
    assert unattended.read(str(tmp_path), held, RecordedHost(apt_config="unattended-bookworm"), 30) is True


def test_unattended_upgrades_that_are_switched_off(tmp_path):
    write(tmp_path, "usr/bin/unattended-upgrade")
    said = recorded("apt-config/unattended-bookworm.stdout").replace('Upgrade "1"', 'Upgrade "0"')
    assert unattended.read(str(tmp_path), DRIVER, Told(apt_config=said), 30) is True


def test_nothing_unattended(tmp_path):
    assert unattended.read(str(tmp_path), DRIVER, RecordedHost(), 30) is None
    write(tmp_path, "usr/bin/unattended-upgrade")
    assert unattended.read(str(tmp_path), (), RecordedHost(), 30) is None


@pytest.mark.parametrize(
    ("path", "line", "excluded"),
    [
        ("etc/dnf/dnf.conf", "excludepkgs=kernel*, *nvidia*", True),
        ("etc/dnf/automatic.conf", "exclude = nvidia-* libnvidia-*", True),
        ("etc/dnf/automatic.conf", "exclude = nvidia-*", False),
        ("etc/dnf/automatic.conf", "#exclude = *nvidia*", False),
        ("etc/dnf/dnf.conf", "excludepkgs=kernel*\n  nvidia-smi,\n  lib*", True),
        ("etc/dnf/dnf.conf", "[cuda]\nexcludepkgs=*nvidia*", False),
        ("etc/dnf/dnf.conf", "excludepkgs=*nvidia*\n[cuda", True),
        ("etc/dnf/dnf.conf", "excludepkgs", False),
    ],
)
def test_dnf_automatic(tmp_path, path, line, excluded):
    write(tmp_path, "usr/bin/dnf-automatic")
    section = {"etc/dnf/dnf.conf": "main", "etc/dnf/automatic.conf": "base"}[path]
    write(tmp_path, path, f"[{section}]\n{line}\n")
    assert unattended.read(str(tmp_path), DRIVER, RecordedHost(), 30) is excluded


def test_a_configuration_of_dnf_that_is_none_excludes_nothing(tmp_path):
    write(tmp_path, "usr/bin/dnf-automatic")
    write(tmp_path, "etc/dnf/dnf.conf", "excludepkgs=*nvidia*\n")
    assert unattended.read(str(tmp_path), DRIVER, RecordedHost(), 30) is False


@pytest.mark.parametrize(
    ("module", "firmware", "version", "others"),
    [
        pytest.param("1:7.1.3-2390000.el9", "1:31.50.0.0.31500000-2390000.el9", "7.1.3.31500000", 0, id="el"),
        pytest.param("1:6.14.14-2226257.el10", "30.10.2.0.3010200-2226257.el10", "6.14.14.30100200", 0, id="el-2025"),
        pytest.param("1:6.12.12-2187269.el8", "1:6.12.12-2187269.el8", "6.12.12", 0, id="el-with-no-release"),
        pytest.param("1:7.1.3-2390000.el9", "1:30.30.0.0.30300000-2300000.el9", "7.1.3.30300000", 1, id="half-moved"),
    ],
)
def test_amd_s_release_on_enterprise_linux(debian, module, firmware, version, others):
    run = dpkg(("amdgpu-dkms", module, "AMD <a@amd.com>"), ("amdgpu-dkms-firmware", firmware, "AMD <a@amd.com>"))
    installed, mismatches = packages.compare(packages.read(str(debian), run, 30).amd, "amd", "amdgpu")
    assert (installed.version, len(mismatches)) == (version, others)
