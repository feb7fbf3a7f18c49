#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook under cProfile, its workers as well.

    profile_play.py FOLDER ARGUMENTS-OF-ansible-playbook...

FOLDER gets a main.prof and a worker-PID.prof for each worker, for pstats. A profiled run takes about twice as long:
which functions cost more than others can be read from it, not how much.
"""

from __future__ import annotations

import atexit
import cProfile
import dataclasses
import os
import pstats
import sys
import time
from pathlib import Path
from typing import Any

from ansible.cli.playbook import PlaybookCLI
from ansible.executor.process.worker import WorkerProcess
from count_forks import let_workers_end


def watch(folder: Path) -> None:
    main, whole = os.getpid(), cProfile.Profile(time.process_time)
    run = WorkerProcess._run

    def profiled_run(worker: Any) -> None:
        whole.disable()
        own = cProfile.Profile(time.process_time)
        try:
            own.runcall(run, worker)
        finally:
            own.dump_stats(folder / f"worker-{os.getpid()}.prof")

    def write() -> None:
        if os.getpid() == main:
            whole.disable()
            whole.dump_stats(folder / "main.prof")

    let_workers_end()
    WorkerProcess._run = profiled_run
    atexit.register(write)
    whole.enable()


@dataclasses.dataclass(frozen=True)
class Row:
    """A function: its share of all CPU time, by itself and with what it calls, and its calls."""

    name: str
    own: float
    whole: float
    calls: int


def costliest(folder: Path, part: str, count: int = 8) -> list[Row]:
    """Of the ``main`` process or of the ``worker`` processes: the functions that took most by themselves, and those of
    this collection that took most with what they call."""
    files = sorted(str(path) for path in folder.glob(f"{part}*.prof"))
    if not files:
        return []
    # pstats keeps what was profiled in attributes that its stubs leave out.
    stats: Any = pstats.Stats(*files)
    total = sum(row[2] for row in stats.stats.values()) or 1.0
    rows = [
        Row(_name(*where), own / total, whole / total, calls)
        for where, (_primitive, calls, own, whole, _callers) in stats.stats.items()
    ]
    by_itself = sorted(rows, key=lambda row: -row.own)[:count]
    ours = sorted((row for row in rows if row.name.startswith("mlops/hosts/")), key=lambda row: -row.whole)[:count]
    return sorted(dict.fromkeys([*by_itself, *ours]), key=lambda row: -row.own)


def _name(file: str, line: int, function: str) -> str:
    if file == "~":
        return function.strip("<>")
    path = Path(file)
    known = [part for part in ("ansible_collections", "site-packages") if part in path.parts]
    short = "/".join(path.parts[path.parts.index(known[0]) + 1 :]) if known else path.name
    return f"{short}:{line} {function}"


def main(argv: list[str]) -> None:
    if len(argv) < 2:
        sys.exit(__doc__)
    watch(Path(argv[0]))
    PlaybookCLI.cli_executor(["ansible-playbook", *argv[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])
