#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program, and does something as soon as a file is on a test host.

    meanwhile.py {kill|interrupt|interrupt-twice|again|host|HOST} HOST FILE PROGRAM [ARGUMENT ...]
    meanwhile.py {on|off} HOST

The program is killed, or gets Ctrl-C once or twice; or it is run again beside itself; or the host, or another one, is
lost. It says what the program said, and exits as it did: with 247 when it was killed. Of one that was run again both
are told, and the first one counts. The second form has a host boot again, or lost.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from docker.models.containers import Container

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools.hosts.docker_engine import engine

LIMIT_S = 300


def main(what: str, host: str, file: str = "", *argv: str) -> int:
    if what in ("on", "off"):
        boot(host) if what == "on" else of(host).kill()
        return 0
    with Program(argv) as first:
        while first.process.poll() is None and of(host).exec_run(["test", "-e", file]).exit_code:
            time.sleep(0.1)
        if first.process.poll() is None:
            happen(what, host, first, argv)
        return first.ended()


def happen(what: str, host: str, first: Program, argv: Sequence[str]) -> None:
    if what == "again":
        with Program(argv) as second:
            print(f"The second one exited with status {second.ended()}.", flush=True)
    elif what == "kill":
        first.gets(signal.SIGKILL)
    elif what.startswith("interrupt"):
        first.gets(signal.SIGINT)
        if what == "interrupt-twice":
            time.sleep(0.3)
            first.gets(signal.SIGINT)
    else:
        of(host if what == "host" else what).kill()


class Program:
    """A program that runs, in a process group of its own, as a terminal has it."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.process = subprocess.Popen(argv, stdout=self._said, stderr=subprocess.STDOUT, process_group=0)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._said.close()

    def gets(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def ended(self) -> int:
        """Its status, when what it said has been said."""
        code = self.process.wait() & 0xFF
        self._said.seek(0)
        sys.stdout.buffer.write(self._said.read())
        sys.stdout.flush()
        return code


def of(host: str) -> Container:
    return engine().containers.get(f"mlops-hosts-model_rollout-{host}")


def boot(host: str) -> None:
    of(host).start()
    until = time.monotonic() + LIMIT_S
    while of(host).exec_run(["systemctl", "is-active", "ssh"]).exit_code and time.monotonic() < until:
        time.sleep(0.5)
    # Whatever it finds: all of its units have been started then.
    of(host).exec_run(["systemctl", "is-system-running", "--wait"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
