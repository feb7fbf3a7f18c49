# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict row by row: what is known, the word, the first sentence, and the next step."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._driver.types import (
    Desired,
    Dkms,
    FabricManager,
    Gpu,
    Installed,
    Loaded,
    Mismatch,
    Mok,
    Package,
    State,
    User,
)
from ansible_collections.mlops.hosts.plugins.module_utils._driver.verdict import diagnose

from .support import GPU, RUNNING, VERSION, installed, kernel, loaded, module, packages, state

OLD = "580.105.08"
NEXT = "6.8.0-51-generic"
NOTHING = Installed()
NOUVEAU = dataclasses.replace(GPU, kernel_driver="nouveau")
UNBOUND = dataclasses.replace(GPU, kernel_driver=None)
DAEMON = User(812, "nvidia-persiste")
PYTHON = User(4711, "python3")
TOOLS = tuple(Package(name, f"{VERSION}-1", source="distribution") for name in ("libcuda1", "nvidia-smi"))
ONLY_TOOLS = "Libraries or tools of one are installed (libcuda1, nvidia-smi), and its kernel module is nowhere."
BARE = kernel(module=None, state=None, running=True, next_boot=True)
TWO_KERNELS = {
    "kernels": (kernel(running=True), kernel(NEXT, next_boot=True)),
    "next_kernel": NEXT,
}


def two_kernels(**of_next):
    return {"kernels": (kernel(running=True), kernel(NEXT, next_boot=True, **of_next)), "next_kernel": NEXT}


def amd(**options):
    gpu = Gpu("0000:05:00.0", "1002:74a1", None, "amdgpu")
    dkms = Package("amdgpu-dkms", "1:6.12.12.60402000-2187269.24.04", source="vendor")
    on_disk = dataclasses.replace(module("6.12.12", None), path="/lib/modules/r/updates/dkms/amdgpu.ko.zst")
    return state(
        **{
            "vendor": "amd",
            "gpus": (gpu,),
            "installed": Installed("6.12.12.60402000", None, "vendor", (dkms,)),
            "loaded": Loaded("amdgpu", "6.12.12", None, (), 1),
            "kernels": (kernel(module=on_disk, running=True, next_boot=True),),
            **options,
        }
    )


ROWS = [
    # ok
    pytest.param(
        state(),
        "Driver 580.178.04 (open) is installed and loaded, and its module is there for 1 installed kernel.",
        None,
        id="ok-a-host-that-is-right",
    ),
    pytest.param(
        state(**TWO_KERNELS),
        "Driver 580.178.04 (open) is installed and loaded, and its module is there for 2 installed kernels.",
        None,
        id="ok-for-both-kernels",
    ),
    pytest.param(
        state(gpus=(), loaded=Loaded()),
        "Driver 580.178.04 (open) is installed, and its module is there for 1 installed kernel.",
        None,
        id="ok-not-loaded-where-there-is-no-gpu",
    ),
    pytest.param(
        state(gpus=(dataclasses.replace(GPU, kernel_driver="vfio-pci"),), loaded=Loaded()),
        "Driver 580.178.04 (open) is installed, and its module is there for 1 installed kernel.",
        None,
        id="ok-not-loaded-where-the-gpu-is-a-guest's",
    ),
    pytest.param(
        state(kernels=(), running_kernel="6.18.44"),
        "Driver 580.178.04 (open) is installed and loaded.",
        None,
        id="ok-in-a-container-with-the-kernel-of-another-machine",
    ),
    pytest.param(
        state(secure_boot="enabled", mok=Mok(True, False, "/var/lib/dkms/mok.pub"), loaded=Loaded(), gpus=()),
        "Driver 580.178.04 (open) is installed, and its module is there for 1 installed kernel.",
        None,
        id="ok-secure-boot-with-an-enrolled-key",
    ),
    pytest.param(
        state(
            secure_boot="enabled",
            kernels=(
                kernel(
                    module=module(signer="Canonical Ltd. Kernel Module Signing", origin="prebuilt"),
                    state=None,
                    running=True,
                    next_boot=True,
                ),
            ),
            loaded=Loaded(),
            gpus=(),
        ),
        "Driver 580.178.04 (open) is installed, and its module is there for 1 installed kernel.",
        None,
        id="ok-secure-boot-with-a-module-of-the-distribution",
    ),
    pytest.param(
        state(secure_boot="enabled", mok=Mok(False, False, "/var/lib/dkms/mok.pub")),
        "Driver 580.178.04 (open) is installed and loaded, and its module is there for 1 installed kernel.",
        None,
        id="ok-secure-boot-and-the-kernel-has-taken-the-module",
    ),
    pytest.param(
        state(installed=NOTHING),
        "Driver 580.178.04 (open) is installed and loaded, and its module is there for 1 installed kernel.",
        None,
        id="ok-from-nvidia's-installer",
    ),
    pytest.param(
        amd(),
        "Driver 6.12.12.60402000 is installed and loaded, and its module is there for 1 installed kernel.",
        None,
        id="ok-amd",
    ),
    # absent
    pytest.param(
        State(),
        "No GPU driver is installed, and no GPU is on the PCI bus.",
        None,
        id="absent-nothing-and-nothing-desired",
    ),
    pytest.param(
        state(installed=NOTHING, loaded=Loaded(), gpus=(UNBOUND, UNBOUND), kernels=(kernel(module=None, state=None),)),
        "No NVIDIA driver is installed for the 2 NVIDIA GPUs on the PCI bus.",
        "Install the NVIDIA driver.",
        id="absent-with-gpus",
    ),
    pytest.param(
        state(
            installed=Installed(packages=(Package("nvidia-kernel-dkms", "535.309.01-0+deb12u1", "config_files"),)),
            loaded=Loaded(),
            gpus=(),
            kernels=(),
        ),
        "No GPU driver is installed, and no GPU is on the PCI bus. Configuration of nvidia-kernel-dkms is left.",
        None,
        id="absent-only-configuration-is-left",
    ),
    pytest.param(
        state(installed=Installed(VERSION, packages=TOOLS), loaded=Loaded(), gpus=(), kernels=(BARE,)),
        f"No GPU driver is installed, and no GPU is on the PCI bus. {ONLY_TOOLS}",
        None,
        id="absent-tools-on-a-host-without-a-gpu",
    ),
    pytest.param(
        state(installed=Installed(VERSION, packages=TOOLS[:1]), loaded=Loaded(), gpus=(), kernels=()),
        "No GPU driver is installed, and no GPU is on the PCI bus. Libraries or tools of one are installed (libcuda1), "
        "and its kernel module is nowhere.",
        None,
        id="absent-a-library-in-a-container-without-a-gpu",
    ),
    pytest.param(
        amd(
            gpus=(),
            installed=Installed(packages=(Package("amdgpu-dkms-firmware", "1:6.12.12.60402000-2187269.24.04"),)),
            loaded=Loaded(),
            kernels=(kernel(module=module(None, None, None, "kernel"), state=None, running=True),),
        ),
        "No GPU driver is installed, and no GPU is on the PCI bus. Libraries or tools of one are installed "
        "(amdgpu-dkms-firmware), and its kernel module is nowhere.",
        None,
        id="absent-amd-s-firmware-on-a-host-without-a-gpu",
    ),
    pytest.param(
        state(installed=NOTHING, loaded=Loaded(), kernels=(), gpus=(NOUVEAU,), other_drivers=("nouveau",)),
        "No NVIDIA driver is installed for the 1 NVIDIA GPU on the PCI bus.",
        "Install the NVIDIA driver.",
        id="absent-with-nouveau",
    ),
    pytest.param(
        amd(
            installed=NOTHING,
            loaded=Loaded("amdgpu"),
            kernels=(kernel(module=module(None, None, None, "kernel"), state=None),),
        ),
        "No AMD driver is installed for the 1 AMD GPU on the PCI bus. The module that came with the kernel is loaded.",
        "Install the AMD driver.",
        id="absent-amd-with-the-kernel's-own-module",
    ),
    pytest.param(
        state(installed=NOTHING, kernels=(kernel(module=None, state=None, running=True, next_boot=True),)),
        "No NVIDIA driver is installed for the 1 NVIDIA GPU on the PCI bus. Its module 580.178.04 is still loaded.",
        "Install the NVIDIA driver.",
        id="absent-removed-and-still-loaded",
    ),
    # rebuild
    pytest.param(
        state(**two_kernels(module=None, state=None, headers=False)),
        "Kernel 6.8.0-51-generic (boots next) has no module of the driver, and its headers are not installed.",
        "Install the headers of kernel 6.8.0-51-generic, and run dkms autoinstall -k 6.8.0-51-generic.",
        id="rebuild-next-kernel-without-headers",
    ),
    pytest.param(
        state(**two_kernels(module=None, state="added")),
        "Kernel 6.8.0-51-generic (boots next) has no module of the driver.",
        "Run dkms autoinstall -k 6.8.0-51-generic.",
        id="rebuild-next-kernel-not-built",
    ),
    pytest.param(
        state(**two_kernels(module=module(OLD), state="added")),
        "Kernel 6.8.0-51-generic (boots next) has the driver's module in version 580.105.08, "
        "where 580.178.04 is installed.",
        "Run dkms autoinstall -k 6.8.0-51-generic.",
        id="rebuild-next-kernel-has-the-one-before",
    ),
    pytest.param(
        state(kernels=(kernel("6.8.0-49-generic", module=None, state="added"), RUNNING)),
        "Kernel 6.8.0-49-generic has no module of the driver.",
        "Run dkms autoinstall -k 6.8.0-49-generic.",
        id="rebuild-an-older-kernel",
    ),
    pytest.param(
        state(kernels=(kernel("6.8.0-49-generic", module=None, state="failed", words="error: no such call"), RUNNING)),
        "DKMS could not build driver 580.178.04 for kernel 6.8.0-49-generic: error: no such call.",
        "Fix what the build log below /var/lib/dkms complains of, install a driver that this kernel can have, or "
        "remove the kernel; then run dkms autoinstall -k 6.8.0-49-generic.",
        id="rebuild-dkms-fails-for-an-older-kernel",
    ),
    pytest.param(
        state(
            installed=installed(module="linux-modules-nvidia-580-server-open-generic"),
            kernels=(
                kernel(module=module(origin="prebuilt"), state=None, running=True, headers=False),
                kernel(NEXT, module=None, state=None, next_boot=True, headers=False),
            ),
        ),
        "Kernel 6.8.0-51-generic (boots next) has no module of the driver.",
        "Install the package with the driver's module for kernel 6.8.0-51-generic.",
        id="rebuild-no-prebuilt-module-for-the-next-kernel",
    ),
    pytest.param(
        amd(kernels=(kernel(module=module(None, None, None, "kernel"), state="added", running=True, next_boot=True),)),
        "Kernel 6.8.0-50-generic (running, boots next) has no module of the driver.",
        "Run dkms autoinstall -k 6.8.0-50-generic.",
        id="rebuild-amd-has-only-the-kernel's-own-module",
    ),
    pytest.param(
        state(loaded=Loaded(), gpus=(), kernels=(), running_kernel="6.18.44"),
        "No kernel is installed that could have the module of driver 580.178.04, and the running kernel has not loaded "
        "one.",
        "Install a kernel with its headers; in a container, have the driver on the machine that runs it.",
        id="rebuild-no-kernel-is-installed",
    ),
    # reboot
    pytest.param(
        state(loaded=Loaded(), gpus=(NOUVEAU,), other_drivers=("nouveau",)),
        "nouveau is loaded and drives GPU 0000:1a:00.0: the driver cannot take its place while the host runs.",
        "Reboot, with the module in no initramfs and on the list of those that are not loaded.",
        id="reboot-nouveau-has-the-gpu",
    ),
    pytest.param(
        state(
            loaded=Loaded(), gpus=(dataclasses.replace(GPU, kernel_driver="NovaCore"),), other_drivers=("nova_core",)
        ),
        "nova_core is loaded and drives GPU 0000:1a:00.0: the driver cannot take its place while the host runs.",
        "Reboot, with the module in no initramfs and on the list of those that are not loaded.",
        id="reboot-nova-has-the-gpu",
    ),
    pytest.param(
        state(loaded=Loaded(), gpus=(UNBOUND,), other_drivers=("nouveau",)),
        "nouveau is loaded: the driver cannot take its place while the host runs.",
        "Reboot, with the module in no initramfs and on the list of those that are not loaded.",
        id="reboot-nouveau-is-loaded",
    ),
    pytest.param(
        state(loaded=loaded(OLD), users=(DAEMON, PYTHON)),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); "
        "it is held by python3 (pid 4711).",
        "End what holds it and reload, or reboot.",
        id="reboot-libraries-upgraded-under-a-module-in-use",
    ),
    pytest.param(
        state(loaded=loaded(OLD, dependents=("gdrdrv", "nvidia_uvm"))),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); "
        "it is held by module gdrdrv.",
        "End what holds it and reload, or reboot.",
        id="reboot-a-module-of-somebody-else-holds-it",
    ),
    pytest.param(
        state(loaded=loaded(OLD, refcount=1)),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); "
        "it is held by 1 reference of unknown origin.",
        "End what holds it and reload, or reboot.",
        id="reboot-a-console-holds-it",
    ),
    pytest.param(
        state(loaded=loaded(OLD, refcount=1), users=None),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); "
        "it is held by 1 reference of unknown origin.",
        "End what holds it and reload, or reboot.",
        id="reboot-a-process-that-only-root-sees-holds-it",
    ),
    pytest.param(
        state(loaded=loaded(flavour="proprietary"), users=(PYTHON,)),
        "The loaded module is 580.178.04 (proprietary), and the installed driver is 580.178.04 (open); "
        "it is held by python3 (pid 4711).",
        "End what holds it and reload, or reboot.",
        id="reboot-other-flavour-in-use",
    ),
    pytest.param(
        state(loaded=Loaded(), kernels=(kernel(NEXT, next_boot=True),), running_kernel="6.8.0-49-generic"),
        "The running kernel 6.8.0-49-generic has no module of the driver to load, and kernel 6.8.0-51-generic, "
        "which boots next, has one.",
        "Reboot into kernel 6.8.0-51-generic.",
        id="reboot-only-the-next-kernel-has-the-module",
    ),
    pytest.param(
        state(loaded=loaded(OLD), kernels=(kernel(NEXT, next_boot=True),), running_kernel="6.8.0-49-generic"),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); the running kernel "
        "6.8.0-49-generic is not installed, and has no other module to load.",
        "Reboot into kernel 6.8.0-51-generic.",
        id="reboot-the-running-kernel-was-removed",
    ),
    # reload
    pytest.param(
        state(installed=NOTHING, loaded=loaded(OLD)),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); nothing holds it.",
        "Stop the driver's own daemons, unload nvidia_uvm nvidia, and load nvidia again.",
        id="reload-nvidia's-installer-has-put-another",
    ),
    pytest.param(
        state(loaded=loaded(OLD)),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); nothing holds it.",
        "Stop the driver's own daemons, unload nvidia_uvm nvidia, and load nvidia again.",
        id="reload-libraries-upgraded-under-the-module",
    ),
    pytest.param(
        state(loaded=loaded(OLD, refcount=2), users=(DAEMON,)),
        "The loaded module is 580.105.08 (open), and the installed driver is 580.178.04 (open); nothing holds it.",
        "Stop the driver's own daemons, unload nvidia_uvm nvidia, and load nvidia again.",
        id="reload-only-the-driver's-own-daemon-holds-it",
    ),
    pytest.param(
        state(loaded=loaded(flavour="proprietary")),
        "The loaded module is 580.178.04 (proprietary), and the installed driver is 580.178.04 (open); "
        "nothing holds it.",
        "Stop the driver's own daemons, unload nvidia_uvm nvidia, and load nvidia again.",
        id="reload-other-flavour",
    ),
    pytest.param(
        state(loaded=Loaded(), gpus=(UNBOUND,)),
        "The driver is installed, and its module is not loaded.",
        "Load it with modprobe nvidia.",
        id="reload-not-loaded",
    ),
    pytest.param(
        amd(loaded=Loaded("amdgpu", "6.10.5", None, (), 0)),
        "The loaded module is 6.10.5, and the installed driver is 6.12.12.60402000; nothing holds it.",
        "Stop the driver's own daemons, unload amdgpu, and load amdgpu again.",
        id="reload-amd",
    ),
    pytest.param(
        amd(loaded=Loaded("amdgpu", None, None, (), 0)),
        "The loaded module is of an unknown version, and the installed driver is 6.12.12.60402000; nothing holds it.",
        "Stop the driver's own daemons, unload amdgpu, and load amdgpu again.",
        id="reload-amd-has-the-kernel's-own-module-loaded",
    ),
    # broken
    pytest.param(
        state(installed=installed(extra=(Package("nvidia-settings", "570.1-1", "half_configured"),))),
        "Package nvidia-settings 570.1-1 is half configured: its installation was cut off, "
        "or one of its scripts failed.",
        "Run dpkg --configure -a, then apt-get --fix-broken install.",
        id="broken-half-installed-package",
    ),
    pytest.param(
        state(**two_kernels(module=None, state="failed", words="error: too few arguments")),
        "DKMS could not build driver 580.178.04 for kernel 6.8.0-51-generic (boots next): error: too few arguments.",
        "Fix what the build log below /var/lib/dkms complains of, install a driver that this kernel can have, or "
        "remove the kernel; then run dkms autoinstall -k 6.8.0-51-generic.",
        id="broken-dkms-fails-for-the-next-kernel",
    ),
    pytest.param(
        state(
            installed=Installed(
                VERSION,
                "open",
                "vendor",
                (packages()[0], Package("nvidia-dkms-open", f"{VERSION}-1ubuntu1", "half_configured", source="vendor")),
            ),
            kernels=(kernel("6.8.0-49-generic", module=None, state="failed", words="error: no such call"), RUNNING),
        ),
        "DKMS could not build driver 580.178.04 for kernel 6.8.0-49-generic: error: no such call.",
        "Fix what the build log below /var/lib/dkms complains of, install a driver that this kernel can have, or "
        "remove the kernel; then run dpkg --configure -a.",
        id="broken-dkms-fails-for-any-kernel-and-its-package-is-stuck",
    ),
    pytest.param(
        state(
            installed=installed(extra=(Package("nvidia-fabricmanager", f"{OLD}-1", source="vendor"),)),
            mismatches=(Mismatch("nvidia-fabricmanager", OLD),),
        ),
        "The driver's packages are of different versions, and work only in one: 580.105.08 (nvidia-fabricmanager); "
        "580.178.04 (libnvidia-compute, nvidia-dkms-open).",
        "Bring all packages of the driver to one version.",
        id="broken-fabric-manager-of-another-version",
    ),
    pytest.param(
        state(installed=installed(extra=(Package("nvidia-utils-580", f"{VERSION}-0ubuntu1", source="distribution"),))),
        "The driver is a mixture of NVIDIA's packages (libnvidia-compute, nvidia-dkms-open) "
        "and the distribution's (nvidia-utils-580).",
        "Remove the packages of one of the two sources.",
        id="broken-both-sources",
    ),
    pytest.param(
        state(installed=installed(module=None), loaded=Loaded(), kernels=(kernel(module=None, state=None),)),
        "The driver's libraries are installed (libnvidia-compute), and nothing that has its kernel module.",
        "Install the package with the kernel module of the same version.",
        id="broken-libraries-without-a-module",
    ),
    pytest.param(
        state(installed=Installed(VERSION, packages=TOOLS), loaded=Loaded(), gpus=(UNBOUND,), kernels=()),
        "The driver's libraries are installed (libcuda1, nvidia-smi), and nothing that has its kernel module.",
        "Install the package with the kernel module of the same version.",
        id="broken-libraries-without-a-module-where-no-kernel-is-installed",
    ),
    pytest.param(
        state(secure_boot="enabled", **two_kernels(module=module(signer=None))),
        "Secure Boot is enabled, and the module for kernel 6.8.0-51-generic (boots next) is not signed: "
        "the kernel will not load it.",
        "Install a module that the distribution has signed, or have DKMS sign it and enrol the key.",
        id="broken-unsigned-module-with-secure-boot",
    ),
    pytest.param(
        state(secure_boot="enabled", loaded=Loaded(), mok=Mok(False, False, "/var/lib/dkms/mok.pub")),
        "Secure Boot is enabled, and the module for kernel 6.8.0-50-generic (running, boots next) is signed with a key "
        "that is not enrolled (/var/lib/dkms/mok.pub, signer DKMS module signing key): the kernel will not load it.",
        "Run mokutil --import /var/lib/dkms/mok.pub, and reboot with somebody at the console, who confirms it.",
        id="broken-key-not-enrolled",
    ),
    pytest.param(
        state(secure_boot="enabled", loaded=Loaded(), mok=Mok(False, True, "/var/lib/dkms/mok.pub")),
        "Secure Boot is enabled, and the module for kernel 6.8.0-50-generic (running, boots next) is signed with a key "
        "that is not enrolled (/var/lib/dkms/mok.pub, signer DKMS module signing key): the kernel will not load it.",
        "Reboot with somebody at the console, who confirms the enrolment of the key.",
        id="broken-enrolment-waits-for-somebody-at-the-console",
    ),
    pytest.param(
        state(gpus=(Gpu("0000:1a:00.0", "10de:1db4", "volta", "nvidia"),)),
        "The open kernel module does not drive Volta (10de:1db4): it needs Turing or newer; ask for the proprietary "
        "flavour, of branch 580 or older.",
        "Install a driver that drives all GPUs of this host.",
        id="broken-flavour-does-not-drive-the-gpu",
    ),
    pytest.param(
        state(nvswitches=4, fabric_manager=FabricManager(needed=True)),
        "The GPUs are joined by NVSwitches, and no fabric manager is installed: no CUDA program will start.",
        "Install the fabric manager of version 580.178.04.",
        id="broken-no-fabric-manager",
    ),
    pytest.param(
        state(nvswitches=4, fabric_manager=FabricManager(needed=True, version=VERSION, active=False)),
        "The GPUs are joined by NVSwitches, and the fabric manager does not run: no CUDA program will start.",
        "Start nvidia-fabricmanager.service, and read its journal if it does not stay up.",
        id="broken-fabric-manager-does-not-run",
    ),
]


@pytest.mark.parametrize(("known", "sentence", "step"), ROWS)
def test_verdict(known, sentence, step, request):
    found = diagnose(known, Desired())
    assert found.verdict == request.node.callspec.id.partition("-")[0], found
    assert (found.reasons[0], found.next_step) == (sentence, step)


@pytest.mark.parametrize(
    ("known", "desired", "sentence", "step"),
    [
        pytest.param(
            State(),
            Desired("580"),
            "No GPU driver is installed.",
            "Install the GPU driver 580.",
            id="nothing-there",
        ),
        pytest.param(
            state(),
            Desired("595", "open"),
            "Driver 595 is desired, and 580.178.04 is installed.",
            "Install the NVIDIA driver 595 with the open kernel module.",
            id="other-branch",
        ),
        pytest.param(
            state(),
            Desired("580.105.08"),
            "Driver 580.105.08 is desired, and 580.178.04 is installed.",
            "Install the NVIDIA driver 580.105.08.",
            id="other-build",
        ),
        pytest.param(
            state(),
            Desired("58"),
            "Driver 58 is desired, and 580.178.04 is installed.",
            "Install the NVIDIA driver 58.",
            id="the-start-of-a-branch-is-none",
        ),
        pytest.param(
            state(),
            Desired(None, "proprietary"),
            "The proprietary kernel module is desired, and the open one is installed.",
            "Install the NVIDIA driver with the proprietary kernel module.",
            id="other-flavour",
        ),
    ],
)
def test_what_is_desired_and_not_installed_is_absent(known, desired, sentence, step):
    found = diagnose(known, desired)
    assert (found.verdict, found.reasons[0], found.next_step) == ("absent", sentence, step)


@pytest.mark.parametrize("desired", [Desired("580"), Desired(VERSION, "open"), Desired(None, "open")])
def test_what_is_desired_and_there_is_ok(desired):
    assert diagnose(state(), desired).verdict == "ok"


@pytest.mark.parametrize(
    ("known", "note"),
    [
        pytest.param(
            state(kernels=(kernel("6.8.0-49-generic", headers=False), RUNNING)),
            "The headers of kernel 6.8.0-49-generic are not installed: "
            "the next version of the driver could not be built for it.",
            id="headers-are-missing-where-the-module-is-built",
        ),
        pytest.param(
            state(kernels=(kernel(NEXT, next_boot=True),), running_kernel="6.18.44"),
            "The running kernel 6.18.44 is not installed, as in a container or after its package was removed: "
            "nothing is said about its module.",
            id="the-running-kernel-is-not-installed",
        ),
        pytest.param(state(gpus=()), "No NVIDIA GPU is on the PCI bus.", id="no-gpu"),
        pytest.param(
            state(gpus=(Gpu("0000:1a:00.0", "10de:ffff", None, "nvidia"),)),
            "No table knows the PCI id 10de:ffff: which driver serves it is not known here.",
            id="unknown-gpu",
        ),
        pytest.param(
            state(installed=NOTHING),
            "The driver did not come in packages, so that the package manager cannot keep it right.",
            id="nvidia's-installer",
        ),
        pytest.param(
            state(excluded_from_unattended=False),
            "Unattended upgrades can move parts of the driver under the loaded module.",
            id="unattended-upgrades",
        ),
        pytest.param(
            state(secure_boot="enabled", gpus=(), loaded=Loaded()),
            "Secure Boot is enabled, and nobody could say whether the key of DKMS module signing key is enrolled, "
            "which has signed the module for kernel 6.8.0-50-generic (running, boots next).",
            id="nobody-knows-the-key",
        ),
    ],
)
def test_what_is_only_said(known, note):
    found = diagnose(known, Desired())
    assert (found.verdict, found.next_step) == ("ok", None)
    assert note in found.reasons[1:]


def test_an_older_kernel_may_be_without_a_module_that_comes_in_packages():
    signed = module(signer="Canonical Ltd. Kernel Module Signing", origin="prebuilt")
    older, now = kernel("6.8.0-49-generic", module=None, state=None, headers=False), kernel(module=signed, state=None)
    note = "Kernel 6.8.0-49-generic has no module of the driver: booted, it drives no GPU."
    found = diagnose(state(kernels=(older, dataclasses.replace(now, running=True))), Desired())
    assert (found.verdict, found.next_step) == ("ok", None)
    assert note in found.reasons
    # Where nobody knows which one boots, all of them count.
    found = diagnose(state(kernels=(older, now), next_kernel=None), Desired())
    assert (found.verdict, found.reasons[0]) == ("rebuild", "Kernel 6.8.0-49-generic has no module of the driver.")


def test_nouveau_is_told_of_before_a_driver_is_installed():
    known = state(installed=NOTHING, loaded=Loaded(), kernels=(), gpus=(NOUVEAU,), other_drivers=("nouveau",))
    assert diagnose(known, Desired()).reasons[1:] == (
        "nouveau is loaded, and must make way for the driver: that takes a reboot.",
    )


def test_the_most_urgent_comes_first_and_nothing_is_left_out():
    known = state(
        installed=installed(extra=(Package("nvidia-settings", "570.1-1", "half_installed"),)),
        loaded=loaded(OLD),
        **two_kernels(module=None, state=None, headers=False),
    )
    found = diagnose(known, Desired("595"))
    assert found.verdict == "broken"
    assert [sentence.split()[0] for sentence in found.reasons] == ["Package", "Driver", "Kernel", "The"]
    assert found.next_step == "Run dpkg --configure -a, then apt-get --fix-broken install."


def test_the_running_kernel_comes_before_the_next_one_and_the_next_before_the_others():
    releases = ("6.8.0-48-generic", "6.8.0-49-generic", "6.8.0-50-generic", NEXT)
    kernels = tuple(
        kernel(release, module=None, state="added", running=release == releases[1], next_boot=release == releases[2])
        for release in releases
    )
    found = diagnose(state(kernels=kernels, loaded=Loaded(), gpus=()), Desired())
    assert [sentence.split()[1] for sentence in found.reasons[:4]] == [releases[1], releases[2], NEXT, releases[0]]


def test_a_driver_that_dkms_has_in_an_older_version_is_not_a_failure_of_the_installed_one():
    built = kernel(running=True, next_boot=True)
    stale = dataclasses.replace(built, dkms=Dkms("535.1", "failed", "error"))
    assert diagnose(state(kernels=(stale,)), Desired()).verdict == "ok"
