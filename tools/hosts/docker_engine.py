# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine that test hosts run on: the one that answers, else one that is started here and can be stopped."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
PID_FILE = BUILD / "dockerd.pid"
LOG_FILE = BUILD / "dockerd.log"
START_LIMIT_S = 60
# A killed engine leaves these, and a new one gives up when another process has got such a number since.
STALE = {"dockerd": Path("/run/docker.pid"), "containerd": Path("/run/docker/containerd/containerd.pid")}


class Problem(Exception):
    """Something the person at the keyboard must know: one sentence, no traceback."""


def say(text: str) -> None:
    """A line of progress; stdout stays free for results."""
    print(f"hosts: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def only_one(name: str) -> Iterator[None]:
    """Several scenarios start side by side: one of them does the shared work, the others wait for it."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f"{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def answering() -> docker.DockerClient | None:
    """A client of the engine that answers, if one does."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except DockerException:
        return None
    return client


def engine() -> docker.DockerClient:
    """A client of the engine, which is started when none answers."""
    client = answering()
    if client is None:
        with only_one("engine"):
            client = answering() or _start()
    return client


def need(commands: dict[str, str]) -> None:
    """See that these commands exist; on Debian, as root, install the packages of those that do not."""
    missing = {package for command, package in commands.items() if not _which(command)}
    if not missing:
        return
    names = " ".join(sorted(missing))
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Problem(
            f"these Debian packages are needed and not installed: {names}; install them, or run this as root on Debian"
        )
    say(f"installing {names}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *sorted(missing)],
    ):
        done = subprocess.run(argv, env=quiet, capture_output=True, text=True)
        if done.returncode:
            raise Problem(f"{' '.join(argv)} failed: {done.stderr.strip()[-800:]}")


def stop() -> str:
    """Stop the engine that was started here, and no other."""
    running = _recorded()
    if running is None:
        PID_FILE.unlink(missing_ok=True)
        return "no engine was started from here"
    os.kill(running, signal.SIGTERM)
    for _ in range(300):
        if _recorded() is None:
            PID_FILE.unlink(missing_ok=True)
            return f"stopped the engine, process {running}"
        time.sleep(0.1)
    raise Problem(
        f"the engine, process {running}, did not stop within 30 s of SIGTERM; see {LOG_FILE.relative_to(ROOT)}"
    )


def start_time(pid: int) -> str | None:
    """When a process began, in ticks since boot; None where it is no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]


def _start() -> docker.DockerClient:
    if os.geteuid() != 0:
        raise Problem("no Docker engine answers, and only root can start one: start Docker, or run this as root")
    need({"dockerd": "docker.io", "iptables": "iptables"})
    # Where systemd runs, the package has started its service by now.
    client = answering()
    if client is not None:
        return client
    for program, path in STALE.items():
        _forget(program, path)
    BUILD.mkdir(exist_ok=True)
    with open(LOG_FILE, "ab") as log:
        daemon = subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    # The start time makes the record point at this process only: process ids are used again.
    PID_FILE.write_text(f"{daemon.pid} {start_time(daemon.pid)}\n")
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        client = answering()
        if client is not None:
            say(f"started a Docker engine, process {daemon.pid}")
            return client
        if daemon.poll() is not None:
            break
        time.sleep(0.2)
    tail = "\n".join(LOG_FILE.read_text(errors="replace").splitlines()[-15:])
    raise Problem(f"dockerd did not answer within {START_LIMIT_S} seconds; the end of its log:\n{tail}")


def _forget(program: str, path: Path) -> None:
    with contextlib.suppress(OSError):
        pid = path.read_text().strip()
        name = Path(f"/proc/{pid}/comm")
        if not name.exists() or name.read_text().strip() != program:
            path.unlink()


def _recorded() -> int | None:
    """The recorded engine, if that very process still runs."""
    try:
        pid, started = PID_FILE.read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if start_time(int(pid)) == started else None


def _which(command: str) -> str | None:
    # Root's own folders are not on every user's PATH.
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
