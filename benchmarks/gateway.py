#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a gateway adds to a request, beside a plain HAProxy of the same package without keys and routing, for a
model with one server and for one with two, of whose requests it keeps a copy or not, beside a plain one that keeps
copies, too, and beside the LiteLLM proxy with a key.

    gateway.py [--rounds N] [--out FOLDER]

The result is docs/performance-gateway.md. All send requests to an HAProxy that answers itself. wrk asks on the same
host: one client for the time of a request, 16 for their number. Each round is one of each, in turn. LiteLLM has no TLS,
and answers in one piece only.
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
GATEWAY, PAIR, NEVER, PLAIN, RESEND, LITELLM = "gateway", "pair", "never", "plain", "resend", "litellm"
URLS = {
    GATEWAY: "https://127.0.0.1:8443",
    PAIR: "https://127.0.0.1:8443",
    NEVER: "https://127.0.0.1:8445",
    PLAIN: "https://127.0.0.1:8444",
    RESEND: "https://127.0.0.1:8446",
    LITELLM: "http://127.0.0.1:4000",
}
# The others are asked for one with one server.
MODELS = {PAIR: "pair", NEVER: "pair"}
KINDS = {"answer": "ask.lua", "stream": "stream.lua"}
SECONDS, ALONE, MANY = 5, 1, 16
BUFFER_KIB = 288  # by the defaults of the role
P50_AT_MOST = 1.15
RATE_AT_LEAST = 0.7
LITELLM_RATE_AT_LEAST = 150
# The newest that its own index can install; without prisma it answers a request without a key with status 500.
WHEELS = ("litellm[proxy]==1.108.7", "prisma==0.15.0")
_WHEELS_FOR = ("3.13", ("manylinux2014_x86_64", "manylinux_2_28_x86_64", "any"))
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclasses.dataclass(frozen=True)
class Load:
    """Of one run of wrk, or the medians of several: milliseconds, and requests a second."""

    p50: float
    p99: float
    rate: float


@dataclasses.dataclass(frozen=True)
class Found:
    """``loads`` by kind of answer, proxy and number of clients. ``busy``: the load average before it began."""

    version: str
    rounds: int
    busy: float
    loads: Mapping[tuple[str, str, int], Load]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the page goes")
    options = parser.parse_args(argv)
    busy = os.getloadavg()[0]
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
        _bring_wheels()
        for step in ("beside", "gateway"):
            given = {"bench_folder": str(FOLDER), "bench_key": KEY, "bench_step": step, "bench_wheels": list(WHEELS)}
            given["bench_buffer"] = BUFFER_KIB * 1024
            FOLDER.joinpath("vars.yml").write_text(yaml.safe_dump(given))
            Play(step, HERE / "gateway.yml", must_change=True).run()
        found = Found(_run(["haproxy", "-v"]).split()[2], options.rounds, busy, _measure(options.rounds))
    finally:
        hosts("down", "--group", GROUP)
    (options.out / "performance-gateway.md").write_text(page(found))
    say(f"written: {options.out / 'performance-gateway.md'}")
    return 0


def _bring_wheels() -> None:
    wheels = FOLDER / "litellm"
    if not any(wheels.glob("litellm-*.whl")):
        say("fetching LiteLLM, 170 MB")
        version, platforms = _WHEELS_FOR
        given = ["--only-binary=:all:", f"--python-version={version}", *(f"--platform={one}" for one in platforms)]
        subprocess.run([PYTHON, "-m", "pip", "download", "--quiet", *given, f"--dest={wheels}", *WHEELS], check=True)
    subprocess.run(["docker", "cp", "--quiet", wheels, f"mlops-hosts-{GROUP}-{HOST}:/opt/wheels"], check=True)


def _run(argv: Sequence[str]) -> str:
    container = docker.from_env().containers.get(f"mlops-hosts-{GROUP}-{HOST}")
    status, output = container.exec_run(list(argv))
    if status:
        raise SystemExit(f"bench: {' '.join(argv)} exited with status {status}: {output.decode()[-2000:]}")
    return str(output.decode())


def _measure(rounds: int) -> dict[tuple[str, str, int], Load]:
    seen: dict[tuple[str, str, int], list[Load]] = {}
    measured = [
        (kind, proxy, clients)
        for kind in KINDS
        for clients in (ALONE, MANY)
        for proxy in URLS
        if proxy != LITELLM or kind == "answer"
    ]
    for number in range(rounds):
        # Turned around, so that none has a place of its own.
        for kind, proxy, clients in measured if number % 2 == 0 else reversed(measured):
            options = [
                "-t1",
                f"-c{clients}",
                f"-d{SECONDS}s",
                "--timeout=30s",
                "--latency",
                "-s",
                f"/etc/bench/{KINDS[kind]}",
            ]
            url = f"{URLS[proxy]}/v1/chat/completions"
            found = load(_run(["wrk", *options, url, "--", MODELS.get(proxy, "bench")]))
            seen.setdefault((kind, proxy, clients), []).append(found)
        last = ((*what, runs[-1].p50) for what, runs in seen.items())
        say(f"round {number + 1}: {', '.join(f'{kind} {proxy} {n}: {p50:.2f} ms' for kind, proxy, n, p50 in last)}")
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
    found = re.search(rf"^\s+{percentile}\s+([\d.]+)(us|ms|s)\s*$", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"bench: wrk says nothing of {percentile}: {text[-500:]}")
    return float(found[1]) * _UNITS[found[2]]


def _medians(loads: Sequence[Load]) -> Load:
    return Load(*(statistics.median(getattr(one, field.name) for one in loads) for field in dataclasses.fields(Load)))


def page(found: Found) -> str:
    names = {"answer": "an answer of 240 bytes", "stream": "a stream of ten events"}
    proxies = {GATEWAY: "one server", PAIR: "two servers", NEVER: "two servers, `model_gateway_resend: never`"}
    rows = []
    compared = [*((proxy, servers, PLAIN) for proxy, servers in proxies.items())]
    compared.insert(2, (PAIR, "two servers, beside a plain HAProxy that sends again, too", RESEND))
    for kind, words in names.items():
        for proxy, servers, plain in compared:
            time, rate = _beside(found, kind, proxy, plain)
            what = f"{words}, {servers}"
            rows.append(_target(f"{what}: p50 of one client, at most {P50_AT_MOST}×", time, time <= P50_AT_MOST))
            rows.append(_target(f"{what}: requests a second, at least {RATE_AT_LEAST}×", rate, rate >= RATE_AT_LEAST))
    rate = found.loads["answer", GATEWAY, MANY].rate / found.loads["answer", LITELLM, MANY].rate
    words = f"{names['answer']}: requests a second beside LiteLLM, at least {LITELLM_RATE_AT_LEAST}×"
    rows.append(_target(words, rate, rate >= LITELLM_RATE_AT_LEAST))
    shown = {proxy: f"the gateway, {servers}" for proxy, servers in proxies.items()}
    shown.update({PLAIN: "plain HAProxy", RESEND: "plain HAProxy that sends again", LITELLM: "LiteLLM"})
    loads = [
        f"| {names[kind]}, {shown[proxy]} | {many} | {one.rate:,.0f} | {one.p50:.2f} ms | {one.p99:.2f} ms |"
        for (kind, proxy, many), one in found.loads.items()
    ]
    return f"""\
# What a gateway costs

Written by `make bench` on {datetime.date.today()}, with HAProxy {found.version} of Debian. A gateway of the role
`model_gateway` beside a plain HAProxy without keys and routing, both with TLS, beside one more that sends lost
requests to another server as the gateway does (`retry-on`, and a buffer as large), and beside the proxy of
`{WHEELS[0]}` with a key and one worker, without TLS. All on one host of {os.cpu_count()} cores, with what
asks (`wrk`, {SECONDS} s) and what answers (an HAProxy that answers itself; a stream comes in one piece). Medians of
{found.rounds} rounds, in turn. The machine's load average was {found.busy:.1f} before it began: that is other work,
which takes its share of the cores. The access log is off: the plain one has none. With {MANY} clients the proxies
are busy all the time, so that p50 says what requests a second say: the time that a gateway adds to a request is
that of one client.

| target | measured | reached |
|---|---|---|
{chr(10).join(rows)}

A model with one server costs its keys, limits and routing. One with two or more costs a copy as well: a request is kept
until its answer begins, so that another server can have it when the first one is lost, and for that HAProxy copies a
whole buffer, however short the request is: {BUFFER_KIB} KiB, of which `model_gateway_max_body_kib` is the most. A plain
HAProxy that does so pays the same, so the rows beside it are what keys and routing cost then. With
`model_gateway_resend: never` there are no copies, and clients whose server is lost get status 502.

| | clients | requests/s | p50 | p99 |
|---|--:|--:|--:|--:|
{chr(10).join(loads)}
"""


def _beside(found: Found, kind: str, proxy: str, plain: str) -> tuple[float, float]:
    """How often as long one client waits, and how often as many requests many have answered."""
    alone, plain_alone = (found.loads[kind, one, ALONE] for one in (proxy, plain))
    many, plain_many = (found.loads[kind, one, MANY] for one in (proxy, plain))
    return alone.p50 / plain_alone.p50, many.rate / plain_many.rate


def _target(words: str, value: float, reached: bool) -> str:
    return f"| {words} | {value:.2f}× | {'yes' if reached else '**no**'} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
