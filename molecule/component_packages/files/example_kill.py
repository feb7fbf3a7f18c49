#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait on a test host until dpkg runs a script of the slow fake package, and kill dpkg there, as losing its memory
or its power would. Given --all, kill apt and whoever called it first.

    example_kill.py [--all]
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import time

SLEEP = b"sleep\x0040\x00"
LIMIT_S = 120


def main(everybody: bool) -> None:
    end = time.monotonic() + LIMIT_S
    while not (sleeping := [pid for pid in _pids() if _read(pid, "cmdline") == SLEEP]):
        if time.monotonic() >= end:
            raise SystemExit("the slow package's script did not begin")
        time.sleep(0.1)
    chain = [sleeping[0]]
    while (parent := _parent(chain[-1])) > 1:
        chain.append(parent)
    names = {pid: _read(pid, "comm").decode().strip() for pid in chain}
    doomed = [pid for pid in reversed(chain) if names[pid] in ("dpkg", *(("apt-get", "python3") if everybody else ()))]
    for pid in (*doomed, sleeping[0]):
        os.kill(pid, signal.SIGKILL)
    print(", ".join(names[pid] for pid in doomed))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(pid: int) -> int:
    return int(_read(pid, "stat").rpartition(b")")[2].split()[1])


def _read(pid: int, name: str) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    main("--all" in sys.argv)
