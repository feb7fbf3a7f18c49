# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks and says what they cost: wall, CPU of the controller, round trips."""

from __future__ import annotations

import dataclasses
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
FOLDER = ROOT / ".build" / "bench"
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one run, or the medians of several. Seconds; ``cpu`` is user and system time of the controller."""

    wall: float
    cpu: float

    def beyond(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)


@dataclasses.dataclass(frozen=True)
class Play:
    """One way to start ansible-playbook. ``must_change``: None when it does not matter."""

    name: str
    playbook: Path
    options: tuple[str, ...] = ()
    must_change: bool | None = False

    def cost(self) -> Cost:
        """Run it once, on the clock."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        self._run()
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def round_trips(self) -> int:
        """How often it went to the hosts, from what it says with -vvv."""
        return self._run("-vvv").count("SSH: EXEC ")

    def run(self) -> None:
        """Run it off the clock."""
        self._run()

    def _run(self, *more: str) -> str:
        argv = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            f"--inventory={FOLDER / 'hosts.yml'}",
            f"--inventory={ROOT / 'tools' / 'demo' / 'inventory'}",
            f"--extra-vars=@{FOLDER / 'vars.yml'}",
            *self.options,
            *more,
            str(self.playbook),
        ]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=_environment()
        )
        changed = any(count != "0" for _host, count in _RECAP.findall(done.stdout))
        if done.returncode or self.must_change not in (None, changed):
            log = FOLDER / "failed.log"
            log.write_text(done.stdout + done.stderr)
            desired = {None: "", True: " and was to change something", False: " and was to change nothing"}
            raise SystemExit(
                f"bench: {self.name} ended with {done.returncode}, changed {'something' if changed else 'nothing'}"
                f"{desired[self.must_change]}; its output is in {log.relative_to(ROOT)}"
            )
        return done.stdout


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_NOCOLOR": "true",
    }


def in_turn(
    plays: Sequence[Play], rounds: int, what: str, before: Callable[[], object] = lambda: None
) -> dict[str, Cost]:
    """Each play once a round, ``before`` it all, off the clock. The medians by name."""
    found: dict[str, list[Cost]] = {play.name: [] for play in plays}
    for number in range(rounds):
        before()
        # Turned around, so that none has a place of its own.
        for play in plays if number % 2 == 0 else reversed(plays):
            found[play.name].append(play.cost())
        spent = ", ".join(f"{name} {costs[-1].wall:.1f} s" for name, costs in found.items())
        say(f"{what}, round {number + 1} of {rounds}: {spent}")
    return {name: median(costs) for name, costs in found.items()}


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


def hosts(*argv: str, stdin: str | None = None) -> str:
    """tools.hosts; its output."""
    program = [sys.executable, "-m", "tools.hosts"]
    done = subprocess.run([*program, *argv], cwd=ROOT, input=stdin, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: tools.hosts {argv[0]} exited with status {done.returncode}")
    return done.stdout
