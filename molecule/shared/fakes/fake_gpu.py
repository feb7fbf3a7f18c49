#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulate GPUs, a loaded driver, Secure Boot and the running kernel on a test host that has none of them.

    fake_gpu.py < desired.json

The kernel's files are laid out below ROOT and bind-mounted over the real ones; what is simulated can be changed as
often as needed. desired.json has, each of them optional:

    state           "present" or "absent" (all of it goes)
    pci_ids         ["10de:2330", ...]
    nvswitches      number of NVSwitches
    kernel_driver   what is bound to the GPUs, such as "nvidia" or "nouveau"
    loaded          {"version": "580.178.04", "flavour": "open", "dependents": ["nvidia_uvm"], "refcount": 0}
    other_drivers   other modules that are loaded, such as ["nouveau"]
    secure_boot     "enabled", "disabled" or "unsupported"
    running_kernel  a release
    holder          name of a process that has /dev/nvidia0 open

It says "changed" when it has changed something.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path("/run/simulated-gpu")
MOUNTS = {
    "pci": "/sys/bus/pci/devices",
    "drivers": "/sys/bus/pci/drivers",
    "module": "/sys/module",
    "driver": "/proc/driver",
    "firmware": "/sys/firmware",
    "osrelease": "/proc/sys/kernel/osrelease",
}
UNIT = "simulated-gpu-holder"
DEVICE = pathlib.Path("/dev/nvidia0")
CLASSES = {"10de": "0x030200", "1002": "0x120000"}
FLAVOURS = {"open": "Open Kernel Module for x86_64", "proprietary": "x86_64 Kernel Module"}
SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def main() -> None:
    if simulate(json.load(sys.stdin)):
        print("changed")


def simulate(given: dict[str, Any]) -> bool:
    """Whether that has changed anything."""
    desired = {name: value for name, value in given.items() if value is not None}
    noted = ROOT / "desired.json"
    before = json.loads(noted.read_text()) if noted.exists() else None
    if desired.pop("state", "present") == "absent":
        if before is not None:
            take_away()
        return before is not None
    if desired == before:
        return False
    ROOT.mkdir(exist_ok=True)
    lay(desired)
    hold(desired.get("holder"))
    noted.write_text(json.dumps(desired))
    return True


def take_away() -> None:
    hold(None)
    for target in MOUNTS.values():
        while os.path.ismount(target) or is_mounted(target):
            subprocess.run(["umount", target], check=True)
    shutil.rmtree(ROOT)


def is_mounted(target: str) -> bool:
    """ismount does not see a file that is mounted on a file of the same device."""
    return any(line.split()[4] == target for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())


def lay(desired: dict[str, Any]) -> None:
    if "running_kernel" not in desired and is_mounted(MOUNTS["osrelease"]):
        subprocess.run(["umount", MOUNTS["osrelease"]], check=True)
        (ROOT / "osrelease").unlink()
    for name in MOUNTS:
        if name != "osrelease":
            empty(ROOT / name)
    ids = [*desired.get("pci_ids", ()), *("10de:22a3" for _number in range(desired.get("nvswitches", 0)))]
    for number, pci_id in enumerate(ids):
        vendor, device = pci_id.split(":")
        folder = ROOT / "pci" / f"0000:{number + 16:02x}:00.0"
        is_switch = number >= len(desired.get("pci_ids", ()))
        write(folder / "vendor", f"0x{vendor}\n")
        write(folder / "device", f"0x{device}\n")
        write(folder / "class", "0x068000\n" if is_switch else f"{CLASSES[vendor]}\n")
        if desired.get("kernel_driver") and not is_switch:
            bound = ROOT / "drivers" / desired["kernel_driver"]
            bound.mkdir(exist_ok=True)
            (bound / folder.name).symlink_to(f"../../devices/{folder.name}")
            (folder / "driver").symlink_to(f"../../../bus/pci/drivers/{bound.name}")
    loaded = desired.get("loaded")
    if loaded:
        amd = desired.get("pci_ids", [""])[0].startswith("1002")
        name, dependents = "amdgpu" if amd else "nvidia", loaded.get("dependents", ())
        module(name, len(dependents) + loaded.get("refcount", 0), dependents)
        write(ROOT / "module" / name / "version", f"{loaded['version']}\n")
        for dependent in dependents:
            module(dependent, 0, ())
        if not amd:
            line = f"NVRM version: NVIDIA UNIX {FLAVOURS[loaded['flavour']]}  {loaded['version']}  simulated\n"
            write(ROOT / "driver" / "nvidia" / "version", line)
    for name in desired.get("other_drivers", ()):
        module(name, 0, ())
    secure_boot = desired.get("secure_boot", "unsupported")
    if secure_boot != "unsupported":
        variable = ROOT / "firmware" / "efi" / "efivars" / SECURE_BOOT
        variable.parent.mkdir(parents=True)
        variable.write_bytes(bytes((6, 0, 0, 0, secure_boot == "enabled")))
    if "running_kernel" in desired:
        (ROOT / "osrelease").write_text(f"{desired['running_kernel']}\n")
    for name, target in MOUNTS.items():
        if (ROOT / name).exists() and not is_mounted(target):
            subprocess.run(["mount", "--bind", str(ROOT / name), target], check=True)


def module(name: str, refcount: int, holders: Any) -> None:
    folder = ROOT / "module" / name
    write(folder / "initstate", "live\n")
    write(folder / "refcnt", f"{refcount}\n")
    (folder / "holders").mkdir()
    for holder in holders:
        (folder / "holders" / holder).symlink_to(f"../../{holder}")


def hold(name: str | None) -> None:
    """A process that has a device of this name open; the device is a null device."""
    subprocess.run(["systemctl", "stop", UNIT], check=False, capture_output=True)
    DEVICE.unlink(missing_ok=True)
    if name is None:
        return
    os.mknod(DEVICE, 0o20666, os.makedev(1, 3))
    program = f"exec 3</dev/nvidia0; printf %s {name} >/proc/self/comm; read line </run/{UNIT}.fifo"
    fifo = pathlib.Path(f"/run/{UNIT}.fifo")
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    subprocess.run(["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", "sh", "-c", program], check=True)


def empty(folder: pathlib.Path) -> None:
    """The folder itself stays: it is what is mounted."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
