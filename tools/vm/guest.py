# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual test host: a Debian under QEMU, with kernels and a boot loader of its own. Its processor is emulated."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from tools.hosts.docker_engine import BUILD, ROOT, Problem, engine, need, only_one, say, start_time
from tools.hosts.image import USER, ensure_guest
from tools.hosts.ssh import PRIVATE_KEY, free_port, greets, public_key
from tools.vm.disk import make_disk

SUITE = "bookworm"
FOLDER = BUILD / "vm"
# On a machine that does other things too.
BOOT_LIMIT_S = 600
READY = "ready"
NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "mkfs.ext4": "e2fsprogs"}
QEMU = (
    *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"),
    # KVM inside a virtual machine is not to be had everywhere, and does not boot everywhere where it is.
    *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536"),
    *("-rtc", "base=utc,clock=host", "-device", "virtio-rng-pci"),
)


class Guest:
    """One virtual host, by its name; what there is of it lies in .build/vm."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self.name = name
        self.folder = folder / name
        self.disk, self.console = self.folder / "disk.qcow2", self.folder / "console.log"
        self.known_hosts = self.folder / "known_hosts"

    # Its life

    def up(self) -> str:
        """Start it as it was when it had booted for the first time; one that runs stays as it is."""
        begun = time.monotonic()
        if not self.runs():
            base = ensure_base()
            self.down()
            self.folder.mkdir(parents=True)
            # Not an overlay: the state of the processor and the memory lies in the disk's own file.
            _run("cp", "--reflink=auto", "--sparse=always", str(base), str(self.disk))
            self.start("-loadvm", READY)
            self._awake()
        return f"{self.name}: {SUITE}, up after {time.monotonic() - begun:.1f} s"

    def start(self, *more: str) -> None:
        """Start QEMU on the disk as it is."""
        port = free_port()
        argv = [
            *QEMU,
            *("-serial", f"file:{self.console}", "-monitor", f"unix:{self.folder / 'monitor'},server=on,wait=off"),
            *("-drive", f"file={self.disk},if=virtio,format=qcow2,cache=unsafe"),
            *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
            *more,
        ]
        with open(self.folder / "qemu.log", "wb") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        # The start time makes the record point at this process only: process ids are used again.
        (self.folder / "pid").write_text(f"{process.pid} {start_time(process.pid)}\n")
        (self.folder / "port").write_text(f"{port}\n")

    def runs(self) -> bool:
        return self._pid() is not None

    def down(self) -> bool:
        """Remove it, whatever it does; whether there was one."""
        there = self.folder.exists()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        return there

    def stop(self) -> None:
        """As if its power was cut."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 10
            while self._pid() is not None and time.monotonic() < end:
                time.sleep(0.05)

    def cut_power(self) -> None:
        """Everything in it dies at once, and it boots again."""
        self.monitor("system_reset")

    def keep(self, state: str) -> None:
        """Keep all of it as it is, what runs included, under a name."""
        self.run("sync")
        answer = self.monitor(f"savevm {state}")
        if answer:
            raise Problem(f"QEMU cannot keep the state of {self.name}: {answer}")

    def back(self, state: str) -> None:
        """All of it as it was when it was kept."""
        answer = self.monitor(f"loadvm {state}")
        if answer:
            raise Problem(f"QEMU cannot bring {self.name} back to {state!r}: {answer}")
        self._awake()

    def _awake(self) -> None:
        """Its clock stood while its state was kept."""
        self._wait()
        self.run(f"sudo date --utc --set=@{time.time():.0f}")

    @property
    def port(self) -> int:
        return int((self.folder / "port").read_text())

    def _pid(self) -> int | None:
        """The QEMU that was started for this host, if it runs still."""
        try:
            pid, started = (self.folder / "pid").read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def monitor(self, command: str) -> str:
        """Say a command to QEMU's monitor; its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(120)
            connection.connect(str(self.folder / "monitor"))
            _until_prompt(connection)
            connection.sendall(f"{command}\n".encode())
            # What is typed is echoed in its own way.
            return _until_prompt(connection).partition("\n")[2].strip()

    def _wait(self) -> None:
        end = time.monotonic() + BOOT_LIMIT_S
        while not greets(self.port):
            if not self.runs():
                raise Problem(f"{self.name} ended while it booted: {(self.folder / 'qemu.log').read_text().strip()}")
            if time.monotonic() > end:
                tail = "\n".join(self.console.read_text(errors="replace").splitlines()[-15:])
                raise Problem(f"{self.name} is not up after {BOOT_LIMIT_S} s; the end of its console:\n{tail}")
            time.sleep(0.5)
        if not self.known_hosts.exists():
            argv = ["ssh-keyscan", "-p", str(self.port), "-t", "ed25519", "127.0.0.1"]
            self.known_hosts.write_text(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)

    # Talking to it

    def ssh(self) -> list[str]:
        options: tuple[str, ...] = (f'UserKnownHostsFile="{self.known_hosts}"', "IdentitiesOnly=yes", "LogLevel=ERROR")
        # One that reboots says no goodbye.
        options += ("ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=4")
        words = [word for option in options for word in ("-o", option)]
        return ["ssh", *words, "-i", str(PRIVATE_KEY), "-p", str(self.port), f"{USER}@127.0.0.1"]

    def run(self, script: str, stdin: bytes = b"") -> str:
        """Run a script in it; its output. One that fails is a Problem."""
        done = subprocess.run([*self.ssh(), script], input=stdin, capture_output=True)
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise Problem(f"{self.name}: {script!r} exited with status {done.returncode}: {said[-2000:]}")
        return done.stdout.decode(errors="replace").strip()

    def inventory(self) -> dict[str, t.Any]:
        """An Ansible inventory of it."""
        common = (f'UserKnownHostsFile="{self.known_hosts}"', "IdentitiesOnly=yes")
        connection = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(PRIVATE_KEY),
            "ansible_ssh_common_args": " ".join(f"-o {shlex.quote(option)}" for option in common),
            # A guest that reboots ends no connection: QEMU's network keeps them.
            "ansible_ssh_args": "-o ControlMaster=auto -o ControlPersist=300s -o ServerAliveInterval=5",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        return {"all": {"hosts": {self.name: connection}}}


def guests() -> list[Guest]:
    """All that there are."""
    return [Guest(path.parent.name) for path in sorted(FOLDER.glob("*/disk.qcow2"))]


def ensure_base() -> Path:
    """The disk that every virtual host begins with: booted once, with what the processor and the memory held then."""
    need(NEEDED)
    key = public_key()
    with only_one("guest"):
        image = ensure_guest(engine(), SUITE)
        version = subprocess.run([QEMU[0], "--version"], capture_output=True, text=True, check=True).stdout
        inputs = (image, key, version, QEMU, (ROOT / "tools/vm/disk.py").read_text())
        recipe = hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]
        base = FOLDER / f"base-{recipe}.qcow2"
        if base.exists():
            return base
        for old in FOLDER.glob("base-*.qcow2"):
            old.unlink()
        begun = time.monotonic()
        guest = Guest("making")
        guest.down()
        guest.folder.mkdir(parents=True)
        make_disk(engine(), image, key, guest.disk)
        say("guest: first boot")
        guest.start()
        guest._wait()
        guest.run("sudo update-grub && sudo apt-get update -qq && sudo systemctl is-system-running --wait")
        guest.keep(READY)
        guest.stop()
        guest.disk.rename(base)
        guest.down()
        say(f"guest: made in {time.monotonic() - begun:.0f} s")
    return base


def _until_prompt(connection: socket.socket) -> str:
    said = b""
    while not said.endswith(b"(qemu) "):
        part = connection.recv(4096)
        if not part:
            break
        said += part
    return said.decode(errors="replace").removesuffix("(qemu) ").replace("\r", "")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{' '.join(argv)} exited with status {done.returncode}: {done.stderr.strip()}")
