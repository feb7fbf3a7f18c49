# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the boot unit runs, without Ansible: the code of the modules, on the file that the role has written.

mlops-gpu-settings            bring the GPUs to what is desired
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
from .desired import DESIRED, VERSION, split
from .result import Options, Result, in_the_way
from .smi import Smi


def main(argv: t.Sequence[str] | None = None, *, run: Runner | None = None, root: str = "/") -> int:
    """0: all is as desired. 1: something differs, or one GPU could not be set. 2: nothing could be read."""
    parser = argparse.ArgumentParser(description="Bring GPUs to the settings and the MIG geometry that are desired.")
    parser.add_argument("--check", action="store_true", help="compare only, and say what differs")
    parser.add_argument("--desired", default=DESIRED, help="The file of desired settings (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        desired = _read(arguments.desired)
        entries = split(desired["devices"])
    except HostError as exc:
        _complain(exc)
        return 2
    options = Options(root=root)

    def smi() -> Smi:
        return Smi(run or PlainRunner(), timeout_s=desired["timeout_s"], root=root)

    # Geometry first: to switch MIG mode can reset a GPU, which loses settings.
    parts: tuple[t.Callable[[], Result], ...] = (
        lambda: mig_apply.converge(smi(), entries.mig, options, dry_run=arguments.check, strict=False),
        lambda: settings_apply.converge(smi(), entries.settings, options, dry_run=arguments.check, strict=False),
    )
    return max(_tell(part, check=arguments.check) for part in parts)


def _tell(part: t.Callable[[], Result], *, check: bool) -> int:
    try:
        result = part()
    except HostError as exc:
        _complain(exc)
        return 2
    for problem in result.problems:
        _complain(problem)
    for argv in () if check else result.commands:
        _say(" ".join(argv))
    for one in result.drift if check else ():
        _say(one.sentence)
    for waits in result.pending:
        busy = in_the_way([one for one in result.blockers if one.gpu == waits.gpu])
        _say(
            f"{waits.gpu}: {waits.setting} is {waits.current}; {waits.pending} waits for a {waits.ends_with}"
            + (f", and the GPU is in use by {busy}." if busy else ".")
        )
    return 1 if result.problems or (check and result.drift) else 0


def _read(path: str) -> dict[str, t.Any]:
    try:
        with open(path, encoding="utf-8") as file:
            desired = json.load(file)
        if desired["version"] != VERSION:
            raise HostError(
                f"{path} is of version {desired['version']}, and this program knows {VERSION}: run the role again"
            )
        return {"devices": list(desired["devices"]), "timeout_s": float(desired["timeout_s"])}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise HostError(f"{path} is not the file that the role wrote: {exc!r}; run the role again") from exc


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(about: object) -> None:
    sys.stderr.write(f"{about}\n")
