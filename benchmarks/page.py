# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/performance.md from what was measured."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Mapping

import ansible.release
import plot
from engine import Engine
from fingerprint import COVERED
from fleet import BASE, PEER, Fleet
from measure import Cost, Counted
from profile_play import Row
from stack import FORKS

ENGINE_AT_LEAST = 8.0
FACTS_AT_MOST = 0.7
PEER_AT_MOST = 0.1
CPU_AT_MOST_S = 0.30
TRIPS_AT_MOST, FORKS_AT_MOST = 2, 4
# More than this, from 5 hosts to the most, is not flat.
GROWTH_AT_MOST = 1.15
# Two runs of the same thing differ by as much.
NOISE = 1.05
PLOT = "performance.svg"
SOURCES = "https://github.com/mlops-hosts/mlops.hosts/blob/main/benchmarks"
_PLAYS = {
    "empty": "empty play",
    "facts": "`gather_facts`",
    "site": "`site.yml`",
    "peer": f"`{PEER}`, with its facts",
    "audit": "`audit.yml`",
}
_HEAD = ("", "wall", "beyond empty", "controller CPU", "beyond empty", "round trips", "forks")
_NAMES = {"empty": "empty play", "plain": "plain tasks", "component": "`component`"}


def page(engine: Engine, fleet: Fleet, sources: str, minutes: float, load: float) -> str:
    return f"""# What it costs

Written by `make bench` on {datetime.date.today()}, in {minutes:.0f} minutes.
{_machine()}
Load average when it began: {load:.1f}.
Measured of the sources with the fingerprint `{sources}`; `make check` fails when they have another.
Then run `make bench` on a quiet machine, and commit what it writes. The fingerprint is of {COVERED}.

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
[component.yml]({SOURCES}/component.yml), [plain.yml]({SOURCES}/plain.yml).

Nothing differs, {_rounds(engine.rounds_same)}:

{_ways(engine.same, engine.counted_same)}

Beyond the empty play, the plain tasks take {engine.times_faster:.1f} times as long as the component.

First change, {_rounds(engine.rounds_first)}, all taken away before each. The component keeps what was there before
and can go back; its wait for a unit that dies soon after its start is off here (`settle_s: 0`; the default adds 5 s):

{_ways(engine.first, engine.counted_first)}

## The whole site on one host

`playbooks/site.yml` with all seven roles, where nothing differs: a driver of NVIDIA's, its settings of two GPUs, a CUDA
toolkit, Docker with NVIDIA's container toolkit, logs of the model server and the kernel to a log host over TLS, a
model, a model server. The GPUs, the driver that is loaded and NVIDIA's packages are simulated; Docker, rsyslog
and llama.cpp are real. Against `gather_facts: true` and nothing else, and {_peer_words(fleet)}.
{_capital(_rounds(fleet.rounds["one"]))}:

{_one(fleet)}

A fork is a process that Ansible starts for a task on a host, skipped tasks and includes among them
([count_forks.py]({SOURCES}/count_forks.py)). What forked: {_tasks(fleet)}.

## The whole site on many hosts

The same, {_rounds(*(fleet.rounds[str(size)] for size in fleet.by_size))}. `forks={FORKS}`: with fewer forks than hosts,
ansible-core looks for a free one in a loop, which takes CPU as long as it waits. One host was converged, the others
started from an image of it; before the clock ran, the playbook went over all of them and changed nothing.

{_sizes(fleet)}

![Controller CPU and wall per host by number of hosts]({PLOT})

## Where one role differs

A file of one role was removed before each run. The role alone is a play with nothing but its import. A site where one
role differs is to cost what that role costs, and the question which roles differ: the last column is its cost by the
sum of the two, both beyond the empty play. {_capital(_rounds(fleet.rounds["differ"]))}:

{_differ(fleet)}

## A first change of the whole site

From a bare host to all seven roles, and the same with the collection of commit `{BASE}`, each time on a host of its own
from one image.

{_first(fleet)}

## Where the controller's time goes

{_spent(fleet)}

{profile(fleet.profiled, fleet.largest)}
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
    faster = engine.times_faster
    rows = [
        (
            f"engine, nothing differs: at least {ENGINE_AT_LEAST:g} times faster than plain tasks",
            f"{faster:.1f} times",
            "yes" if faster >= ENGINE_AT_LEAST else "**no**",
        ),
        *(_row(*target) for target in targets(fleet)),
    ]
    return "\n".join(f"| {target} | {found} | {reached} |" for target, found, reached in rows)


def targets(fleet: Fleet) -> list[tuple[str, float | None, float, str]]:
    """What is to be reached: in words, what was found (None: not measured here), the most it may be, and its unit."""
    most = fleet.largest
    has_peer, has_base = "peer" in fleet.one, "base" in fleet.first
    per_host, site = fleet.per_host(most), fleet.counted["site"]
    first = fleet.first
    return [
        (
            "site, nothing differs, one host: wall by that of fact gathering",
            fleet.ratio("site", "facts"),
            FACTS_AT_MOST,
            "×",
        ),
        (
            f"site, nothing differs, one host: wall by that of `{PEER}`",
            fleet.ratio("site", "peer") if has_peer else None,
            PEER_AT_MOST,
            "×",
        ),
        ("site, nothing differs: round trips per host", site.round_trips, TRIPS_AT_MOST, ""),
        ("site, nothing differs: forks per host", site.forks, FORKS_AT_MOST, ""),
        (
            "site, nothing differs, 50 hosts: controller CPU per host",
            per_host.cpu if most >= 50 else None,
            CPU_AT_MOST_S,
            " s",
        ),
        (
            "controller CPU per host from 5 to 50 hosts: on more hosts by that on fewer, the most",
            fleet.cpu_growth if most >= 50 else None,
            GROWTH_AT_MOST,
            "×",
        ),
        *(
            (
                f"site, `{role}` differs: wall by that of the role alone and the question",
                fleet.differs_ratio(role).wall,
                NOISE,
                "×",
            )
            for role in fleet.differ
        ),
        (
            f"first change of the site: wall by that of `{BASE}`",
            first["now"].wall / first["base"].wall if has_base else None,
            NOISE,
            "×",
        ),
        (
            f"first change of the site: controller CPU by that of `{BASE}`",
            first["now"].cpu / first["base"].cpu if has_base else None,
            NOISE,
            "×",
        ),
    ]


def _row(target: str, found: float | None, most: float, unit: str) -> tuple[str, str, str]:
    words = f"{target}: at most {most:.3g}{unit}"
    if found is None:
        return words, "not measured", "–"
    over = f"**no**, by {100 * (found / most - 1):.0f} %"
    return words, f"{found:.2f}{unit}" if unit else f"{found:g}", "yes" if found <= most else over


def _ways(costs: Mapping[str, Cost], trips: Mapping[str, Counted]) -> str:
    rows = [(_NAMES[name], *_cells(cost, costs["empty"]), *_counts(trips.get(name))) for name, cost in costs.items()]
    return _table(_HEAD, rows)


def _one(fleet: Fleet) -> str:
    empty = fleet.one["empty"]
    rows = [(_PLAYS[name], *_cells(cost, empty), *_counts(fleet.counted.get(name))) for name, cost in fleet.one.items()]
    return _table(_HEAD, rows)


def _counts(counted: Counted | None) -> tuple[str, str]:
    return (str(counted.round_trips), str(counted.forks)) if counted else ("0", "0")


def _tasks(fleet: Fleet) -> str:
    tasks = [name for names in fleet.counted["site"].tasks.values() for name in names]
    return ", ".join(f"*{name}*" for name in tasks[:12]) + (f" and {len(tasks) - 12} more" if len(tasks) > 12 else "")


def _peer_words(fleet: Fleet) -> str:
    if "peer" in fleet.one:
        return f"`{PEER}` where Docker is there already"
    return f"not against `{PEER}`, which was not at hand on this machine"


def _sizes(fleet: Fleet) -> str:
    rows = []
    for size, costs in fleet.by_size.items():
        rows.append((str(size), "`site.yml`", *_per_host(costs["site"], fleet.per_host(size))))
    audit, counted, size = fleet.most["audit"], fleet.counted_most, fleet.largest
    rows.append((str(size), "`audit.yml`", *_per_host(audit, fleet.audit_per_host)))
    head = ("hosts", "playbook", "wall", "controller CPU", "wall per host", "controller CPU per host")
    each = "; ".join(
        f"{_PLAYS[name]} {found.round_trips / size:.3g} round trips and {found.forks / size:.3g} forks"
        for name, found in counted.items()
    )
    return _table(head, rows) + (
        f"\n\nPer host: beyond the empty play on as many hosts. On {_hosts(size)} each host takes: {each}."
    )


def _per_host(cost: Cost, each: Cost) -> tuple[str, str, str, str]:
    return _s(cost.wall), _s(cost.cpu), f"{each.wall:.3f} s", f"{each.cpu:.3f} s"


def _differ(fleet: Fleet) -> str:
    empty = fleet.one["empty"]
    rows = []
    for role, costs in fleet.differ.items():
        beyond = {name: costs[name].beyond(empty) for name in ("role", "site")}
        beyond["question"] = fleet.one["site"].beyond(empty)
        for what in ("wall", "cpu"):
            cells = [getattr(beyond[name], what) for name in ("role", "question", "site")]
            ratio = getattr(fleet.differs_ratio(role), what)
            name = f"`{role}`, {'wall' if what == 'wall' else 'controller CPU'}"
            rows.append((name, *(_s(cell) for cell in cells), f"{ratio:.2f} ×"))
    return _table(("what differs", "role alone", "question", "site", "site by the sum"), rows)


def _first(fleet: Fleet) -> str:
    if not fleet.first:
        return "Left out of this run, by `--no-first-change`."
    took = (
        f"{_capital(_rounds(fleet.rounds['first']))} in {fleet.minutes_first:.1f} minutes, with the start of the hosts"
    )
    return f"{took}:\n\n{first_changes(fleet.first)}"


def first_changes(first: Mapping[str, Cost]) -> str:
    now = first["now"]
    if "base" not in first:
        return f"Commit `{BASE}` is not in this checkout: {_s(now.wall)} wall, nothing to compare with."
    base = first["base"]
    rows = [(name, _s(cost.wall), _s(cost.cpu)) for name, cost in ((f"`{BASE}`", base), ("now", now))]
    ratios = ("now by before", f"{now.wall / base.wall:.2f} ×", f"{now.cpu / base.cpu:.2f} ×")
    return _table(("", "wall", "controller CPU"), [*rows, ratios])


def _spent(fleet: Fleet) -> str:
    kinds = {"main": "main process", "workers": "forks", "commands": "what these start, above all ssh"}
    counted = {
        f"{_PLAYS[name]}, 1 host": (found, 1) for name, found in fleet.counted.items() if name in ("facts", "site")
    }
    if fleet.largest > 1:
        counted |= {
            f"{_PLAYS[name]}, {_hosts(fleet.largest)}": (f, fleet.largest) for name, f in fleet.counted_most.items()
        }
    rows = [(name, *(f"{found.cpu[kind] / size:.3f} s" for kind in kinds)) for name, (found, size) in counted.items()]
    return "CPU per host, of one run each, with Ansible's own start in the main process:\n\n" + _table(
        ("", *kinds.values()), rows
    )


def profile(profiled: Mapping[str, list[Row]], size: int) -> str:
    tables = []
    for part, title in (("main", "The main process"), ("worker", "The forks")):
        rows = [
            (f"`{row.name}`", f"{100 * row.own:.1f} %", f"{100 * row.whole:.1f} %", str(row.calls))
            for row in profiled[part]
        ]
        tables.append(
            f"{title}, `site.yml` on {_hosts(size)} under a profiler, to which many small functions look larger:\n\n"
            + _table(("function", "by itself", "with what it calls", "calls"), rows)
        )
    return "\n\n".join(tables)


def _hosts(size: int) -> str:
    return "1 host" if size == 1 else f"{size} hosts"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


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
