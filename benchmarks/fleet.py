# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All seven roles where nothing differs, on one host and on many; where one of them does; and their first change."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import stack
import yaml
from measure import FOLDER, HERE, PYTHON, ROOT, Cost, Counted, Play, in_turn, median, say
from profile_play import Row, costliest

SIZES = (1, 5, 10, 25, 50)
# The fewer hosts, the more the noise, and the cheaper a round.
ROUNDS = {5: 5, 10: 5, 25: 3, 50: 3}
ROUNDS_ONE = 7
ROUNDS_DIFFER = 3
ROUNDS_AUDIT = 2
# More of them with --first-changes: each takes a minute or two.
ROUNDS_FIRST = 3
# A file of each is removed: the one has no unit, of the other rsyslog is restarted.
DIFFER = ("cuda_toolkit", "log_shipper")
BASE = "57be16e"
# What the inventory has, in its words: it cannot name a model by its artefact.
BASE_VARS = {
    "model_server_instances": [
        {
            "name": "chat",
            "model": {"path": "/var/lib/mlops-models/models/chat/current/good.gguf"},
            "served_name": "chat",
            "port": 8001,
            "api_key": "{{ bench_api_key }}",
            "context_size": 512,
            "threads": 1,
            "gate": {"timeout_s": 20, "settle_s": 2},
        }
    ],
    "log_shipper_sources": [
        {"name": "models", "type": "journald_units", "units": ["mlops-model-*"]},
        {"name": "kernel", "type": "kernel"},
    ],
}
PEER = "geerlingguy.docker"
# It is in no file of this folder: those must be right without the role.
PEER_PLAY = [
    {
        "name": "Docker by a role of others",
        "hosts": "ml_hosts",
        "gather_facts": True,
        "become": True,
        "roles": [{"role": PEER}],
    }
]
# The packages that the site has installed. Extra variables, for the role has variables that are stronger than a play's.
PEER_VARS = {
    "docker_packages": ["docker.io", "docker-cli"],
    "docker_obsolete_packages": [],
    "docker_install_compose_plugin": False,
    "docker_add_repo": False,
}


@dataclasses.dataclass(frozen=True)
class Fleet:
    """What was measured, by names of plays.

    ``by_size``: number of hosts → empty, site; ``most``: also audit, on most hosts; ``one``: empty, facts, site and,
    where its role is at hand, peer, on one host. ``differ``: role → site, role. ``first``: now and, where the commit is
    there, base. ``counted``: facts, site, peer, of one host; ``counted_most``: site and audit, of most hosts.
    """

    by_size: Mapping[int, Mapping[str, Cost]]
    most: Mapping[str, Cost]
    one: Mapping[str, Cost]
    differ: Mapping[str, Mapping[str, Cost]]
    first: Mapping[str, Cost]
    counted: Mapping[str, Counted]
    counted_most: Mapping[str, Counted]
    profiled: Mapping[str, list[Row]]
    rounds: Mapping[str, int]
    minutes_first: float

    def per_host(self, size: int) -> Cost:
        """What the stack costs for each of so many hosts, beyond the empty play."""
        return self._per_host(self.by_size[size], "site", size)

    @property
    def audit_per_host(self) -> Cost:
        return self._per_host(self.most, "audit", self.largest)

    @staticmethod
    def _per_host(costs: Mapping[str, Cost], name: str, size: int) -> Cost:
        cost = costs[name].beyond(costs["empty"])
        return Cost(cost.wall / size, cost.cpu / size)

    @property
    def largest(self) -> int:
        return max(self.by_size)

    def ratio(self, name: str, other: str) -> float:
        """Wall on one host, both beyond the empty play."""
        empty = self.one["empty"]
        return self.one[name].beyond(empty).wall / self.one[other].beyond(empty).wall

    @property
    def cpu_growth(self) -> float:
        """Controller CPU per host on more hosts by that on fewer, the most of it, from 5 hosts on; 1 without two such
        sizes. That many hosts share what is loaded once a run is no growth."""
        taken = [self.per_host(size).cpu for size in sorted(self.by_size) if size >= 5]
        return max((more / fewer for place, fewer in enumerate(taken) for more in taken[place + 1 :]), default=1.0)

    def differs_ratio(self, role: str) -> Cost:
        """The site where this role differs, by the role alone and the site where nothing does, beyond empty plays."""
        empty, costs = self.one["empty"], self.differ[role]
        site = costs["site"].beyond(empty)
        alone, question = costs["role"].beyond(empty), self.one["site"].beyond(empty)
        return Cost(site.wall / (alone.wall + question.wall), site.cpu / (alone.cpu + question.cpu))


def measure(sizes: tuple[int, ...], most_rounds: int, peers: Path | None, rounds_first: int) -> Fleet:
    names = [f"host{number:02}" for number in range(1, max(sizes) + 1)]
    with stack.prepared(names):
        begun = time.monotonic()
        first = _first(rounds_first)
        minutes_first = (time.monotonic() - begun) / 60
        stack.converge(names)
        return _measure(names, sizes, most_rounds, peers, first, minutes_first, rounds_first)


def first_changes(rounds: int) -> dict[str, Cost]:
    """First changes alone, so many of each."""
    with stack.prepared(["host01"]):
        return _first(rounds)


def profile(most: int) -> dict[str, list[Row]]:
    """Where the controller's time goes, without a measurement."""
    names = [f"host{number:02}" for number in range(1, most + 1)]
    with stack.prepared(names):
        stack.converge(names)
        return _profile(_site(names))


def _first(rounds: int) -> dict[str, Cost]:
    """A first change of one host, today's and that of the commit BASE, each on a host of its own."""
    found: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        ways = {"now": Play("first", stack.SITE, must_change=True)}
        if _check_out(BASE, Path(folder)):
            site = Path(folder) / "ansible_collections" / "mlops" / "hosts" / "playbooks" / "site.yml"
            given = f"--extra-vars={json.dumps(BASE_VARS)}"
            ways["base"] = Play("first of before", site, (given,), must_change=True, collections=Path(folder))
        names = iter(stack.FRESH)
        for number in range(rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                name = next(names)
                stack.fresh(name)
                cost = dataclasses.replace(ways[way], options=(*stack.limit(name), *ways[way].options)).cost()
                found.setdefault(way, []).append(cost)
                say(f"first change, {way}, round {number + 1} of {rounds}: {cost.wall:.1f} s")
    return {way: median(costs) for way, costs in found.items()}


def _check_out(commit: str, folder: Path) -> bool:
    """The collection as it was, in a path of collections; False where the commit is not there: in a shallow clone."""
    target = folder / "ansible_collections" / "mlops" / "hosts"
    target.mkdir(parents=True)
    packed = folder / "commit.tar"
    with open(packed, "wb") as out:
        done = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL, check=False)
    if done.returncode:
        return False
    with tarfile.open(packed) as tar:
        tar.extractall(target, filter="data")
    return True


def _measure(
    names: list[str],
    sizes: tuple[int, ...],
    most_rounds: int,
    peers: Path | None,
    first: dict[str, Cost],
    minutes_first: float,
    rounds_first: int,
) -> Fleet:
    rounds = {
        name: min(number, most_rounds)
        for name, number in {
            **{str(size): ROUNDS.get(size, ROUNDS_ONE) for size in sizes},
            "audit": ROUNDS_AUDIT,
            "one": ROUNDS_ONE,
            "differ": ROUNDS_DIFFER,
        }.items()
    }
    # The many first: their connections are open still.
    by_size = {
        size: in_turn([_empty(names[:size]), _site(names[:size])], rounds[str(size)], _hosts(size))
        for size in sorted(sizes, reverse=True)
        if size > 1
    }
    audit = in_turn([_audit(names)], rounds["audit"], f"audit, {_hosts(len(names))}")
    counted_most = {play.name: play.counted() for play in (_site(names), _audit(names))}
    profiled = _profile(_site(names))
    one = names[:1]
    with tempfile.TemporaryDirectory() as folder:
        plays = [_empty(one), Play("facts", HERE / "facts.yml", stack.limit(*one)), _site(one)]
        peer = _peer(one, peers, Path(folder))
        if peer:
            dataclasses.replace(peer, must_change=None).run()
            plays.append(peer)
        alone = in_turn(plays, rounds["one"], _hosts(1))
        counted = {play.name: play.counted() for play in plays[1:]}
    # What the other role did is not for ours to put right.
    _site(one).run()
    by_size[1] = alone
    return Fleet(
        by_size={size: by_size[size] for size in sizes},
        most={**by_size[len(names)], **audit},
        one=alone,
        differ={role: _differ(role, one, rounds["differ"]) for role in DIFFER},
        first=first,
        counted=counted,
        counted_most=counted_most,
        profiled=profiled,
        rounds={**rounds, "first": rounds_first},
        minutes_first=minutes_first,
    )


def _differ(role: str, names: list[str], rounds: int) -> dict[str, Cost]:
    chosen = (*stack.limit(*names), f"--extra-vars=bench_role={role}")
    differ = Play("differ", HERE / "differ.yml", chosen, must_change=True)
    plays = [
        Play("site", stack.SITE, stack.limit(*names), must_change=True),
        Play("role", HERE / "role.yml", chosen, must_change=True),
    ]
    found = in_turn(plays, rounds, f"{role} differs", before_each=lambda _play: differ.run())
    _site(names).run()
    return found


def _peer(names: list[str], peers: Path | None, folder: Path) -> Play | None:
    """A role of others that does what one of ours does, where it is at hand. It never comes into the repository."""
    if peers is None:
        program = [str(PYTHON.parent / "ansible-galaxy"), "role", "install"]
        argv = [*program, f"--roles-path={folder}", PEER]
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
        except subprocess.SubprocessError:
            say(f"{PEER} is not at hand on this machine: no row of it")
            return None
        peers = folder
    if not (peers / PEER).is_dir():
        raise SystemExit(f"bench: {peers} has no role {PEER}")
    playbook = FOLDER / "peer.yml"
    playbook.write_text(yaml.safe_dump(PEER_PLAY, sort_keys=False))
    options = (*stack.limit(*names), f"--extra-vars={json.dumps(PEER_VARS)}")
    return Play("peer", playbook, options, environment={"ANSIBLE_ROLES_PATH": str(peers)})


def _profile(play: Play) -> dict[str, list[Row]]:
    folder = FOLDER / "profile"
    play.profile(folder)
    return {part: costliest(folder, part) for part in ("main", "worker")}


def _empty(names: list[str]) -> Play:
    return Play("empty", HERE / "empty.yml", stack.limit(*names))


def _site(names: list[str]) -> Play:
    return Play("site", stack.SITE, stack.limit(*names))


def _audit(names: list[str]) -> Play:
    return Play(
        "audit",
        ROOT / "playbooks" / "audit.yml",
        (*stack.limit(*names), f"--extra-vars=audit_dir={FOLDER / 'audit'}"),
        environment={"ANSIBLE_CALLBACKS_ENABLED": "mlops.hosts.audit"},
    )


def _hosts(size: int) -> str:
    return "1 host" if size == 1 else f"{size} hosts"
