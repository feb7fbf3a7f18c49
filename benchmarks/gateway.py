#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a gateway adds to a request, beside a plain HAProxy of the same package without keys and routing.

    gateway.py [--rounds N] [--out FOLDER]

The result is docs/performance-gateway.md. Both speak TLS, and send requests to an HAProxy that answers itself. wrk asks
with 16 connections, on the same host. Each round is one of each, in turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker
import yaml
from measure import FOLDER, HERE, PYTHON, ROOT, Play, hosts, say

GROUP, HOST = "bench-gateway", "gate"
KEY = "sk-bench-0123456789abcdef"
PORTS = {"gateway": 8443, "plain": 8444}
KINDS = {"answer": "ask.lua", "stream": "stream.lua"}
SECONDS, CONNECTIONS = 5, 16
P50_AT_MOST = 1.15
RATE_AT_LEAST = 0.7
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclasses.dataclass(frozen=True)
class Load:
    """Of one run of wrk, or the medians of several: milliseconds, and requests a second."""

    p50: float
    p99: float
    rate: float


@dataclasses.dataclass(frozen=True)
class Found:
    """``loads`` by kind of answer and by proxy."""

    version: str
    rounds: int
    loads: Mapping[tuple[str, str], Load]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the page goes")
    options = parser.parse_args(argv)
    (FOLDER / "gateway").mkdir(parents=True, exist_ok=True)
    certificate = ROOT / "molecule/model_gateway/data/certificate.py"
    subprocess.run([PYTHON, certificate, FOLDER / "gateway", "bench", "30"], check=True)
    hosts(
        "up",
        "--group",
        GROUP,
        "--spec",
        "-",
        stdin=f"[{{name: {HOST}, suite: trixie, stock: true, groups: [bench_gateways]}}]",
    )
    try:
        FOLDER.joinpath("hosts.yml").write_text(hosts("inventory", "--group", GROUP))
        for step in ("beside", "gateway"):
            given = {"bench_folder": str(FOLDER), "bench_key": KEY, "bench_step": step}
            FOLDER.joinpath("vars.yml").write_text(yaml.safe_dump(given))
            Play(step, HERE / "gateway.yml", must_change=True).run()
        found = Found(_run(["haproxy", "-v"]).split()[2], options.rounds, _measure(options.rounds))
    finally:
        hosts("down", "--group", GROUP)
    (options.out / "performance-gateway.md").write_text(page(found))
    say(f"written: {options.out / 'performance-gateway.md'}")
    return 0


def _run(argv: Sequence[str]) -> str:
    container = docker.from_env().containers.get(f"mlops-hosts-{GROUP}-{HOST}")
    status, output = container.exec_run(list(argv))
    if status:
        raise SystemExit(f"bench: {' '.join(argv)} exited with status {status}: {output.decode()[-2000:]}")
    return str(output.decode())


def _measure(rounds: int) -> dict[tuple[str, str], Load]:
    seen: dict[tuple[str, str], list[Load]] = {}
    for number in range(rounds):
        for kind, script in KINDS.items():
            # Turned around, so that none has a place of its own.
            for proxy in list(PORTS) if number % 2 == 0 else reversed(PORTS):
                url = f"https://127.0.0.1:{PORTS[proxy]}/v1/chat/completions"
                asked = [
                    "wrk",
                    "-t1",
                    f"-c{CONNECTIONS}",
                    f"-d{SECONDS}s",
                    "--latency",
                    "-s",
                    f"/etc/bench/{script}",
                    url,
                ]
                seen.setdefault((kind, proxy), []).append(load(_run(asked)))
        say(
            f"round {number + 1}: "
            + ", ".join(f"{kind} {proxy} {runs[-1].p50:.2f} ms" for (kind, proxy), runs in seen.items())
        )
    return {what: _medians(loads) for what, loads in seen.items()}


def load(text: str) -> Load:
    """What wrk printed. An answer that was refused or lost ends the run: it would be quick."""
    lost = re.search(r"(Non-2xx or 3xx responses|Socket errors): (.*)", text)
    if lost:
        raise SystemExit(f"bench: not every request was answered: {lost[0]}")
    p50, p99 = (_milliseconds(text, percentile) for percentile in ("50%", "99%"))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return Load(p50, p99, float(rate[1]) if rate else 0.0)


def _milliseconds(text: str, percentile: str) -> float:
    found = re.search(rf"^\s+{percentile}\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"bench: wrk says nothing of {percentile}: {text[-500:]}")
    return float(found[1]) * _UNITS[found[2]]


def _medians(loads: Sequence[Load]) -> Load:
    return Load(*(statistics.median(getattr(one, field.name) for one in loads) for field in dataclasses.fields(Load)))


def page(found: Found) -> str:
    names = {"answer": "an answer of 130 bytes", "stream": "a stream of ten events"}
    targets = []
    for kind, words in names.items():
        ours, plain = (found.loads[kind, proxy] for proxy in PORTS)
        targets.append(
            (f"{words}: p50 by that of a plain HAProxy: at most {P50_AT_MOST}×", ours.p50 / plain.p50, False)
        )
        targets.append((f"{words}: requests a second: at least {RATE_AT_LEAST}×", ours.rate / plain.rate, True))
    rows = [
        f"| {what} | {value:.2f}× | {'yes' if (value >= bound if least else value <= bound) else '**no**'} |"
        for what, value, least in targets
        for bound in (RATE_AT_LEAST if least else P50_AT_MOST,)
    ]
    loads = []
    for (kind, proxy), one in found.loads.items():
        row = f"{names[kind]}, {'the gateway' if proxy == 'gateway' else 'plain'}"
        loads.append(f"| {row} | {one.rate:,.0f} | {one.p50:.2f} ms | {one.p99:.2f} ms |")
    return f"""\
# What a gateway costs

Written by `make bench` on {datetime.date.today()}, with HAProxy {found.version} of Debian. A gateway of the role
`model_gateway` beside a plain HAProxy without keys and routing, both with TLS, on one host of {os.cpu_count()} cores,
with what asks (`wrk`, {CONNECTIONS} connections, {SECONDS} s) and with what answers (an HAProxy that answers itself; a
stream comes in one piece). Medians of {found.rounds} rounds, in turn. The access log is off: the plain one has none.

| target | measured | reached |
|---|---|---|
{chr(10).join(rows)}

| | requests/s | p50 | p99 |
|---|--:|--:|--:|
{chr(10).join(loads)}
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
