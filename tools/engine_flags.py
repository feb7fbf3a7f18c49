# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the flags that a server program documents, of the version that its engine is made for.

    vllm serve --help=all | python -m tools.engine_flags vllm "vllm 0.32.0+cpu, vllm serve --help=all"
    vllm serve --help=all | python -m tools.engine_flags --check vllm    say what differs, status 1 when something does

They go to plugins/plugin_utils/_roles/model_server/flags/ENGINE.txt, with what they are of in the first line.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FLAGS = Path(__file__).parents[1] / "plugins/plugin_utils/_roles/model_server/flags"
# Two blanks before what a flag begins with, or six where a program leaves room for a short name; examples have others.
_DEFINITION = re.compile(r"(?: {2}| {6})?-")
# What follows two blanks is the description; blanks after a comma are between two names of the flag.
_DESCRIPTION = re.compile(r"(?<![, ]) {2,}")
_FLAG = re.compile(r"(?:^|,\s*)(--?[A-Za-z][\w-]*)")
_VARIABLE = re.compile(r"[(\[]env: (\w+)=?[)\]]")


def flags(text: str) -> list[str]:
    """Names of flags, and of the variables that can be set in their place."""
    found = set(_VARIABLE.findall(text))
    for line in text.splitlines():
        if _DEFINITION.match(line):
            found.update(_FLAG.findall(_DESCRIPTION.split(line.strip())[0]))
    return sorted(found)


def main(engine: str, source: str) -> None:
    found = flags(sys.stdin.read())
    if not found:
        raise SystemExit("engine_flags: no flag is in this text")
    (FLAGS / f"{engine}.txt").write_text("".join(f"{line}\n" for line in (f"# {source}", *found)))


def check(engine: str) -> None:
    """Flags alone: not every program names its variables in its help."""
    found = {name for name in flags(sys.stdin.read()) if name.startswith("-")}
    noted = {name for name in (FLAGS / f"{engine}.txt").read_text().splitlines() if name.startswith("-")}
    differences = [f"{name} is new" for name in sorted(found - noted)] + [
        f"{name} is gone" for name in sorted(noted - found)
    ]
    if differences:
        raise SystemExit(f"engine_flags: {', '.join(differences)}")
    print(f"{len(found)} flags, as noted")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    if sys.argv[1] == "--check":
        check(sys.argv[2])
    else:
        main(*sys.argv[1:])
