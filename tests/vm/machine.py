# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual host that the tests use, NVIDIA's fake repository in it, and runs of Ansible on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tools.hosts.docker_engine import BUILD, ROOT, engine
from tools.hosts.group import Group, Host
from tools.hosts.ssh import archive
from tools.vm.guest import Guest

# Where it is below the address of NVIDIA's repositories is theirs.
REPOSITORIES = "/srv/nvidia"
REPOSITORY = f"{REPOSITORIES}/debian12/x86_64"
BUILDS = ("580.95.05", "580.178.04", "610.57.04")
FRESH, INSTALLED, BY_ROLE = "fresh", "installed", "by_role"
# The processor is emulated.
BOOT_LIMIT_S, RUN_LIMIT_S = 600, 3600
_SOURCES = f"Types: deb\nURIs: file:{REPOSITORY}\nSuites: ./\nSigned-By: {REPOSITORY}/key.asc\n"
_KEY_FILES = {"key": "key.asc", "fingerprint": "fingerprint"}
_TOOLS = ["dpkg-dev", "apt-utils", "gnupg"]


class Machine:
    def __init__(self, name: str) -> None:
        self.guest = Guest(name)
        self.folder = BUILD / "vm-runs"
        self._runs = 0

    def up(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        packed = make_repository()
        self.guest.down()
        self.guest.up()
        self.guest.run("sudo tar -x -C /srv", packed.read_bytes())
        self.sh("modprobe fake_gpu && echo fake_gpu >/etc/modules-load.d/fake-gpu.conf && udevadm settle")
        self.guest.keep(FRESH)

    def back(self, state: str) -> None:
        self._hang_up()
        self.guest.back(state)

    def install(self, version: str) -> None:
        """By hand, as someone else would."""
        self.write("/etc/apt/sources.list.d/nvidia.sources", _SOURCES)
        packages = "nvidia-kernel-open-dkms nvidia-driver-cuda"
        self.sh(f"apt-get update -qq && apt-get install -y -qq nvidia-driver-pinning-{version}")
        self.sh(f"DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {packages}")
        # The packages build for the kernel that runs and the newest.
        self.sh("for kernel in $(ls /lib/modules); do dkms autoinstall -k $kernel; done")

    # Talking to it

    def sh(self, script: str) -> str:
        """Run a script as root."""
        return self.guest.run("sudo sh -e", script.encode())

    def write(self, path: str, text: str) -> None:
        self.guest.run(f"sudo tee {path}", text.encode())

    def refuses(self, command: str) -> str:
        """What a command says that must fail, and how it answers."""
        return self.sh(f"answer=0; {command} 2>&1 || answer=$?; echo $answer; test $answer != 0")

    @property
    def boot_id(self) -> str:
        return self.guest.run("cat /proc/sys/kernel/random/boot_id")

    def reboot(self) -> None:
        before = self.boot_id
        self.guest.run("sudo systemd-run --on-active=1 systemctl reboot")
        self.booted_since(before)

    def booted_since(self, boot_id: str) -> None:
        self._hang_up()
        end = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < end:
            with contextlib.suppress(Exception):
                if self.boot_id != boot_id:
                    self.guest.run("systemctl is-system-running --wait || true")
                    return
            time.sleep(1)
        raise AssertionError(f"it does not come up again; its console:\n{self.guest.console.read_text()[-2000:]}")

    # Runs of Ansible

    def start(self, tasks: list[dict[str, t.Any]], **variables: t.Any) -> Run:
        self._runs += 1
        (self.folder / "inventory.json").write_text(json.dumps(self.guest.inventory()))
        play = {"hosts": "all", "gather_facts": False, "become": True, "vars": variables, "tasks": tasks}
        path = self.folder / f"run-{self._runs}"
        path.with_suffix(".json").write_text(json.dumps([play]))
        return Run(path, self.folder)

    def role(self, version: str = "580.95.05", **variables: t.Any) -> Run:
        """A run of the role, with all that NVIDIA's repository needs."""
        key = {name: self.sh(f"cat {REPOSITORY}/{file}") for name, file in _KEY_FILES.items()}
        return self.start(
            [{"name": "role", "ansible.builtin.include_role": {"name": "mlops.hosts.gpu_driver"}}],
            gpu_driver_version=version,
            gpu_driver_repository_url=f"file:{REPOSITORIES}",
            **{f"gpu_driver_repository_{name}": text for name, text in key.items()},
            **variables,
        )

    def hooks(self, before: str, wait: dict[str, t.Any]) -> dict[str, str]:
        """Task files around a disruption, as variables of the role."""
        tasks = {
            "before": {"name": "drain", before: wait, "become": True},
            "after": {
                "name": "undrain",
                "ansible.builtin.command": {"cmd": "touch /var/lib/undrained"},
                "become": True,
            },
        }
        for name, task in tasks.items():
            (self.folder / f"{name}.json").write_text(json.dumps([task]))
        return {f"gpu_driver_{name}_disruption": str(self.folder / f"{name}.json") for name in tasks}

    def driver(self, **options: t.Any) -> dict[str, t.Any]:
        """What driver_info returns."""
        (result,) = self.start([{"name": "look", "mlops.hosts.driver_info": options}]).succeeded()
        return result

    def _hang_up(self) -> None:
        """Connections that Ansible keeps open lead to a host that is no more."""
        shutil.rmtree(self.folder / "cp", ignore_errors=True)


class Run:
    """One ansible-playbook process, in a process group of its own."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._results, self._log = path.with_suffix(".results"), path.with_suffix(".log")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/faults/callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "fault_results",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
            "ANSIBLE_INVENTORY_ENABLED": "yaml",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_TIMEOUT": "60",
            "FAULT_RESULTS": str(self._results),
        }
        program = str(Path(sys.executable).parent / "ansible-playbook")
        argv = [program, f"--inventory={folder / 'inventory.json'}", str(path.with_suffix(".json"))]
        with open(self._log, "w") as log:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )

    def succeeded(self) -> list[dict[str, t.Any]]:
        """Its results, once it has ended well."""
        try:
            answer = self.process.wait(RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the run did not end within {RUN_LIMIT_S} s:\n{self.said()}") from None
        assert answer == 0, self.said()
        return self.results()

    def results(self) -> list[dict[str, t.Any]]:
        if not self._results.exists():
            return []
        return [json.loads(line) for line in self._results.read_text().splitlines()]

    def kill(self) -> None:
        """kill -9 of the controller."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def said(self) -> str:
        return self._log.read_text()


def make_repository() -> Path:
    """The fake repository of NVIDIA, packed; made once in a container, which is quicker than an emulated host."""
    folder = BUILD / "vm-repository"
    packed = folder / "repository.tar"
    argv = [sys.executable, str(ROOT / "tools/fakes/fake_driver.py"), "debian", *BUILDS]
    recipe = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    program = (ROOT / "tools/fakes/fake_repository.py").read_text()
    if packed.exists() and (folder / "recipe").read_text() == recipe + program:
        return packed
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    group = Group(engine(), "vm-repository")
    try:
        group.up([Host("repository", "bookworm", volumes=(f"{folder}:/made",))])
        container = group.client.containers.get(f"{group.network}-repository")
        container.put_archive("/", archive({"srv/make.py": program, "srv/packages.json": recipe}))
        script = (
            f"apt-get install -y -qq --no-install-recommends {' '.join(_TOOLS)}"
            f" && python3 /srv/make.py apt {REPOSITORY} </srv/packages.json"
            f" && tar -C /srv -c {Path(REPOSITORIES).name} >/made/repository.tar"
        )
        done = container.exec_run(["sh", "-ec", script], environment={"DEBIAN_FRONTEND": "noninteractive"})
        if done.exit_code:
            raise AssertionError(f"the repository could not be made: {done.output.decode()}")
    finally:
        group.down()
    (folder / "recipe").write_text(recipe + program)
    return packed
