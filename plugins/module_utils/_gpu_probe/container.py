# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether containers get the GPUs, by one that lists them."""

from __future__ import annotations

import dataclasses
import re

from .._gpu.tool import not_installed
from .._runner import Runner

_ENGINES = {"docker": (), "podman": ("--security-opt=label=disable",)}
_CONFINED = ("--pull=never", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
_GPU = re.compile(r"^GPU \d+: ", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Seen:
    """How many GPUs a container of ``engine`` lists; ``problem`` is what the engine says where it lists none."""

    engine: str
    gpus: int | None
    problem: str | None = None


def look(run: Runner, image: str, *, timeout_s: float) -> tuple[Seen, ...]:
    """By each engine that is there. The image has to be on the host: nothing is fetched."""
    found = []
    for engine, more in _ENGINES.items():
        argv = [engine, "run", "--rm", *_CONFINED, *more, "--device", "nvidia.com/gpu=all", image, "nvidia-smi", "-L"]
        done = run(*argv, timeout_s=timeout_s)
        if not_installed(done):
            continue
        if done.timed_out:
            found.append(Seen(engine, None, f"no answer within {timeout_s:.0f} s"))
        elif done.rc:
            found.append(Seen(engine, None, done.reason))
        else:
            found.append(Seen(engine, len(_GPU.findall(done.stdout))))
    return tuple(found)
