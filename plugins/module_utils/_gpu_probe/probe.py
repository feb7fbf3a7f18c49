# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Runs the tests that are asked for, in order, and tells what they found, as the module ``gpu_probe`` returns it."""

from __future__ import annotations

import dataclasses
import shutil
import time
import typing as t

from .._errors import HostError
from .._gpu.info import collect
from .._gpu.report import Report
from .._runner import Runner
from . import bandwidth, container, dcgm
from .load import Load

_CONTAINER_S = 120
# It copies for seconds; minutes are for a driver in trouble.
_BANDWIDTH_S = 600


@dataclasses.dataclass(frozen=True)
class Request:
    """``tests``: of container, bandwidth, dcgm. ``load``: never, when_idle or when_needed. ``dcgm_for_s``: how long
    the diagnostics are repeated; ``timeout_s`` bounds them."""

    tests: t.Sequence[str]
    load: str
    dcgm_level: int
    dcgm_for_s: float
    timeout_s: float
    container_image: str | None
    nvbandwidth: str

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise HostError(f"timeout_s must be more than 0, and is {self.timeout_s}", timeout_s=self.timeout_s)


def probe(
    request: Request,
    run: Runner,
    *,
    load: Load | None = None,
    read: t.Callable[[Runner], Report] = collect,
    which: t.Callable[[str], str | None] = shutil.which,
    clock: t.Callable[[], float] = time.monotonic,
) -> dict[str, t.Any]:
    """Raises HostError when the GPUs cannot be read."""
    load = load or Load(run, read=read)
    report = read(run)
    heavy = [name for name in request.tests if name != "container"]
    in_use = _in_use(report) if heavy else []
    found: dict[str, t.Any] = {"in_use": in_use, "container": None, "bandwidth": None, "dcgm": None}
    for name in ("container", "bandwidth", "dcgm"):
        if name not in request.tests:
            continue
        began = clock()
        reason = _why_not(name, request, report, in_use, which)
        if reason:
            told: dict[str, t.Any] = {"skipped": reason}
        else:
            told = {"skipped": None, **_TESTS[name](request, run, load)}
        found[name] = {**told, "seconds": round(clock() - began, 1)}
    links = [{"pci_address": address, "generation": seen} for address, seen in sorted(load.generations.items())]
    return {**found, "links": {"readings": load.readings, "gpus": links}}


def _in_use(report: Report) -> list[dict[str, t.Any]]:
    return [
        {"pid": process.pid, "name": process.name, "pci_address": gpu.pci_address}
        for gpu in report.gpus
        for process in gpu.processes
    ]


def _why_not(
    name: str,
    request: Request,
    report: Report,
    in_use: t.Sequence[t.Mapping[str, t.Any]],
    which: t.Callable[[str], str | None],
) -> str | None:
    """Why this host cannot have the test, as a sentence; None where it can."""
    answering = [gpu for gpu in report.gpus if gpu.vendor == "nvidia" and gpu.uuid]
    if not answering:
        return "No NVIDIA GPU answers."
    if name == "container":
        return None if request.container_image else "No image is named."
    if request.load == "never":
        return "Work on the GPUs is not allowed."
    if request.load == "when_idle" and in_use:
        return "The GPUs are in use."
    if name == "bandwidth" and any(gpu.mig_mode == "enabled" for gpu in answering):
        return "GPUs are partitioned, and nvbandwidth measures whole ones."
    program = request.nvbandwidth if name == "bandwidth" else "dcgmi"
    return None if which(program) else f"{program} is not installed."


def _container(request: Request, run: Runner, _load: Load) -> dict[str, t.Any]:
    seen = container.look(run, str(request.container_image), timeout_s=_CONTAINER_S)
    if not seen:
        return {"skipped": "Neither Docker nor Podman is installed."}
    return {"engines": [dataclasses.asdict(one) for one in seen]}


def _bandwidth(request: Request, _run: Runner, load: Load) -> dict[str, t.Any]:
    found = bandwidth.measure(load, request.nvbandwidth, timeout_s=min(_BANDWIDTH_S, request.timeout_s))
    return {**dataclasses.asdict(found), "to_gpu": list(found.to_gpu), "from_gpu": list(found.from_gpu)}


def _dcgm(request: Request, _run: Runner, load: Load) -> dict[str, t.Any]:
    found = dcgm.repeat(
        load, request.dcgm_level, for_s=request.dcgm_for_s, timeout_s=request.timeout_s, clock=load.clock
    )
    if found.no_engine:
        return {"skipped": "dcgmi does not reach its daemon, nvidia-dcgm.service."}
    tests = [{**dataclasses.asdict(test), "messages": list(test.messages)} for test in found.tests]
    return {"level": request.dcgm_level, "rounds": found.rounds, "problem": found.problem, "tests": tests}


_TESTS: dict[str, t.Callable[[Request, Runner, Load], dict[str, t.Any]]] = {
    "container": _container,
    "bandwidth": _bandwidth,
    "dcgm": _dcgm,
}
