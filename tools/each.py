# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands, whatever comes of the others; say at the end how each ended, and fail if one failed.

    each.py COMMAND ...               one after the other
    each.py --together COMMAND ...    all at once; what each says is shown when it has ended

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
    print(_estimate(options.command, _known(), options.together), flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runs = [Run(command, Path(folder, str(number))) for number, command in enumerate(options.command)]
        for run in _together(runs) if options.together else _in_turn(runs):
            if run.passed:
                _remember(run)
        lines = [line for run in runs for line in run.lines()]
    if DETAILS in os.environ:
        with open(os.environ[DETAILS], "a") as details:
            details.writelines(f"{line}\n" for line in lines)
    print("", *lines, f"all: {time.monotonic() - begun:.0f} s", sep="\n", flush=True)
    return 0 if all(run.passed for run in runs) else 1


def _in_turn(runs: list[Run]) -> Iterable[Run]:
    for run in runs:
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


def _estimate(commands: list[str], known: dict[str, int], together: bool) -> str:
    took = [known[command] for command in commands if command in known]
    if not took:
        return "no earlier run to estimate from"
    seconds = max(took) if together else sum(took)
    unknown = len(commands) - len(took)
    return f"about {seconds / 60:.0f} min" + (f", and {unknown} that did not run here yet" if unknown else "")


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="+")
    parser.add_argument("--together", action="store_true", help="all at once")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
