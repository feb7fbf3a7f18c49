# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test host, the runs of Ansible that change it, and the observer that stops, kills and looks.

The observer does not depend on Ansible: it speaks to the Docker engine, reads over an SSH connection of its own, and
shares one folder with the host, through which points are named (see on_host/mlops_faults.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import paramiko
from docker.models.containers import Container
from states import ANOTHER, REPOSITORY, SHARED_BEFORE, Component, State, asked, component, expected, packages

from tools.hosts.docker_engine import BUILD, ROOT, engine
from tools.hosts.group import PORT, Group, Host
from tools.hosts.image import USER
from tools.hosts.ssh import PRIVATE_KEY, archive, greets
from tools.warm_ansible import Process, Warm

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"
LIMIT_S = 240
# Shorter than on a real host, so that no test waits for minutes. docs/reliability.md says so.
LIMITS = {"validators._VALIDATE_TIMEOUT_S": 5, "journal._PATIENCE_S": 10}
# Every time that this Python and its children read is 40 days ago, but for the time since boot.
_PYTHON_EARLIER = f"""#!/bin/sh
export FAKETIME=-40d FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1
export LD_PRELOAD="$(echo {REPOSITORY}/usr/lib/*/faketime/libfaketimeMT.so.1)"
exec /usr/bin/python3 "$@"
"""
# Variables that change from test to test, and that Ansible does not read.
NOT_READ = {"FAULT_RESULTS", "PYTEST_CURRENT_TEST"}
# A connection that is cut is given up after eight seconds.
_SSH_ARGS = "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=1 -o ServerAliveCountMax=8"
_PACKAGES_FOR_REPOSITORY = ["dpkg-dev", "apt-utils", "gnupg"]


class FaultHost:
    """One container; ``state`` is the state that it is wholly in between tests."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.group = Group(engine(), f"faults-{name}")
        self.folder = BUILD / "faults" / name
        self.talk = self.folder / "talk"
        self.state = State("a", "1")
        self.key: dict[str, str] = {}
        self.ansible = Warm(ROOT, self._environment(), but_for=NOT_READ)
        self._ssh: paramiko.SSHClient | None = None
        self._runs = 0

    # Its life

    def up(self) -> None:
        """A fresh host in state a1."""
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.talk.mkdir(parents=True)
        self._write("limits", json.dumps(LIMITS))
        volumes = (f"{self.talk}:/faults", f"{_repository()}:{REPOSITORY}:ro")
        self.group.up([Host(self.name, SUITE, volumes=volumes)])
        files = {
            "etc/faults-shared.json": SHARED_BEFORE,
            "etc/faults-old-a": "older a\n",
            "etc/faults-old-b": "older b\n",
            # Only our own repository: no test depends on the network.
            "etc/apt/sources.list.d/debian.sources": "",
            "usr/lib/python3/dist-packages/mlops_faults.pth": "import mlops_faults\n",
            "usr/local/bin/python3-earlier": _PYTHON_EARLIER,
            **{
                f"{folder}/{name}": (HERE / "on_host" / name).read_text()
                for folder, name in (
                    ("usr/lib/python3/dist-packages", "mlops_faults.py"),
                    ("usr/local/bin", "faults-point"),
                    ("usr/local/bin", "faults-probe"),
                )
            },
        }
        self.container.put_archive("/", archive(files))
        self.sh(
            "chmod 0755 /usr/local/bin/* && chmod 0640 /etc/faults-shared.json && chmod 0604 /etc/faults-old-*"
            " && install -d /var/lib/faults"
        )
        inventory = self.group.inventory()
        inventory["all"]["vars"]["ansible_ssh_args"] = _SSH_ARGS
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        self.key = {name: (_repository() / file).read_text() for name, file in _KEY_FILES.items()}
        self.state = State("a", "1")
        self.again(ANOTHER, self.component(self.state))
        self.verify()

    def down(self) -> None:
        self._hang_up()
        self.group.down()

    @property
    def container(self) -> Container:
        return self.group.client.containers.get(f"{self.group.network}-{self.name}")

    # Runs of Ansible

    def component(self, state: State, **more: t.Any) -> Component:
        return component(state, self.key, **more)

    def start(self, *components: Component, **variables: t.Any) -> Run:
        """A run that asks for these components, one after the other."""
        self._runs += 1
        tasks = [{"name": item["name"], "mlops.hosts.component": item} for item in components]
        play = {"hosts": "all", "gather_facts": False, "become": True, "vars": variables, "tasks": tasks}
        path = self.folder / f"run-{self._runs}"
        path.with_suffix(".json").write_text(json.dumps([play]))
        environment = {**self._environment(), "FAULT_RESULTS": str(path.with_suffix(".results"))}
        arguments = [f"--inventory={self.folder / 'inventory.json'}", str(path.with_suffix(".json"))]
        with open(os.devnull) as nothing, open(path.with_suffix(".log"), "w") as log:
            return Run(
                self.ansible.start(arguments, cwd=ROOT, env=environment, stdin=nothing, stdout=log, stderr=log), path
            )

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "fault_results",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
            "ANSIBLE_INVENTORY_ENABLED": "yaml",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_NOCOLOR": "true",
        }

    def again(self, *components: Component, **variables: t.Any) -> list[dict[str, t.Any]]:
        """A run that must succeed; its results."""
        run = self.start(*components, **variables)
        return run.succeeded()

    # Points

    def stop_at(self, point: str) -> None:
        for name in ("reached", "go", "at"):
            (self.talk / name).unlink(missing_ok=True)
        (self.talk / "passed").unlink(missing_ok=True)
        self._write("at", point)

    def reached(self, run: Run, limit_s: float = LIMIT_S) -> int:
        """Wait until the run is at the point; the pid of the process that waits there."""
        end = time.monotonic() + limit_s
        path = self.talk / "reached"
        while not path.exists():
            if run.process.poll() is not None:
                raise AssertionError(f"the run ended before it came to {self._read('at')!r}:\n{run.said()}")
            if time.monotonic() > end:
                raise AssertionError(f"the run did not come to {self._read('at')!r}:\n{run.said()}")
            time.sleep(0.02)
        return int(path.read_text())

    def go_on(self) -> None:
        (self.talk / "reached").unlink(missing_ok=True)
        self._write("go", "")

    def passed(self) -> list[tuple[str, str]]:
        """Every point that was passed since stop_at: pid and point."""
        return [(pid, point) for pid, _, point in (line.partition(" ") for line in self._read("passed").splitlines())]

    def _read(self, name: str) -> str:
        path = self.talk / name
        return path.read_text() if path.exists() else ""

    def _write(self, name: str, text: str) -> None:
        """At once: the host reads while this is written."""
        new = self.talk / f".{name}"
        new.write_text(text)
        new.rename(self.talk / name)

    # Faults

    def sh(self, script: str) -> str:
        """Run a script in the host, past SSH and sudo."""
        done = self.container.exec_run(["sh", "-ec", script])
        text = done.output.decode(errors="replace")
        if done.exit_code:
            raise AssertionError(f"{script!r} exited with status {done.exit_code}: {text}")
        return str(text).strip()

    def ancestors(self, pid: int) -> dict[int, str]:
        """Processes above this one, nearest first: pid and command line."""
        script = (
            f"p={pid}; while [ $p -gt 1 ]; do echo $p $(tr '\\0' ' ' </proc/$p/cmdline);"
            " p=$(sed 's/.*) . \\([0-9]*\\) .*/\\1/' /proc/$p/stat); done"
        )
        lines = (line.partition(" ") for line in self.sh(script).splitlines())
        return {int(number): command for number, _, command in lines}

    def kill(self, pid: int) -> None:
        self.sh(f"kill -9 {pid}")

    def cut_power(self) -> None:
        """Everything in the host dies at once, and it boots again."""
        (self.talk / "at").unlink(missing_ok=True)
        self._hang_up()
        self.container.kill()
        self.container.start()
        end = time.monotonic() + LIMIT_S
        port = int(self.container.labels[PORT])
        while not greets(port) or self._boot_state() not in ("running", "degraded"):
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} does not come up again: {self._boot_state()}")
            time.sleep(0.2)

    def _boot_state(self) -> str:
        return str(self.container.exec_run(["systemctl", "is-system-running"]).output.decode()).strip()

    # Looking

    def look(self) -> dict[str, t.Any]:
        """What the probe sees on the host."""
        return dict(json.loads(self.over_ssh("sudo /usr/local/bin/faults-probe", json.dumps(asked()))))

    def verify(self) -> None:
        """The host is wholly in its state, and its service answers."""
        found = differences(expected(self.state), self.look())
        assert not found, f"the host is not wholly in {self.state}:\n" + "\n".join(found)

    def over_ssh(self, command: str, stdin: str = "") -> str:
        if self._ssh is None:
            self._ssh = paramiko.SSHClient()
            self._ssh.load_host_keys(str(self.group.known_hosts))
            self._ssh.connect(
                "127.0.0.1",
                int(self.container.labels[PORT]),
                USER,
                key_filename=str(PRIVATE_KEY),
                allow_agent=False,
                look_for_keys=False,
                timeout=20,
            )
        channel_in, out, err = self._ssh.exec_command(command, timeout=60)
        channel_in.write(stdin)
        channel_in.channel.shutdown_write()
        text, trouble = out.read().decode(), err.read().decode()
        if out.channel.recv_exit_status():
            raise AssertionError(f"{command} failed: {trouble}")
        return text

    def _hang_up(self) -> None:
        if self._ssh is not None:
            self._ssh.close()
            self._ssh = None


def differences(want: t.Any, have: t.Any, where: str = "") -> list[str]:
    """In words, one line each."""
    if isinstance(want, dict) and isinstance(have, dict):
        keys = sorted({*want, *have})
        return [line for key in keys for line in differences(want.get(key), have.get(key), f"{where} {key}".strip())]
    return [] if want == have else [f"{where}: want {want!r}, have {have!r}"]


class Run:
    """One ansible-playbook, in a process group of its own."""

    def __init__(self, process: Process, path: Path) -> None:
        self.process = process
        self._results = path.with_suffix(".results")
        self._log = path.with_suffix(".log")

    def wait(self) -> int:
        """Its exit code."""
        if not self.ended(LIMIT_S):
            self.kill()
            raise AssertionError(f"the run did not end within {LIMIT_S} s:\n{self.said()}")
        return int(self.process.returncode)

    def ended(self, limit_s: float) -> bool:
        """Whether it ends within this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(limit_s)
            return True
        return False

    def kill(self) -> None:
        """kill -9 of the controller, its workers and its ssh. Workers have sessions of their own."""
        for pid in [self.process.pid, *_descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def results(self) -> list[dict[str, t.Any]]:
        """What the tasks returned so far."""
        if not self._results.exists():
            return []
        return [json.loads(line) for line in self._results.read_text().splitlines()]

    def succeeded(self) -> list[dict[str, t.Any]]:
        assert self.wait() == 0, self.said()
        return self.results()

    def failed(self) -> str:
        """The message of a run that must fail."""
        assert self.wait() != 0, f"the run had to fail:\n{self.said()}"
        return str(self.results()[-1].get("msg"))

    def said(self) -> str:
        return self._log.read_text()


def _descendants(pid: int) -> list[int]:
    children = [int(child) for task in Path(f"/proc/{pid}/task").glob("*") for child in _words(task / "children")]
    return [*children, *(further for child in children for further in _descendants(child))]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


_KEY_FILES = {"key": "1/key.asc", "fingerprint": "1/fingerprint"}


def _repository() -> Path:
    return BUILD / "faults" / "repository"


def make_repository() -> None:
    """Signed fake packages, made once on a host of their own and kept for the next time."""
    folder, recipe = _repository(), json.dumps([packages(), "libfaketime"])
    if (folder / "recipe").exists() and (folder / "recipe").read_text() == recipe:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    group = Group(engine(), "faults-repository")
    try:
        group.up([Host("repository", SUITE, volumes=(f"{folder}:{REPOSITORY}",))])
        container = group.client.containers.get(f"{group.network}-repository")
        program = (ROOT / "tools/fakes/fake_repository.py").read_text()
        container.put_archive("/", archive({"srv/make.py": program, "srv/packages.json": json.dumps(packages())}))
        script = (
            f"apt-get install -y -qq --no-install-recommends {' '.join(_PACKAGES_FOR_REPOSITORY)}"
            f" && python3 /srv/make.py apt {REPOSITORY}/1 </srv/packages.json && cp -r {REPOSITORY}/1 {REPOSITORY}/2"
            f" && cd /srv && apt-get download -qq libfaketime && dpkg-deb -x libfaketime_*.deb {REPOSITORY}"
        )
        done = container.exec_run(["sh", "-ec", script], environment={"DEBIAN_FRONTEND": "noninteractive"})
        if done.exit_code:
            raise AssertionError(f"the repository could not be made: {done.output.decode()}")
    finally:
        group.down()
    (folder / "recipe").write_text(recipe)


@contextlib.contextmanager
def own_disk(host: FaultHost, path: str, size: str) -> Iterator[None]:
    """A directory of the host on a small file system of its own, for a while. It can be full, or read-only."""
    there = f"{path}/."
    host.sh(
        f"cp -a {there} /mnt/kept && mount -t tmpfs -o mode=0755,size={size} own {path} && cp -a /mnt/kept/. {path}/"
    )
    host.sh("rm -rf /mnt/kept")
    try:
        yield
    finally:
        host.sh(
            f"cp -a {there} /mnt/kept && umount {path} && find {path} -mindepth 1 -delete && cp -a /mnt/kept/. {path}/"
            " && rm -rf /mnt/kept"
        )
