#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes into docs/reliability.md what clients saw of each phase: standard input is what load.py has found.

Exits with status 1 and says what it was when an answer was not whole, or a phase had none.
"""

from __future__ import annotations

import collections
import json
import pathlib
import re
import sys
import typing as t

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs/reliability.md"
BEGIN, END = "<!-- clients: written by the scenario model_rollout -->", "<!-- end of clients -->"
# What verify.yml does, by the name that it tells the clients.
PHASES = {
    "new model": "a new model, three hosts one after the other",
    "silent canary": "a model that loads and cannot answer: the canary is undone",
    "undo of all": "one that cannot answer on the third host: all are taken back",
    "host killed": "a host killed while it is changed: the rollout stops",
    "resumed": "the host is there again: the rollout goes on",
    "controller killed": "the way back, its controller killed while a host is drained",
    "way back": "the way back goes on, without the models' source",
}
HEAD = """## Clients during a change of model

Written by the scenario `model_rollout`: three hosts with a real `llama-server` each, a real HAProxy with TLS and keys,
eight clients that stream and eight that ask for little. Answers are counted by their content: a stream is whole when it
has all of its tokens, says why it ended, and ends. *Failed* is any other answer, *cut* a stream that began and did not
end so.

| meanwhile | short requests | streams | failed | cut |
| --- | --- | --- | --- | --- |
"""


def block(found: t.Mapping[str, t.Mapping[str, int]]) -> str:
    rows = []
    for phase, title in PHASES.items():
        count: collections.Counter[str] = collections.Counter()
        for what, times in found.get(phase, {}).items():
            kind, became = what.split(" ", 1)
            count[kind] += times
            if became != "whole":
                count["cut" if kind == "stream" and became.startswith(("cut", "short", "broken")) else "failed"] += (
                    times
                )
        rows.append(f"| {title} | {count['short']} | {count['stream']} | {count['failed']} | {count['cut']} |\n")
    return f"{BEGIN}\n{HEAD}{''.join(rows)}{END}\n"


def of_page(text: str) -> str:
    """The block as it is there, empty without one."""
    found = re.search(f"{BEGIN}\n.*?{END}\n", text, re.DOTALL)
    return found[0] if found else ""


def written(text: str, new: str) -> str:
    """The page with this block, which stays where it was, or comes last."""
    old = of_page(text)
    return text.replace(old, new) if old else f"{text}\n{new}"


def main() -> int:
    found = json.load(sys.stdin)
    wrong = [
        f"{phase}: {what}: {times}"
        for phase, one in found.items()
        for what, times in one.items()
        if not what.endswith(" whole")
    ]
    wrong += [f"{phase}: nobody asked" for phase in PHASES if not found.get(phase)]
    print("\n".join(wrong) or json.dumps(found))
    if not wrong:
        PAGE.write_text(written(PAGE.read_text(), block(found)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
