# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secure Boot, what is loaded and who holds it, the fabric manager, and all of it together."""

from __future__ import annotations

import builtins
import errno
import json
import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._driver import (
    device_holders,
    fabric,
    gpus,
    info,
    loaded,
    secure_boot,
)
from ansible_collections.mlops.hosts.plugins.module_utils._driver.types import (
    Desired,
    FabricManager,
    Gpu,
    Loaded,
    Mok,
    Package,
    User,
    as_result,
)
from ansible_collections.mlops.hosts.plugins.module_utils._driver.verdict import diagnose
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.tests.unit.fakes import RecordedHost, Told

from .._gpu.support import pci_device
from .support import DEBIAN_12, dkms_has, kernel_on_disk, recorded, write

VARIABLE = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
KEY = "/var/lib/dkms/mok.pub"


@pytest.mark.parametrize(("last", "word"), [(1, "enabled"), (0, "disabled")])
def test_secure_boot_by_its_variable(tmp_path, last, word):
    write(tmp_path, VARIABLE, bytes((6, 0, 0, 0, last)))
    run = RecordedHost()
    assert secure_boot.read(str(tmp_path), run, 30) == word
    assert run.calls == []


@pytest.mark.parametrize(("name", "word"), [("enabled", "enabled"), ("disabled", "disabled"), (None, None)])
def test_secure_boot_by_mokutil(tmp_path, name, word):
    write(tmp_path, "sys/firmware/efi/fw_platform_size", "64\n")
    assert secure_boot.read(str(tmp_path), RecordedHost(**({"mokutil": name} if name else {})), 30) == word


def test_secure_boot_without_uefi(tmp_path):
    run = RecordedHost(mokutil="no-efi")
    assert secure_boot.read(str(tmp_path), run, 30) == "unsupported"
    assert run.calls == []


@pytest.mark.parametrize(
    ("name", "enrolled", "pending"),
    [("enrolled", True, False), ("not-enrolled", False, False), ("pending", False, True), ("no-efi", None, None)],
)
def test_the_key(tmp_path, name, enrolled, pending):
    write(tmp_path, KEY)
    run = RecordedHost(mokutil=name)
    assert secure_boot.mok(str(tmp_path), run, 30, has_uefi=True) == Mok(enrolled, pending, KEY)
    assert run.calls == [("mokutil", "--test-key", KEY)]


def test_the_key_where_it_does_not_matter_or_nobody_can_tell(tmp_path):
    run = RecordedHost(mokutil="enrolled")
    assert secure_boot.mok(str(tmp_path), run, 30, has_uefi=True) == Mok()
    write(tmp_path, KEY)
    assert secure_boot.mok(str(tmp_path), run, 30, has_uefi=False) == Mok(key=KEY)
    assert run.calls == []
    assert secure_boot.mok(str(tmp_path), RecordedHost(), 30, has_uefi=True) == Mok(key=KEY)


def test_ubuntu_s_key_and_one_that_dkms_was_told_of(tmp_path):
    for path in (KEY, "/var/lib/shim-signed/mok/MOK.der", "/etc/keys/own.der"):
        write(tmp_path, path)
    assert secure_boot.mok(str(tmp_path), RecordedHost(), 30, has_uefi=False).key == "/var/lib/shim-signed/mok/MOK.der"
    write(tmp_path, "etc/dkms/framework.conf.d/own.conf", 'mok_certificate="/etc/keys/own.der"\n')
    assert secure_boot.mok(str(tmp_path), RecordedHost(), 30, has_uefi=False).key == "/etc/keys/own.der"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('mok_certificate="/etc/my keys/own.der" # ours\n', "/etc/my keys/own.der"),
        ("mok_certificate=/etc/my\\ keys/own.der\n", "/etc/my keys/own.der"),
        ("sign_tool=/x; export mok_certificate=\\\n/own.der\n", "/own.der"),
        ("# mok_certificate=/own.der\n", KEY),
        ('mok_certificate="$dir/own.der"\n', KEY),
        ('mok_certificate="/own.der\n', KEY),
    ],
)
def test_the_key_that_dkms_was_told_of_is_read_as_a_shell_does(tmp_path, text, key):
    for path in (KEY, "etc/my keys/own.der", "own.der"):
        write(tmp_path, path)
    write(tmp_path, "etc/dkms/framework.conf", text)
    assert secure_boot.mok(str(tmp_path), RecordedHost(), 30, has_uefi=False).key == key


# The first line of the file; where it was read is said in upstream's sources, for no GPU was at hand.
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.178.04  Release Build  (dvs-builder@U22)\n"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.309.01  Thu Jan  1 00:00:00 UTC 2026\nGCC version:\n"
ARM = "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.178.04  Release Build\n"


def module(root, name, refcount, holders=()):
    write(root, f"sys/module/{name}/refcnt", f"{refcount}\n")
    write(root, f"sys/module/{name}/initstate", "live\n")
    for holder in holders:
        (root / f"sys/module/{name}/holders").mkdir(exist_ok=True)
        (root / f"sys/module/{name}/holders/{holder}").symlink_to(f"../../{holder}")


@pytest.mark.parametrize(
    ("text", "version", "flavour"),
    [
        (OPEN, "580.178.04", "open"),
        (CLOSED, "535.309.01", "proprietary"),
        (ARM, "580.178.04", "open"),
    ],
)
def test_what_is_loaded(tmp_path, text, version, flavour):
    write(tmp_path, "proc/driver/nvidia/version", text)
    module(tmp_path, "nvidia_drm", 2)
    module(tmp_path, "nvidia_modeset", 1, ["nvidia_drm"])
    module(tmp_path, "nvidia_uvm", 0)
    module(tmp_path, "nvidia", 5, ["nvidia_modeset", "nvidia_uvm"])
    # Three open devices, and two consoles.
    seen = Loaded("nvidia", version, flavour, ("nvidia_drm", "nvidia_modeset", "nvidia_uvm"), 5)
    assert loaded.read(str(tmp_path), "nvidia") == seen


def test_loaded_without_a_file_that_says_so(tmp_path):
    module(tmp_path, "nvidia", 0)
    write(tmp_path, "sys/module/nvidia/version", "580.178.04\n")
    assert loaded.read(str(tmp_path), "nvidia") == Loaded("nvidia", "580.178.04", None, (), 0)


def test_a_kernel_that_cannot_unload_modules_counts_nothing(tmp_path):
    write(tmp_path, "proc/driver/nvidia/version", OPEN)
    assert loaded.read(str(tmp_path), "nvidia").refcount is None


def test_nothing_is_loaded(tmp_path):
    # What is built into the kernel has a folder for its parameters.
    write(tmp_path, "sys/module/nouveau/parameters/modeset", "0\n")
    assert loaded.read(str(tmp_path), "nvidia") == Loaded()
    assert loaded.read(str(tmp_path), None) == Loaded()
    assert loaded.others(str(tmp_path), "nvidia") == ()


def test_amd_is_loaded(tmp_path):
    module(tmp_path, "amdgpu", 3)
    write(tmp_path, "sys/module/amdgpu/version", "6.12.12\n")
    assert loaded.read(str(tmp_path), "amd") == Loaded("amdgpu", "6.12.12", None, (), 3)
    assert loaded.others(str(tmp_path), "amd") == ()


def test_others(tmp_path):
    module(tmp_path, "nouveau", 0)
    module(tmp_path, "nova_core", 0)
    assert loaded.others(str(tmp_path), "nvidia") == ("nouveau", "nova_core")


def test_users(tmp_path):
    for pid, name, target in ((9, "python3", "/dev/nvidiactl"), (10, "sshd", "/dev/null"), (11, "hip", "/dev/kfd")):
        write(tmp_path, f"proc/{pid}/comm", f"{name}\n")
        (tmp_path / f"proc/{pid}/fd").mkdir()
        (tmp_path / f"proc/{pid}/fd/3").symlink_to(target)
    write(tmp_path, "proc/12/comm", "gone\n")
    assert device_holders.read(str(tmp_path), "nvidia") == (User(9, "python3"),)
    assert device_holders.read(str(tmp_path), "amd") == (User(11, "hip"),)
    assert device_holders.read(str(tmp_path), None) == ()


@pytest.fixture
def deny(tmp_path, monkeypatch):
    """Paths below the root of the host that this user is not let at, folders with all that is in them."""
    closed = []

    def guarded(function):
        def call(path, *rest, **options):
            if any(str(path) == top or str(path).startswith(f"{top}/") for top in closed):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return function(path, *rest, **options)

        return call

    for module, name in ((builtins, "open"), (os, "listdir"), (os, "stat")):
        monkeypatch.setattr(module, name, guarded(getattr(module, name)))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    return lambda *paths: closed.extend(str(tmp_path / path) for path in paths)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("boot/grub/grub.cfg", id="what-boots-next"),
        pytest.param("boot/loader", id="entries-of-the-boot-loader"),
        pytest.param("sys/class/infiniband/mlx5_0/device/vpd", id="switches-behind-infiniband"),
        pytest.param("var/lib/mlops.hosts", id="disruption-of-an-earlier-run"),
        pytest.param("var/lib/dkms/nvidia-current", id="what-dkms-has-built"),
    ],
)
def test_what_only_root_may_read_is_not_taken_for_missing(host, deny, path):
    write(host, "boot/loader/loader.conf", "default x\n")
    write(host, "sys/class/infiniband/mlx5_0/device/vpd", b"SW_MNG")
    write(host, "var/lib/mlops.hosts/gpu_driver.disruption.json", "{}")
    if path.endswith(".cfg"):
        write(host, path)
    deny(path)
    says = f"{path}.* can be read by root only, and this task runs as user 12345; set become: true"
    with pytest.raises(HostError, match=says):
        info.collect(RecordedHost(**programs()), root=str(host))


def test_users_are_not_known_where_processes_are_hidden(tmp_path, deny):
    for pid in (9, 10):
        write(tmp_path, f"proc/{pid}/comm", "python3\n")
        (tmp_path / f"proc/{pid}/fd").mkdir()
        (tmp_path / f"proc/{pid}/fd/3").symlink_to("/dev/nvidiactl")
    deny("proc/9/fd")
    assert device_holders.read(str(tmp_path), "nvidia") is None


FABRIC_MANAGER = Package("nvidia-fabricmanager", "580.178.04-1")


@pytest.mark.parametrize(
    ("switches", "packages", "said", "seen"),
    [
        (0, (), None, FabricManager()),
        (4, (), None, FabricManager(needed=True)),
        (4, (FABRIC_MANAGER,), "active", FabricManager(True, "580.178.04", True)),
        (4, (FABRIC_MANAGER,), "failed", FabricManager(True, "580.178.04", False)),
        (0, (Package("nvidia-fabricmanager-570", "570.1-1"),), "inactive", FabricManager(False, "570.1", False)),
        (4, (Package("nvidia-fabricmanager", "570.1-1", "config_files"),), None, FabricManager(needed=True)),
        (4, (FABRIC_MANAGER,), None, FabricManager(True, "580.178.04", None)),
    ],
)
def test_fabric_manager(tmp_path, switches, packages, said, seen):
    run = Told(**({"systemctl": f"{said}\n"} if said else {}))
    assert fabric.read(str(tmp_path), switches, packages, run, 30) == seen


def test_switches_behind_infiniband(tmp_path):
    write(tmp_path, "sys/class/infiniband/mlx5_0/device/vpd", b"\x82\x20\x00Nvidia SW_MNG\xff\x00")
    assert fabric.read(str(tmp_path), 0, (), RecordedHost(), 30).needed is True


def test_gpus_and_switches(tmp_path):
    pci_device(tmp_path / "sys", "0000:1a:00.0", "10de", "2330", "030200", driver="nvidia")
    pci_device(tmp_path / "sys", "0000:1b:00.0", "10de", "22a3", "068000")
    pci_device(tmp_path / "sys", "0000:05:00.0", "1002", "74a1", "120000", driver="amdgpu")
    found = gpus.read(str(tmp_path))
    assert found["nvidia"] == (Gpu("0000:1a:00.0", "10de:2330", "hopper", "nvidia"),)
    assert found["amd"] == (Gpu("0000:05:00.0", "1002:74a1", None, "amdgpu"),)
    assert gpus.nvswitches(str(tmp_path)) == 1


@pytest.fixture
def host(tmp_path):
    """A bookworm host as recorded, with a GPU of no real host."""
    write(tmp_path, "etc/os-release", recorded("os-release/debian-trixie"))
    write(tmp_path, "usr/bin/dpkg-query")
    write(tmp_path, "usr/bin/unattended-upgrade")
    dkms_has(tmp_path, "nvidia-current", "535.309.01", DEBIAN_12)
    write(tmp_path, "proc/sys/kernel/osrelease", f"{DEBIAN_12}\n")
    write(tmp_path, "proc/sys/kernel/random/boot_id", "0b1c\n")
    write(tmp_path, VARIABLE, bytes((6, 0, 0, 0, 0)))
    write(tmp_path, KEY)
    kernel_on_disk(tmp_path, DEBIAN_12, "updates/dkms/nvidia-current.ko")
    pci_device(tmp_path / "sys", "0000:1a:00.0", "10de", "20b0", "030200")
    return tmp_path


def programs(**others):
    return {"dpkg_query": "driver-bookworm", "modinfo": "bookworm", "apt_config": "unattended-excluded", **others}


def test_all_of_it(host):
    run = RecordedHost(**programs(mokutil="not-enrolled"))
    state = info.collect(run, root=str(host))
    result = as_result(state, Desired(), diagnose(state, Desired()))
    assert json.loads(json.dumps(result)) == result
    assert [call[0] for call in run.calls] == ["dpkg-query", "modinfo", "mokutil", "apt-config"]
    assert (result["vendor"], result["installed"]["version"], result["boot_id"]) == ("nvidia", "535.309.01", "0b1c")
    assert (result["next_kernel"], result["next_kernel_rule"]) == (DEBIAN_12, "newest")
    assert (result["secure_boot"], result["excluded_from_unattended"]) == ("disabled", True)


def test_nothing_at_all(tmp_path):
    run = RecordedHost()
    state = info.collect(run, root=str(tmp_path))
    assert (state.vendor, state.gpus, state.kernels, run.calls) == (None, (), (), [])
    assert diagnose(state, Desired()).verdict == "absent"


def test_the_vendor_is_that_of_the_packages_where_there_is_no_gpu(host):
    os.remove(host / "sys/bus/pci/devices/0000:1a:00.0")
    assert info.collect(RecordedHost(**programs()), root=str(host)).vendor == "nvidia"
    assert info.collect(RecordedHost(**programs()), root=str(host), vendor="amd").vendor == "amd"


def test_nvidia_s_is_asked_about_on_a_host_with_both(host):
    pci_device(host / "sys", "0000:00:02.0", "1002", "1636", "030000", driver="amdgpu")
    state = info.collect(RecordedHost(**programs()), root=str(host))
    assert (state.vendor, [gpu.pci_address for gpu in state.gpus]) == ("nvidia", ["0000:1a:00.0"])


def test_a_time_limit_of_nothing_is_refused(tmp_path):
    with pytest.raises(HostError, match="timeout_s must be more than 0"):
        info.collect(RecordedHost(), root=str(tmp_path), timeout_s=0)
