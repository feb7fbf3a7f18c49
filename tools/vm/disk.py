# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a virtual test host: the image of a test host with kernels, on a file system behind a real GRUB.

No loop device is needed: the file system is made from a folder, and GRUB's two images are laid where the firmware and
GRUB's first one look for them.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import docker

from tools.hosts.docker_engine import BUILD, Problem, say
from tools.hosts.image import USER

SIZE = 8 << 30
# Room before the file system, for GRUB.
START = 1 << 20
SECTOR = 512
LINUX_PARTITION = 0x83

_UNITS = "etc/systemd/system"
_FILES = {
    "etc/fstab": "/dev/vda1 / ext4 defaults 0 1\n",
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n",
    # Where QEMU's own network answers.
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
    "etc/systemd/network/guest.network": "[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\n",
    "etc/default/grub": (
        'GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX="console=ttyS0"\n'
        "GRUB_TERMINAL=console\n"
    ),
}
_LINKS = {
    f"{_UNITS}/multi-user.target.wants/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
    # Takes a quarter of a minute at each boot of an emulated processor, for nothing.
    f"{_UNITS}/e2scrub_reap.service": "/dev/null",
}
# What the images of test hosts switch off because they run in containers, and what says that it is one.
_GONE = (".dockerenv", f"{_UNITS}/systemd-modules-load.service")


def make_disk(client: docker.DockerClient, image: str, key: str, disk: Path) -> None:
    """A disk that boots by itself, as qcow2."""
    if os.geteuid() != 0:
        raise Problem("the disk of a virtual host can only be made by root: files keep their owners")
    tree, raw = BUILD / "guest-tree", disk.with_suffix(".raw")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    try:
        say("guest: laying out its files")
        _export(client, image, tree)
        _lay(tree, key)
        raw.unlink(missing_ok=True)
        with open(raw, "wb") as handle:
            handle.truncate(SIZE)
        size = f"{(SIZE - START) // 1024}k"
        _run("mkfs.ext4", "-q", "-F", "-E", f"offset={START}", "-d", str(tree), str(raw), size)
        _lay_grub(tree, raw)
        _run("qemu-img", "convert", "-O", "qcow2", str(raw), str(disk))
    finally:
        shutil.rmtree(tree)
        raw.unlink(missing_ok=True)


def _export(client: docker.DockerClient, image: str, tree: Path) -> None:
    made = client.api.create_container(image, command=["true"])
    try:
        with subprocess.Popen(["tar", "-x", "--numeric-owner", "-C", str(tree)], stdin=subprocess.PIPE) as tar:
            assert tar.stdin
            for chunk in client.api.export(made["Id"]):
                tar.stdin.write(chunk)
        if tar.returncode:
            raise Problem(f"the files of {image} could not be laid out: tar exited with status {tar.returncode}")
    finally:
        client.api.remove_container(made["Id"], v=True, force=True)


def _lay(tree: Path, key: str) -> None:
    for name in (*_GONE, *_FILES, *_LINKS):
        (tree / name).unlink(missing_ok=True)
    for name, text in _FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for name, target in _LINKS.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(target)
    newest = max((path.name for path in (tree / "boot").glob("vmlinuz-*")), key=_in_order)
    # For the first boot; the guest writes its own then.
    (tree / "boot/grub/grub.cfg").write_text(
        f"linux /boot/{newest} root=/dev/vda1 console=ttyS0\n"
        f"initrd /boot/{newest.replace('vmlinuz', 'initrd.img')}\nboot\n"
    )
    folder = tree / "home" / USER / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "authorized_keys").write_text(key)
    for path in (folder, folder / "authorized_keys"):
        # The first user of a fresh Debian.
        os.chown(path, 1000, 1000)


def _lay_grub(tree: Path, raw: Path) -> None:
    first, core = (tree / name for name in ("usr/lib/grub/i386-pc/boot.img", "boot/grub/core.img"))
    if core.stat().st_size > START - SECTOR:
        raise Problem(f"GRUB's image has {core.stat().st_size} bytes, more than fit before the file system")
    anywhere = b"\xfe\xff\xff"
    entry = (0x80, anywhere, LINUX_PARTITION, anywhere, START // SECTOR, (SIZE - START) // SECTOR)
    with open(raw, "r+b") as handle:
        handle.write(first.read_bytes()[:440])
        handle.seek(446)
        handle.write(struct.pack("<B3sB3sII", *entry))
        handle.seek(SECTOR - 2)
        handle.write(b"\x55\xaa" + core.read_bytes())


def _in_order(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{' '.join(argv)} exited with status {done.returncode}: {done.stderr.strip()[-800:]}")
