# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver's tests share: recorded output, hosts laid out in a folder, and states to diagnose."""

from __future__ import annotations

import pathlib

from ansible_collections.mlops.hosts.plugins.module_utils._driver.types import (
    Dkms,
    Gpu,
    Installed,
    Kernel,
    Loaded,
    Module,
    Package,
    State,
)

DATA = pathlib.Path(__file__).parents[3] / "data"
DEBIAN_12, DEBIAN_13 = "6.1.0-56-amd64", "6.12.118+deb13-amd64"
VERSION = "580.178.04"


def recorded(name: str) -> str:
    return (DATA / name).read_text()


def write(root: pathlib.Path, path: str, content: str | bytes = "") -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


def recorded_tree(root: pathlib.Path, name: str, at: str) -> None:
    """A folder as find printed it: kind, path, and where a link leads."""
    for line in recorded(name).splitlines():
        kind, path, target = line.split(" ")
        place = root / at / path
        if kind == "d":
            place.mkdir(parents=True, exist_ok=True)
        elif kind == "l":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
        else:
            write(root, f"{at}/{path}")


def dkms_has(root: pathlib.Path, name: str, version: str, *built: str, installed: bool = True) -> None:
    """DKMS's tree as it was recorded: what is installed has a link."""
    source = root / f"var/lib/dkms/{name}/{version}/source"
    source.parent.mkdir(parents=True)
    source.symlink_to(f"/usr/src/{name}-{version}")
    for release in built:
        write(root, f"var/lib/dkms/{name}/{version}/{release}/x86_64/module/{name}.ko")
        if installed:
            (root / f"var/lib/dkms/{name}/kernel-{release}-x86_64").symlink_to(f"{version}/{release}/x86_64")


def kernel_on_disk(root: pathlib.Path, release: str, module: str | None = None, *, headers: bool = True) -> None:
    """An installed kernel as Debian lays it out, with a module of the driver where one is named."""
    write(root, f"boot/vmlinuz-{release}")
    write(root, f"lib/modules/{release}/kernel/fs/ext4/ext4.ko")
    listed = ["kernel/fs/ext4/ext4.ko:"]
    if module:
        write(root, f"lib/modules/{release}/{module}")
        listed.append(f"{module}: kernel/drivers/gpu/drm/drm.ko")
    write(root, f"lib/modules/{release}/modules.dep", "".join(f"{line}\n" for line in listed))
    if headers:
        write(root, f"usr/src/linux-headers-{release}/Makefile")
        (root / f"lib/modules/{release}/build").symlink_to(f"/usr/src/linux-headers-{release}")


GPU = Gpu("0000:1a:00.0", "10de:2330", "hopper", "nvidia")


def packages(version=VERSION, *, module="nvidia-dkms-open", source="vendor"):
    return tuple(Package(name, f"{version}-1ubuntu1", source=source) for name in ("libnvidia-compute", module) if name)


def installed(version=VERSION, flavour="open", source="vendor", extra=(), **options):
    return Installed(version, flavour, source, (*packages(version, source=source, **options), *extra))


def loaded(version=VERSION, flavour="open", dependents=("nvidia_uvm",), refcount=0):
    return Loaded("nvidia", version, flavour, dependents, refcount)


def module(version=VERSION, flavour="open", signer="DKMS module signing key", origin="dkms"):
    return Module(version, flavour, signer, origin, "/lib/modules/r/updates/dkms/nvidia.ko")


BUILT = module()


def kernel(release="6.8.0-50-generic", *, module=BUILT, state="installed", words=None, **options):
    dkms = Dkms(VERSION, state, words) if state else None
    return Kernel(release, module=module, dkms=dkms, headers=options.pop("headers", True), **options)


RUNNING = kernel(running=True, next_boot=True)


def state(**options) -> State:
    """A host that is right, but for what is said."""
    return State(
        **{
            "vendor": "nvidia",
            "gpus": (GPU,),
            "installed": installed(),
            "loaded": loaded(),
            "kernels": (RUNNING,),
            "running_kernel": "6.8.0-50-generic",
            "next_kernel": "6.8.0-50-generic",
            "next_kernel_rule": "grub",
            "secure_boot": "disabled",
            "excluded_from_unattended": True,
            **options,
        }
    )
