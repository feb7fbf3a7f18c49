# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve every pin of this repository against what is served: one line for each, and exit status 1 when one is gone.

    python -m tools.pins

Python packages are asked of the indexes that pip is configured for, those of Debian of this machine's archive, the rest
of their vendors. What is not reached from here is said so, and counts neither as served nor as gone.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from tools.pins.answers import FAILED, GONE, NOT_REACHABLE, OK, OTHER_HASH, Outcome, Web
from tools.pins.listed import Pin, Wheels, pins
from tools.pins.python_index import Index
from tools.pins.resolver import resolver

_AT_ONCE = 6


def report(resolved: Iterable[tuple[Pin, Outcome]]) -> int:
    counted: Counter[str] = Counter()
    for pin, outcome in resolved:
        counted[outcome.verdict] += 1
        print(f"{outcome.verdict:<18} {pin}{f' ({outcome.note})' if outcome.note else ''}", flush=True)
    print(f"pins: {', '.join(f'{counted[verdict]} {verdict}' for verdict in (OK, GONE, OTHER_HASH, NOT_REACHABLE))}")
    return 1 if any(counted[verdict] for verdict in FAILED) else 0


def main() -> int:
    listed = pins()
    asked = resolver(Index().files, Web())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        wheels = [one for one in listed if isinstance(one, Wheels)]
        resolved = dict(zip(wheels, pool.map(asked, wheels)))
    # One after the other: a repository is read once, and a host that does not answer is waited for once.
    return report((one, resolved[one] if isinstance(one, Wheels) else asked(one)) for one in listed)


if __name__ == "__main__":
    sys.exit(main())
