#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the service of the role gpu_metrics takes of a processor, beside what starts nvidia-smi for each scrape.

    gpu_metrics.py [--minutes N] [--out FOLDER]

The result is docs/performance-gpu-metrics.md. Both run at the same time on one host with eight simulated GPUs. What
counts is time of processors, of all processes of each, as systemd counts it.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import docker
import yaml
from measure import FOLDER, HERE, ROOT, Play, hosts, say

GROUP, HOST = "bench-gpu-metrics", "gpus"
UNIT, OTHER = "mlops-gpu-metrics.service", "per-scrape.service"
INTERVAL_S = 15
# What is read once an hour is over by then.
SETTLE_S = 60
SHARE_AT_MOST = 0.5
CORE_AT_MOST = 0.01
_NS = 1e-9


@dataclasses.dataclass(frozen=True)
class Found:
    """Seconds of a processor: of the service in ``intervals``, of these ``own`` without its nvidia-smi, what it took
    from its start until it had ``settled``, and what the ``other`` took in the same intervals."""

    intervals: float
    service: float
    own: float
    settled: float
    other: float


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5, help="for how long both run (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the page goes")
    options = parser.parse_args(argv)
    FOLDER.mkdir(parents=True, exist_ok=True)
    hosts("up", "--group", GROUP, "--spec", "-", stdin=f"[{{name: {HOST}, suite: trixie}}]")
    try:
        FOLDER.joinpath("hosts.yml").write_text(hosts("inventory", "--group", GROUP))
        FOLDER.joinpath("vars.yml").write_text(yaml.safe_dump({"bench_interval_s": INTERVAL_S}))
        Play("gpu metrics", HERE / "gpu_metrics.yml", must_change=True).run()
        found = _measure(60 * options.minutes)
    finally:
        hosts("down", "--group", GROUP)
    (options.out / "performance-gpu-metrics.md").write_text(page(found))
    say(f"written: {options.out / 'performance-gpu-metrics.md'}")
    return 0


def _measure(seconds: float) -> Found:
    _run(["systemd-run", f"--unit={OTHER}", "--property=CPUAccounting=yes", "/opt/per_scrape.py", str(INTERVAL_S)])
    _run(["systemctl", "restart", UNIT])
    time.sleep(SETTLE_S)
    begun, settled, own, other = time.monotonic(), _cpu(UNIT), _own(), _cpu(OTHER)
    say(f"settled after {SETTLE_S} s; both run for {seconds:.0f} s now")
    time.sleep(seconds)
    intervals = (time.monotonic() - begun) / INTERVAL_S
    return Found(intervals, _cpu(UNIT) - settled, _own() - own, settled, _cpu(OTHER) - other)


def _cpu(unit: str) -> float:
    """Of a unit that still runs."""
    said = dict(line.split("=", 1) for line in _run(["systemctl", "show", unit]).splitlines() if "=" in line)
    if said["ActiveState"] != "active" or int(said["NRestarts"]):
        raise SystemExit(f"bench: {unit} must run all the time, and is {said['ActiveState']}")
    return int(said["CPUUsageNSec"]) * _NS


def _own() -> float:
    """Of the service's first process alone."""
    pid = _run(["systemctl", "show", "--property=MainPID", "--value", UNIT]).strip()
    fields = _run(["cat", f"/proc/{pid}/stat"]).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _run(argv: Sequence[str]) -> str:
    container = docker.from_env().containers.get(f"mlops-hosts-{GROUP}-{HOST}")
    status, output = container.exec_run(list(argv))
    if status:
        raise SystemExit(f"bench: {' '.join(argv)} exited with status {status}: {output.decode()[-2000:]}")
    return str(output.decode())


def page(found: Found) -> str:
    service, own, other = (1000 * spent / found.intervals for spent in (found.service, found.own, found.other))
    share, core = service / other, service / 1000 / INTERVAL_S
    return f"""\
# What GPU metrics cost

Written by `make bench` on {datetime.date.today()}, on a host of {os.cpu_count()} cores with eight simulated GPUs, in
{found.intervals:.0f} intervals of {INTERVAL_S} s. The service of the role `gpu_metrics`, which keeps one
`nvidia-smi -q -x -l {INTERVAL_S}`, beside what starts an `nvidia-smi -q -x` for each scrape and parses it with the same
code, as `nvidia_gpu_exporter` starts one. Both ran at the same time; the numbers are processor time of all processes of
each.

**The `nvidia-smi` here is simulated**, a Python program: of a real one neither the start, in which it opens every GPU,
nor what the driver does for an answer is measured. What is real is the service without it.

| target | measured | reached |
|---|---|---|
| beside a start for each scrape: at most {SHARE_AT_MOST:g}× | {share:.2f}× | {_word(share <= SHARE_AT_MOST)} |
| of one core: at most {CORE_AT_MOST:.0%} | {core:.2%} | {_word(core <= CORE_AT_MOST)} |

| for each interval | processor time |
|---|--:|
| the service with its simulated `nvidia-smi` | {service:.0f} ms |
| the service without it | {own:.0f} ms |
| a start for each scrape | {other:.0f} ms |

From its start until it has read everything once, driver and CDI among it, the service takes {found.settled:.1f} s. It
reads the driver again each hour and when packages or modules differ.
"""


def _word(reached: bool) -> str:
    return "yes" if reached else "**no**"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
