# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine against the same resources as plain tasks, on one host."""

from __future__ import annotations

import dataclasses

import yaml
from measure import FOLDER, HERE, Cost, Counted, Play, hosts, in_turn, say

GROUP = "bench-engine"
ROUNDS_FIRST = 3
ROUNDS_SAME = 5
_TARGET = ("--extra-vars=target=bench_hosts",)


@dataclasses.dataclass(frozen=True)
class Engine:
    """Costs by the name of the way, ``empty``, ``plain`` or ``component``; counts of the last two; rounds."""

    first: dict[str, Cost]
    same: dict[str, Cost]
    counted_first: dict[str, Counted]
    counted_same: dict[str, Counted]
    rounds_first: int
    rounds_same: int

    @property
    def times_faster(self) -> float:
        """Wall of the plain tasks by that of the component where nothing differs, both beyond the empty play."""
        empty = self.same["empty"]
        return self.same["plain"].beyond(empty).wall / self.same["component"].beyond(empty).wall


def measure(most_rounds: int) -> Engine:
    say("the engine against plain tasks: a host, and two repositories on it")
    spec = "[{name: bench, suite: bookworm, stock: true, groups: [bench_hosts]}]"
    hosts("up", "--group", GROUP, "--spec", "-", stdin=spec)
    try:
        FOLDER.joinpath("hosts.yml").write_text(hosts("inventory", "--group", GROUP))
        FOLDER.joinpath("vars.yml").write_text(yaml.safe_dump({"bench_folder": str(FOLDER)}))
        Play("prepare", HERE / "prepare.yml", must_change=True).run()
        return _measure(most_rounds)
    finally:
        hosts("down", "--group", GROUP)


def _measure(most_rounds: int) -> Engine:
    away = Play("away", HERE / "away.yml", must_change=None)
    empty = Play("empty", HERE / "empty.yml", _TARGET)
    ways = [Play(name, HERE / f"{name}.yml") for name in ("plain", "component")]
    changing = [dataclasses.replace(way, must_change=True) for way in ways]
    rounds_first, rounds_same = min(ROUNDS_FIRST, most_rounds), min(ROUNDS_SAME, most_rounds)
    first = in_turn([empty, *changing], rounds_first, "first change", before=away.run)
    same = in_turn([empty, *ways], rounds_same, "nothing differs")
    counted_same = {way.name: way.counted() for way in ways}
    away.run()
    counted_first = {way.name: way.counted() for way in changing}
    return Engine(first, same, counted_first, counted_same, rounds_first, rounds_same)
