# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole default stack where nothing differs, on one host and on many, against fact gathering alone.

Of many hosts, one is converged, and the others start from an image of it. So all of them have the same identity
towards the log host, which takes in the logs of all of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import subprocess
import sys

import yaml
from measure import FOLDER, HERE, ROOT, Cost, Play, hosts, in_turn, say

sys.path.insert(0, str(ROOT))

from tools.demo.pki import make_pki

GROUP = "bench-fleet"
IMAGE = "mlops-hosts-bench"
SIZES = (1, 5, 10, 25, 50)
FORKS = 10
BOOTS = 5
# The fewer hosts, the more the noise, and the cheaper a round.
ROUNDS = {1: 5, 5: 5, 10: 5, 25: 3, 50: 3}
ROUNDS_ONE = 9
SITE = ROOT / "playbooks" / "site.yml"


@dataclasses.dataclass(frozen=True)
class Fleet:
    """``by_size``: number of hosts → costs of the empty play and of the stack; ``one``: also of facts, on one host."""

    by_size: dict[int, dict[str, Cost]]
    one: dict[str, Cost]
    round_trips: int
    round_trips_facts: int
    rounds_by_size: dict[int, int]
    rounds_one: int

    def per_host(self, size: int) -> Cost:
        """What the stack costs for each of so many hosts, beyond the empty play."""
        cost = self.by_size[size]["site"].beyond(self.by_size[size]["empty"])
        return Cost(cost.wall / size, cost.cpu / size)

    @property
    def times_facts(self) -> float:
        empty = self.one["empty"]
        return self.one["site"].beyond(empty).wall / self.one["facts"].beyond(empty).wall

    @property
    def cpu_growth(self) -> float:
        """Controller CPU per host, most over least, from 5 hosts on."""
        taken = [self.per_host(size).cpu for size in self.by_size if size >= 5]
        return max(taken) / min(taken)


def measure(sizes: tuple[int, ...], most_rounds: int) -> Fleet:
    names = [f"host{number:02}" for number in range(1, max(sizes) + 1)]
    try:
        say("the whole stack: a log host, and a host to be converged")
        _up({"loghost": {"suite": "trixie", "stock": True, "groups": ["log_hosts"]}, names[0]: _ml_host()})
        _make_models()
        _make_vars(names)
        Play("prepare", ROOT / "tools" / "demo" / "prepare.yml", must_change=True).run()
        Play("site", SITE, must_change=True).run()
        say(f"{len(names)} hosts like that one")
        hosts("snapshot", "--group", GROUP, names[0], IMAGE)
        _up({name: {**_ml_host(), "image": IMAGE} for name in names[1:]})
        # A copied file is another file: each model is hashed once more. After that, nothing may differ.
        Play("site", SITE, _limit(len(names)), must_change=None).run()
        Play("site", SITE, _limit(len(names))).run()
        return _measure(sizes, most_rounds)
    finally:
        hosts("down", "--group", GROUP)
        hosts("forget", IMAGE)


def _measure(sizes: tuple[int, ...], most_rounds: int) -> Fleet:
    # The many first: their connections are open still.
    rounds = {size: min(ROUNDS[size], most_rounds) for size in sorted(sizes, reverse=True)}
    by_size = {size: in_turn(_plays(size), number, _hosts(size)) for size, number in rounds.items()}
    facts = Play("facts", HERE / "facts.yml", _limit(1))
    rounds_one = min(ROUNDS_ONE, most_rounds)
    one = in_turn([*_plays(1), facts], rounds_one, _hosts(1))
    return Fleet(
        {size: by_size[size] for size in sizes},
        one,
        _plays(1)[1].round_trips(),
        facts.round_trips(),
        {size: rounds[size] for size in sizes},
        rounds_one,
    )


def _hosts(size: int) -> str:
    return "1 host" if size == 1 else f"{size} hosts"


def _plays(size: int) -> list[Play]:
    return [Play("empty", HERE / "empty.yml", _limit(size)), Play("site", SITE, _limit(size))]


def _limit(size: int) -> tuple[str, ...]:
    return (f"--limit=ml_hosts[0:{size - 1}]", f"--forks={FORKS}")


def _ml_host() -> dict[str, object]:
    # llama.cpp is packaged for forky only.
    return {"suite": "forky", "stock": True, "groups": ["ml_hosts"]}


def _up(desired: dict[str, dict[str, object]]) -> None:
    spec = [{"name": name, **options} for name, options in desired.items()]
    # A few at a time: fifty that boot side by side would take longer than a host may.
    for first in range(0, len(spec), BOOTS):
        hosts("up", "--group", GROUP, "--spec", "-", stdin=json.dumps(spec[first : first + BOOTS]))
    FOLDER.joinpath("hosts.yml").write_text(hosts("inventory", "--group", GROUP))


def _make_models() -> None:
    """The same as the demo's; broken.gguf is only published."""
    for name, options in {"good": ["--seed=1"], "broken": ["--broken=says-nothing"]}.items():
        program = [sys.executable, str(ROOT / "tools" / "fakes" / "tiny_model.py"), *options]
        subprocess.run([*program, str(FOLDER / f"{name}.gguf")], check=True, stdout=subprocess.DEVNULL)


def _make_vars(names: list[str]) -> None:
    """What the demo's inventory asks for."""
    pki = make_pki("loghost", names[:1])
    made = {
        "demo_api_key": secrets.token_urlsafe(24),
        "demo_folder": str(FOLDER),
        "demo_pki": {**pki, **dict.fromkeys(names, pki[names[0]])},
        "demo_sums": {
            name: hashlib.sha256((FOLDER / f"{name}.gguf").read_bytes()).hexdigest() for name in ("good", "broken")
        },
    }
    path = FOLDER / "vars.yml"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        yaml.safe_dump(made, out)
