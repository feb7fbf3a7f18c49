# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the boot unit runs, without Ansible: the same code as the modules, on the wish file that the role has left.

mlops-gpu-settings            bring the GPUs to what is wished
mlops-gpu-settings --check    compare only; 1 when something differs
"""

from __future__ import annotations

import argparse
import json
import sys
import typing as t

from .._errors import HostError
from .._runner import PlainRunner, Runner
from . import mig_apply, settings_apply
from .outcome import Options, Outcome, in_the_way
from .request import VERSION, WISH, split
from .smi import Smi


def main(argv: t.Sequence[str] | None = None, *, run: Runner | None = None, root: str = "/") -> int:
    """0: all is as wished. 1: something differs, or one GPU could not be set. 2: nothing could be read."""
    parser = argparse.ArgumentParser(description="Bring GPUs to the settings and the MIG geometry that are wished.")
    parser.add_argument("--check", action="store_true", help="compare only, and say what differs")
    parser.add_argument("--wish", default=WISH, help="the wish file (default: %(default)s)")
    asked = parser.parse_args(argv)
    try:
        wish = _read(asked.wish)
        request = split(wish["devices"])
    except HostError as exc:
        _complain(exc)
        return 2
    options = Options(root=root)

    def smi() -> Smi:
        return Smi(run or PlainRunner(), timeout_s=wish["timeout_s"], root=root)

    # Geometry first: to switch MIG mode can reset a GPU, which loses settings.
    parts: tuple[t.Callable[[], Outcome], ...] = (
        lambda: mig_apply.converge(smi(), request.mig, options, dry_run=asked.check, strict=False),
        lambda: settings_apply.converge(smi(), request.settings, options, dry_run=asked.check, strict=False),
    )
    return max(_tell(part, check=asked.check) for part in parts)


def _tell(part: t.Callable[[], Outcome], *, check: bool) -> int:
    try:
        outcome = part()
    except HostError as exc:
        _complain(exc)
        return 2
    for problem in outcome.problems:
        _complain(problem)
    for argv in () if check else outcome.commands:
        _say(" ".join(argv))
    for one in outcome.drift if check else ():
        _say(one.sentence)
    for waits in outcome.pending:
        busy = in_the_way([one for one in outcome.blockers if one.gpu == waits.gpu])
        _say(
            f"{waits.gpu}: {waits.setting} is {waits.current}; {waits.pending} waits for a {waits.ends_with}"
            + (f", and the GPU is in use by {busy}." if busy else ".")
        )
    return 1 if outcome.problems or (check and outcome.drift) else 0


def _read(path: str) -> dict[str, t.Any]:
    try:
        with open(path, encoding="utf-8") as file:
            wish = json.load(file)
        if wish["version"] != VERSION:
            raise HostError(
                f"{path} is of version {wish['version']}, and this program knows {VERSION}: run the role again"
            )
        return {"devices": list(wish["devices"]), "timeout_s": float(wish["timeout_s"])}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise HostError(f"{path} is not the wish that the role wrote: {exc!r}; run the role again") from exc


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(about: object) -> None:
    sys.stderr.write(f"{about}\n")
