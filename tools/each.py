# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands, whatever comes of the others; say at the end how each ended, and fail if one failed.

    each.py COMMAND ...                one after the other
    each.py 'COMMAND & COMMAND' ...    those of one argument at once; what each says is shown when it has ended

A command that has parts of its own adds a line for each to the file that $EACH_DETAILS names; they are shown below it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

# Seconds of each command in the last run here that passed.
TOOK = Path(__file__).resolve().parent.parent / ".build" / "log" / "each-seconds.json"
DETAILS = "EACH_DETAILS"


class Run:
    """A command, and what came of it."""

    def __init__(self, command: str, details: Path) -> None:
        self.command = command
        self.details = details
        self.passed = False
        self.seconds = 0.0
        self.said = b""

    def run(self, capture: bool) -> Run:
        begun = time.monotonic()
        done = subprocess.run(
            shlex.split(self.command),
            env={**os.environ, DETAILS: str(self.details)},
            stdin=subprocess.DEVNULL if capture else None,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None,
            check=False,
        )
        self.passed, self.seconds, self.said = done.returncode == 0, time.monotonic() - begun, done.stdout or b""
        return self

    def lines(self) -> list[str]:
        parts = self.details.read_text().splitlines() if self.details.exists() else []
        verdict = "passed" if self.passed else "FAILED"
        return [f"{self.command}: {verdict}, {self.seconds:.0f} s", *(f"  {part}" for part in parts)]


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    groups = [[command.strip() for command in argument.split(" & ")] for argument in options.command]
    print(_estimate(groups, _known()), flush=True)
    begun = time.monotonic()
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        for group in groups:
            first = len(runs)
            runs += [Run(command, Path(folder, str(number))) for number, command in enumerate(group, first)]
            for run in _together(runs[first:]) if len(group) > 1 else _alone(runs[first]):
                if run.passed:
                    _remember(run)
        lines = [line for run in runs for line in run.lines()]
    if DETAILS in os.environ:
        with open(os.environ[DETAILS], "a") as details:
            details.writelines(f"{line}\n" for line in lines)
    print("", *lines, f"all: {time.monotonic() - begun:.0f} s", sep="\n", flush=True)
    return 0 if all(run.passed for run in runs) else 1


def _alone(run: Run) -> Iterable[Run]:
    print(f"== {run.command}", flush=True)
    yield run.run(capture=False)


def _together(runs: list[Run]) -> Iterable[Run]:
    with ThreadPoolExecutor(max_workers=len(runs)) as pool:
        for future in as_completed([pool.submit(run.run, True) for run in runs]):
            run = future.result()
            print(f"== {run.command}", flush=True)
            sys.stdout.buffer.write(run.said)
            sys.stdout.buffer.flush()
            yield run


def _remember(run: Run) -> None:
    TOOK.parent.mkdir(parents=True, exist_ok=True)
    TOOK.write_text(json.dumps({**_known(), run.command: round(run.seconds)}, indent=1, sort_keys=True))


def _known() -> dict[str, int]:
    try:
        return dict(json.loads(TOOK.read_text()))
    except (OSError, ValueError):
        return {}


def _estimate(groups: list[list[str]], known: dict[str, int]) -> str:
    took = [[known[command] for command in group if command in known] for group in groups]
    if not any(took):
        return "no earlier run to estimate from"
    seconds = sum(max(group, default=0) for group in took)
    unknown = sum(map(len, groups)) - sum(map(len, took))
    return f"about {seconds / 60:.0f} min" + (f", and {unknown} that did not run here yet" if unknown else "")


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="+")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
