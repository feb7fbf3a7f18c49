#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host that is right costs: the engine against the same resources as plain tasks, side by side in one run.

Times are of whole ansible-playbook processes over pipelined SSH, the median of five rounds in turn, beyond the cost of
an empty play. Machines differ and are noisy: the ratio is the result.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
GROUP = "bench"
ROUNDS = 5
PLAYS = ("empty", "plain", "component")


def main() -> int:
    hosts("up", "--group", GROUP, "bench=bookworm")
    try:
        inventory = ROOT / ".build" / "bench.yml"
        inventory.write_text(hosts("inventory", "--group", GROUP))
        for play in PLAYS:
            run(play, inventory)
        rounds: dict[str, list[tuple[float, float]]] = {play: [] for play in PLAYS}
        for number in range(ROUNDS):
            print(f"bench: round {number + 1} of {ROUNDS}", flush=True)
            for play in PLAYS:
                rounds[play].append(run(play, inventory, changed=False))
    finally:
        hosts("down", "--group", GROUP)
    report(rounds)
    return 0


def report(rounds: dict[str, list[tuple[float, float]]]) -> None:
    wall = {play: statistics.median(taken[0] for taken in found) for play, found in rounds.items()}
    cpu = {play: statistics.median(taken[1] for taken in found) for play, found in rounds.items()}
    print(f"\n{'nothing differs':<16}  wall s  beyond empty  controller CPU s")
    for play in PLAYS:
        print(f"{play:<16}  {wall[play]:6.2f}  {wall[play] - wall['empty']:12.2f}  {cpu[play]:16.2f}")
    ratio = (wall["plain"] - wall["empty"]) / (wall["component"] - wall["empty"])
    print(f"\nplain tasks take {ratio:.1f} times as long as the component, beyond the empty play")


def run(play: str, inventory: Path, *, changed: bool = True) -> tuple[float, float]:
    """Wall and CPU seconds of one run; it must change nothing when ``changed`` is false."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    program = Path(sys.executable).parent / "ansible-playbook"
    done = subprocess.run(
        [program, f"--inventory={inventory}", HERE / f"{play}.yml"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_INJECT_FACT_VARS": "false",
        },
    )
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or (not changed and play != "empty" and "changed=0 " not in done.stdout):
        raise SystemExit(f"{play}.yml did not end as it must:\n{done.stdout}{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def hosts(*argv: str) -> str:
    program = [sys.executable, str(ROOT / "tools" / "hosts.py")]
    return subprocess.run([*program, *argv], stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
