#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a shipper of logs costs, beside the plainest forwarder of the same package: no queue, no rules, no
redaction, but the same journal and the same transport.

    log_shipper.py [--rounds N] [--lines N] [--out FOLDER]

The result is docs/performance-log-shipper.md. Each round is one of each, in turn, over the same lines of the journal,
to a sink over TLS on the same host that only counts (log_shipper_host.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker
import yaml
from measure import FOLDER, HERE, ROOT, Play, hosts, say

GROUP = "bench-shippers"
# Hosts, by what ships on them, and the program that says its version.
PROVIDERS = {"rsyslog": "/usr/sbin/rsyslogd", "syslog_ng": "/usr/sbin/syslog-ng"}
# Units, and where each keeps its place in the journal and what waits.
OURS, PLAIN = "ours", "plain"
UNITS = {
    OURS: ("mlops-log-shipper.service", "/var/spool/mlops-log-shipper"),
    PLAIN: ("bench-plain.service", "/var/spool/bench-plain"),
}
KINDS = {"text": "lines of text", "json": "lines of JSON"}
RATE_AT_LEAST = 0.8


@dataclasses.dataclass(frozen=True)
class Load:
    """Of one run, or the medians of several: lines a second, and seconds of CPU for 100,000 lines."""

    rate: float
    cpu_s: float


@dataclasses.dataclass(frozen=True)
class Found:
    """``loads`` by provider, kind of lines and unit; ``versions`` and ``rss_mib`` with a full buffer by provider;
    ``load``: the load average of the machine before."""

    versions: Mapping[str, str]
    lines: int
    rounds: int
    loads: Mapping[tuple[str, str, str], Load]
    rss_mib: Mapping[str, float]
    load: float


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (%(default)s)")
    parser.add_argument("--lines", type=int, default=200_000, help="how many lines of each kind (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where the page goes")
    options = parser.parse_args(argv)
    load = os.getloadavg()[1]
    _make_certificate(FOLDER / "log_shipper")
    hosts("up", "--group", GROUP, "--spec", "-", stdin=yaml.safe_dump([_host(provider) for provider in PROVIDERS]))
    try:
        FOLDER.joinpath("hosts.yml").write_text(hosts("inventory", "--group", GROUP))
        FOLDER.joinpath("vars.yml").write_text(yaml.safe_dump({"bench_folder": str(FOLDER)}))
        Play("shippers", HERE / "log_shipper.yml", must_change=True).run()
        loads = {}
        for provider in PROVIDERS:
            for kind in KINDS:
                loads.update(_measure(provider, kind, options.lines, options.rounds))
        versions = {provider: _version(provider) for provider in PROVIDERS}
        rss = {provider: _ask(provider, "full", *UNITS[OURS])["rss_mib"] for provider in PROVIDERS}
        found = Found(versions, options.lines, options.rounds, loads, rss, load)
    finally:
        hosts("down", "--group", GROUP)
    (options.out / "performance-log-shipper.md").write_text(page(found))
    say(f"written: {options.out / 'performance-log-shipper.md'}")
    return 0


def _host(provider: str) -> dict[str, object]:
    name = provider.replace("_", "")
    given = {"log_shipper_provider": provider}
    return {"name": name, "suite": "trixie", "stock": True, "groups": ["bench_shippers"], "vars": given}


def _make_certificate(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder / "localhost.key"]
    subprocess.run(
        ["openssl", "req", "-x509", "-days", "30", *subject, *key, "-out", folder / "localhost.pem"],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def _run(provider: str, *argv: str) -> str:
    container = docker.from_env().containers.get(f"mlops-hosts-{GROUP}-{provider.replace('_', '')}")
    status, output = container.exec_run(list(argv))
    if status:
        raise SystemExit(f"bench: {' '.join(argv)} exited with status {status}: {output.decode()[-2000:]}")
    return str(output.decode())


def _ask(provider: str, *argv: str) -> dict[str, float]:
    said = _run(provider, "/usr/local/bin/log_shipper_host.py", *argv)
    return dict(json.loads(said)) if said else {}


def _version(provider: str) -> str:
    """As in "rsyslogd  8.2504.0 (aka ..." and "syslog-ng 4 (4.8.1)"."""
    said = _run(provider, PROVIDERS[provider], "--version" if provider == "syslog_ng" else "-v")
    return str(re.findall(r"\d+(?:[.]\d+){2}", said)[0])


def _measure(provider: str, kind: str, lines: int, rounds: int) -> dict[tuple[str, str, str], Load]:
    for unit, _state in UNITS.values():
        _run(provider, "systemctl", "stop", unit)
    for unit in UNITS.values():
        _ask(provider, "drain", *unit)
    program = ["/usr/local/bin/log_shipper_host.py", "lines", kind, str(lines)]
    _run(provider, "systemd-run", "--wait", "--quiet", "--collect", "--unit=mlops-model-bench", *program)
    _run(provider, "journalctl", "--sync")
    seen: dict[str, list[Load]] = {name: [] for name in UNITS}
    for number in range(rounds):
        # Turned around, so that none has a place of its own.
        for name in UNITS if number % 2 == 0 else reversed(UNITS):
            seen[name].append(Load(**_ask(provider, "measure", *UNITS[name], str(lines))))
        last = ", ".join(f"{name} {runs[-1].rate:,.0f} lines/s {runs[-1].cpu_s:.2f} s" for name, runs in seen.items())
        say(f"{provider}, {KINDS[kind]}, round {number + 1}: {last}")
    return {(provider, kind, name): _medians(runs) for name, runs in seen.items()}


def _medians(loads: Sequence[Load]) -> Load:
    return Load(*(statistics.median(getattr(one, field.name) for one in loads) for field in dataclasses.fields(Load)))


def page(found: Found) -> str:
    targets, loads = [], []
    for provider, version in found.versions.items():
        for kind, words in KINDS.items():
            ours, plain = (found.loads[provider, kind, name] for name in UNITS)
            ratio = ours.rate / plain.rate
            reached = "yes" if ratio >= RATE_AT_LEAST else "**no**"
            targets.append(
                f"| `{provider}`, {words}: lines a second, at least {RATE_AT_LEAST}× | {ratio:.2f}× | {reached} |"
            )
            loads += [
                f"| `{provider}` {version}, {words}, {name} | {one.rate:,.0f} | {one.cpu_s:.2f} s |"
                for name, one in (("the role's", ours), ("plain", plain))
            ]
    memory = [f"| `{provider}` | {mib:.0f} MiB |" for provider, mib in found.rss_mib.items()]
    return f"""\
# What a shipper of logs costs

Written by `make bench` on {datetime.date.today()}, on hosts of Debian 13, {os.cpu_count()} cores. What the role
`log_shipper` runs beside the plainest forwarder of the same package: no queue, no rules, no redaction, no fields.
Both read the same {found.lines:,} lines of the journal and send them over syslog with TLS to a sink on the same host
that only counts. Medians of {found.rounds} rounds, in turn; CPU is that of the shipper alone, from its first line on.
Each tenth of the JSON lines has a prompt, which the role redacts. The load average of the machine was
{found.load:.1f} before.

| target | measured | reached |
|---|---|---|
{chr(10).join(targets)}

| | lines/s | CPU for 100,000 lines |
|---|--:|--:|
{chr(10).join(loads)}

With `when_full: block`, the default, and a sink that is down, a shipper reads until its memory holds what it may:

| | memory (RSS) |
|---|--:|
{chr(10).join(memory)}
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
