# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/performance.md from what was measured."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable

import ansible.release
import plot
from engine import Engine
from fleet import FORKS, Fleet
from measure import Cost

ENGINE_AT_LEAST = 8.0
FACTS_AT_MOST = 2.5
# More than this, from 5 hosts to the most, is not flat.
GROWTH_AT_MOST = 1.15
PLOT = "performance.svg"
_NAMES = {"empty": "empty play", "plain": "plain tasks", "component": "`component`"}


def page(engine: Engine, fleet: Fleet, minutes: float, load: float) -> str:
    return f"""# What it costs

Written by `make bench` on {datetime.date.today()}, in {minutes:.0f} minutes.
{_machine()}
Load average when it began: {load:.1f}.

Hosts are containers with systemd and sshd **on the same machine as the controller**: they take their share of its
cores, so wall times on many hosts are those of the machine, not of a network of hosts. Each number is the median of
several runs of `ansible-playbook`, in turn with the others of its table, over pipelined SSH with connections that are
open already. Controller CPU is user and system time of `ansible-playbook` and all it starts, without the SSH processes
that keep connections open. "Beyond empty" is beyond a play that does nothing on the same hosts. Machines differ and are
noisy: the ratios are the result.

| target | measured | reached |
|---|---|---|
{_targets(engine, fleet)}

## One component against plain tasks

A repository with its key, 2 packages, a directory, 6 files, a link and a unit: once as one `mlops.hosts.component`,
once as `deb822_repository`, `apt`, `file`, `copy`, `template` and `systemd_service`. The repository is a folder on
the host. Sources:
[component.yml](https://github.com/mlops-hosts/mlops.hosts/blob/main/benchmarks/component.yml), [plain.yml](https://github.com/mlops-hosts/mlops.hosts/blob/main/benchmarks/plain.yml).

Nothing differs, {_rounds(engine.rounds_same)}:

{_ways(engine.same, engine.trips_same)}

Beyond the empty play, the plain tasks take {engine.times_faster:.1f} times as long as the component.

First change, {_rounds(engine.rounds_first)}, all taken away before each. The component keeps what was there before
and can go back; its wait for a unit that dies soon after its start is off here (`settle_s: 0`; the default adds 5 s):

{_ways(engine.first, engine.trips_first)}

## The whole stack against fact gathering

`playbooks/site.yml` with the demo's variables, on one host where nothing differs: logs of the model server and the
kernel to a log host over TLS (`log_shipper`), one model (`model_store`), one model server (`model_server`). Against
`gather_facts: true` and nothing else. {_rounds(fleet.rounds_one)}:

{_one(fleet)}

## The whole stack on many hosts

The same where nothing differs, with `forks={FORKS}`, {_rounds(*fleet.rounds_by_size.values())}. One host was
converged, the others started from an image of it, so all of them have one identity towards the log host; before the
clock ran, the playbook went over all of them and changed nothing.

{_sizes(fleet)}

![Controller CPU and wall per host by number of hosts]({PLOT})

## Why

- A host is first asked whether anything differs, by a program that brings only the collection's own code: see
  [transaction.md](transaction.md). Compiling Ansible's module code anew is most of what a module costs on a host, and
  looking for what must be sent is most of what it costs on the controller.
- Of all packages it learns from one process, of all units from one, of the rest from none.
- Only the distribution is asked for, not all facts, and of Debian and Ubuntu that is one file, without Python.
- What a role asks a host before a change, such as whether ports are free, it asks only when something differs.
"""


def picture(fleet: Fleet) -> str:
    per_host = {size: fleet.per_host(size) for size in fleet.by_size}
    return plot.lines(
        "site.yml where nothing differs, for each host, beyond an empty play",
        "hosts",
        "seconds",
        [
            ("controller CPU", {size: cost.cpu for size, cost in per_host.items()}),
            ("wall", {size: cost.wall for size, cost in per_host.items()}),
        ],
    )


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"The machine: {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, ansible-core {ansible.release.__version__}."
    )


def _targets(engine: Engine, fleet: Fleet) -> str:
    most = max(fleet.by_size)
    rows = [
        (
            f"engine, nothing differs: at least {ENGINE_AT_LEAST:g} times faster than plain tasks",
            f"{engine.times_faster:.1f} times",
            engine.times_faster >= ENGINE_AT_LEAST,
        ),
        (
            f"whole stack, nothing differs, one host: below {FACTS_AT_MOST} times the wall of fact gathering",
            f"{fleet.times_facts:.2f} times",
            fleet.times_facts < FACTS_AT_MOST,
        ),
        (
            f"controller CPU per host flat from 5 to 50 hosts: most is at most {GROWTH_AT_MOST} times least",
            f"{fleet.cpu_growth:.2f} times" + (f", up to {most} hosts only" if most < 50 else ""),
            fleet.cpu_growth <= GROWTH_AT_MOST and most >= 50,
        ),
    ]
    return "\n".join(f"| {target} | {found} | {'yes' if reached else '**no**'} |" for target, found, reached in rows)


def _ways(costs: dict[str, Cost], trips: dict[str, int]) -> str:
    rows = [(_NAMES[name], *_cells(cost, costs["empty"]), str(trips.get(name, 0))) for name, cost in costs.items()]
    return _table(("", "wall", "beyond empty", "controller CPU", "beyond empty", "round trips"), rows)


def _one(fleet: Fleet) -> str:
    names = {"empty": "empty play", "facts": "`gather_facts`", "site": "`site.yml`"}
    trips = {"empty": 0, "facts": fleet.round_trips_facts, "site": fleet.round_trips}
    empty = fleet.one["empty"]
    rows = [(names[name], *_cells(fleet.one[name], empty), str(trips[name])) for name in names]
    return _table(("", "wall", "beyond empty", "controller CPU", "beyond empty", "round trips"), rows)


def _sizes(fleet: Fleet) -> str:
    rows = []
    for size, costs in fleet.by_size.items():
        each = fleet.per_host(size)
        site = costs["site"]
        rows.append((str(size), _s(site.wall), _s(site.cpu), f"{each.wall:.3f} s", f"{each.cpu:.3f} s"))
    return _table(("hosts", "wall", "controller CPU", "wall per host", "controller CPU per host"), rows) + (
        "\n\nPer host: beyond the empty play on as many hosts."
    )


def _rounds(*numbers: int) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least} to {most} rounds" if least < most else f"{most} round{'s' if most > 1 else ''}"


def _cells(cost: Cost, empty: Cost) -> tuple[str, str, str, str]:
    beyond = cost.beyond(empty)
    return _s(cost.wall), _s(beyond.wall), _s(cost.cpu), _s(beyond.cpu)


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("--:" for _column in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
