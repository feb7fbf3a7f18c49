#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what hosts that are right cost, and what a first change costs; the result is docs/performance.md.

    run.py [--most-hosts N] [--most-rounds N] [--out FOLDER] [--peers FOLDER] [--no-first-change]
    run.py --profile [--most-hosts N]
    run.py --first-changes N

Whole ansible-playbook processes are on the clock. It needs a quiet machine, about twenty minutes, and 16 GiB for 50
hosts.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import engine
import fleet
import page
from fingerprint import fingerprint
from measure import FOLDER, ROOT, say


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--most-hosts", type=int, default=max(fleet.SIZES), help="for a smaller machine")
    parser.add_argument("--most-rounds", type=int, default=99, help="1 to see that it works; the page is wrong then")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the page and its picture go")
    parser.add_argument("--peers", type=Path, help=f"a roles path that has {fleet.PEER}; without it, Galaxy is asked")
    parser.add_argument(
        "--profile", action="store_true", help="say where the controller's time goes, and measure nothing"
    )
    parser.add_argument("--first-changes", type=int, metavar="N", help="compare so many of each with those of before")
    parser.add_argument("--no-first-change", action="store_true", help="leave out what takes longest")
    options = parser.parse_args(argv)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.profile:
        print(page.profile(fleet.profile(options.most_hosts), options.most_hosts))
        return 0
    if options.first_changes:
        print(page.first_changes(fleet.first_changes(options.first_changes)))
        return 0
    begun, load, sources = time.monotonic(), os.getloadavg()[0], fingerprint()
    sizes = tuple(size for size in fleet.SIZES if size <= options.most_hosts)
    peers = options.peers.resolve() if options.peers else None
    rounds_first = 0 if options.no_first_change else min(fleet.ROUNDS_FIRST, options.most_rounds)
    found = engine.measure(options.most_rounds), fleet.measure(sizes, options.most_rounds, peers, rounds_first)
    minutes = (time.monotonic() - begun) / 60
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "performance.md").write_text(page.page(*found, sources, minutes, load))
    (options.out / page.PLOT).write_text(page.picture(found[1]))
    say(f"written: {options.out / 'performance.md'}, after {minutes:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
