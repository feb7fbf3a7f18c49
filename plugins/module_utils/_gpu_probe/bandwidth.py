# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Measures by nvbandwidth how fast the GPUs copy, and reads what it prints."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._runner import Completed

TO_GPU, FROM_GPU, PEER = "host_to_device_memcpy_ce", "device_to_host_memcpy_ce", "device_to_device_memcpy_read_ce"
# Of version 0.8, and of later ones.
_JSON = (("--json",), ("--format", "json"))


@dataclasses.dataclass(frozen=True)
class Bandwidth:
    """GB/s. ``to_gpu`` and ``from_gpu`` are those of each GPU in the order of the PCI bus, ``peer`` the lowest of a GPU
    that reads from another; None where the test does not apply, such as between GPUs without a connection.

    ``problem`` is a clause that says why there are no numbers.
    """

    to_gpu: tuple[float, ...] = ()
    from_gpu: tuple[float, ...] = ()
    peer: float | None = None
    problem: str | None = None


def measure(load: t.Callable[..., Completed], program: str, *, timeout_s: float) -> Bandwidth:
    found = Bandwidth(problem=f"{program} did not run")
    for option in _JSON:
        # CUDA itself counts the fastest GPU first.
        argv = ("env", "CUDA_DEVICE_ORDER=PCI_BUS_ID", program, "--testcase", TO_GPU, FROM_GPU, PEER, *option)
        done = load(*argv, timeout_s=timeout_s)
        if done.timed_out:
            return Bandwidth(problem=f"{program} did not end within {timeout_s:.0f} s")
        if "{" in done.stdout:
            return parse(done.stdout)
        found = Bandwidth(problem=f"{program} exited with status {done.rc}: {done.last_words}")
    return found


def parse(text: str) -> Bandwidth:
    try:
        told = json.JSONDecoder().raw_decode(text, text.index("{"))[0]["nvbandwidth"]
        cases = {case["name"]: case for case in told.get("testcases") or ()}
        statuses = {name: case["status"] for name, case in cases.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return Bandwidth(problem="what nvbandwidth printed is not its JSON")
    bad = [f"{name}: {status}" for name, status in statuses.items() if status not in ("Passed", "Waived")]
    if bad or told.get("error"):
        return Bandwidth(problem=f"nvbandwidth says {'; '.join(bad) or str(told['error']).strip()}")
    peers = _numbers(cases.get(PEER))
    found = Bandwidth(_numbers(cases.get(TO_GPU)), _numbers(cases.get(FROM_GPU)), min(peers, default=None))
    if not found.to_gpu or not found.from_gpu:
        return Bandwidth(problem="nvbandwidth measured no copy between the host and a GPU")
    return found


def _numbers(case: t.Mapping[str, t.Any] | None) -> tuple[float, ...]:
    """All cells that were measured: a GPU has none with itself."""
    cells = [cell for row in (case or {}).get("bandwidth_matrix") or () for cell in row]
    return tuple(float(cell) for cell in cells if cell != "N/A" and float(cell) > 0)
