# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Runs the diagnostics of NVIDIA's DCGM, and reads what they print, of DCGM 3 and of 4."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._runner import Completed

Status = t.Literal["passed", "failed", "skipped"]
_STATUSES: dict[str, Status] = {"pass": "passed", "fail": "failed", "warn": "failed"}
_NO_ENGINE = "unable to establish a connection to the specified host"


@dataclasses.dataclass(frozen=True)
class Test:
    """One test of the diagnostics on all GPUs. ``messages`` are what it said about GPUs that failed."""

    name: str
    status: Status
    messages: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """``problem`` is a clause that says why they are not whole; ``no_engine``: the daemon does not run."""

    tests: tuple[Test, ...] = ()
    problem: str | None = None
    no_engine: bool = False
    rounds: int = 1

    @property
    def has_failed(self) -> bool:
        return self.problem is not None or any(test.status == "failed" for test in self.tests)


def diagnose(load: t.Callable[..., Completed], level: int, *, timeout_s: float) -> Diagnostics:
    # The first level puts nothing on the links.
    done = load("dcgmi", "diag", "-r", str(level), "-j", timeout_s=timeout_s, is_load=level > 1)
    if done.timed_out:
        return Diagnostics(problem=f"dcgmi did not end within {timeout_s:.0f} s")
    if _NO_ENGINE in done.stdout + done.stderr:
        return Diagnostics(problem="dcgmi does not reach its daemon", no_engine=True)
    if "{" not in done.stdout:
        return Diagnostics(problem=f"dcgmi exited with status {done.rc}: {done.last_words}")
    return parse(done.stdout)


def repeat(
    load: t.Callable[..., Completed],
    level: int,
    *,
    for_s: float,
    timeout_s: float,
    clock: t.Callable[[], float],
) -> Diagnostics:
    """Run after run until ``for_s`` are over, one at least, and none after one that has failed. No run begins that
    could not end by ``timeout_s``, which bounds all of them."""
    begin = clock()
    found, rounds, longest = Diagnostics(), 0, 0.0
    while rounds == 0 or (clock() - begin < for_s and clock() - begin + longest < timeout_s):
        before = clock()
        found = diagnose(load, level, timeout_s=max(1.0, timeout_s - (before - begin)))
        longest = max(longest, clock() - before)
        rounds += 1
        if found.has_failed:
            break
    return dataclasses.replace(found, rounds=rounds)


def parse(text: str) -> Diagnostics:
    try:
        told = json.JSONDecoder().raw_decode(text, text.index("{"))[0]
        root = told["DCGM Diagnostic"] if "DCGM Diagnostic" in told else told["DCGM GPU Diagnostic"]
        if root.get("runtime_error"):
            return Diagnostics(problem=f"dcgmi says {root['runtime_error']}")
        tests = tuple(
            _test(test) for category in root.get("test_categories") or () for test in category.get("tests") or ()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Diagnostics(problem="what dcgmi printed is not its JSON")
    return Diagnostics(tests, None if tests else "dcgmi ran no test")


def _test(test: t.Mapping[str, t.Any]) -> Test:
    """Its worst result: DCGM 3 has no summary."""
    results = [*(test.get("results") or ()), *filter(None, [test.get("test_summary")])]
    statuses = [_STATUSES.get(str(result.get("status")).lower(), "skipped") for result in results]
    status: Status = next((one for one in ("failed", "passed") if one in statuses), "skipped")
    messages = [message for result in results for message in _messages(result)]
    return Test(str(test["name"]), status, tuple(dict.fromkeys(messages)))


def _messages(result: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """A text in DCGM 3, a list of objects in DCGM 4."""
    told = result.get("warnings") or ()
    for one in [told] if isinstance(told, (str, dict)) else told:
        yield str(one.get("warning") if isinstance(one, dict) else one).strip()
