# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks and says what they cost: wall, CPU of the controller, round trips, forks."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
FOLDER = ROOT / ".build" / "bench"
COLLECTIONS = ROOT / ".build" / "collections"
PYTHON = Path(sys.executable)
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one run, or the medians of several. Seconds; ``cpu`` is user and system time of the controller."""

    wall: float
    cpu: float

    def beyond(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)


@dataclasses.dataclass(frozen=True)
class Counted:
    """What one run went through, on all hosts together. ``cpu``: of main process, workers and commands, in seconds."""

    forks: int
    round_trips: int
    tasks: Mapping[str, Sequence[str]]
    cpu: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Play:
    """One way to start ansible-playbook. ``must_change``: None when it does not matter."""

    name: str
    playbook: Path
    options: tuple[str, ...] = ()
    must_change: bool | None = False
    collections: Path = COLLECTIONS
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def cost(self) -> Cost:
        """Run it once, on the clock."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        self.run()
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def counted(self) -> Counted:
        """Run it once, and count its forks and how often these go to hosts."""
        report = FOLDER / "counts.json"
        self._run([str(PYTHON), str(HERE / "count_forks.py"), str(report)])
        found = json.loads(report.read_text())
        return Counted(sum(found["forks"].values()), sum(found["round_trips"].values()), found["tasks"], found["cpu"])

    def profile(self, folder: Path) -> None:
        """Run it once under a profiler; see profile_play.py."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._run([str(PYTHON), str(HERE / "profile_play.py"), str(folder)])

    def run(self) -> None:
        self._run([str(PYTHON.parent / "ansible-playbook")])

    def _run(self, program: list[str]) -> None:
        argv = [
            *program,
            f"--inventory={FOLDER / 'hosts.yml'}",
            f"--inventory={HERE / 'inventory'}",
            f"--extra-vars=@{FOLDER / 'vars.yml'}",
            *self.options,
            str(self.playbook),
        ]
        # Into a file: a pipe would be read on the clock.
        with open(FOLDER / "last.log", "w+") as log:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False, env=self._env()
            )
            log.seek(0)
            output = log.read()
        changed = any(count != "0" for _host, count in _RECAP.findall(output))
        if done.returncode or self.must_change not in (None, changed):
            (FOLDER / "last.log").rename(FOLDER / "failed.log")
            expected = {None: "", True: " and was to change something", False: " and was to change nothing"}
            raise SystemExit(
                f"bench: {self.name} exited with status {done.returncode}, changed "
                f"{'something' if changed else 'nothing'}{expected[self.must_change]}; its output is in "
                f"{(FOLDER / 'failed.log').relative_to(ROOT)}"
            )

    def _env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "ANSIBLE_NOCOLOR": "true",
            "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
            **self.environment,
        }


def in_turn(
    plays: Sequence[Play],
    rounds: int,
    what: str,
    before: Callable[[], object] = lambda: None,
    before_each: Callable[[Play], object] = lambda play: None,
) -> dict[str, Cost]:
    """Each play once a round; off the clock ``before`` all of them, and ``before_each``. The medians by name."""
    found: dict[str, list[Cost]] = {play.name: [] for play in plays}
    for number in range(rounds):
        before()
        # Turned around, so that none has a place of its own.
        for play in plays if number % 2 == 0 else reversed(plays):
            before_each(play)
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
