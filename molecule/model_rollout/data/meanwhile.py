#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program, and kills something as soon as a file is on a test host: the host itself, or the program.

    meanwhile.py {host|program} HOST FILE PROGRAM [ARGUMENT ...]
    meanwhile.py on HOST

It says what the program said, and exits as it did: with 247 when it was killed. The second form has the host boot
again.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools.hosts.docker_engine import engine

LIMIT_S = 300


def main(what: str, host: str, file: str = "", *argv: str) -> int:
    container = engine().containers.get(f"mlops-hosts-model_rollout-{host}")
    if what == "on":
        container.start()
        until = time.monotonic() + LIMIT_S
        while container.exec_run(["systemctl", "is-active", "ssh"]).exit_code and time.monotonic() < until:
            time.sleep(0.5)
        return 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, stdout=said, stderr=subprocess.STDOUT, process_group=0)
        while process.poll() is None and container.exec_run(["test", "-e", file]).exit_code:
            time.sleep(0.1)
        if process.poll() is None and what == "host":
            container.kill()
        elif process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait() & 0xFF
        said.seek(0)
        sys.stdout.buffer.write(said.read())
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
