# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""How an audit ends: the exit code, and the lines that close its output."""

from __future__ import annotations

import dataclasses
import typing as t

from . import text
from .document import STATES, Document, gpu_name, gpu_problem

# Ansible itself ends with 1, 2, 4, 8, 99 and 250; 2 means the same there and here.
OK = 0
REFUSED = 1
UNKNOWN = 2
FOUND = 16

Tone = t.Literal["plain", "ok", "change", "error", "unreachable"]
_TONES: dict[str, Tone] = {"failed": "error", "unreachable": "unreachable", "drift": "change", "ok": "ok"}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The exit code, and what it means."""

    code: int
    meaning: str


def diagnose(document: Document, *, matched: bool, expression: str) -> Verdict:
    """What the audit has come to. ``matched`` is whether the gate's ``expression`` found something."""
    summary = document["summary"]
    failed, unreachable = summary["failed"], summary["unreachable"]
    if failed:
        return Verdict(UNKNOWN, f"{text.count(failed, 'host')} could not be audited in full")
    if summary["hosts"] == unreachable:
        return Verdict(UNKNOWN, "no host was audited")
    if matched:
        return Verdict(FOUND, f"audit_fail_on has found something: {expression}")
    missed = f", but {text.count(unreachable, 'host')} could not be asked" if unreachable else ""
    return Verdict(OK, f"audit_fail_on has found nothing{missed}")


def closing(document: Document) -> t.Iterator[tuple[str, Tone]]:
    """A line for each host that is not ok, the worst first, and one with the sums."""
    for state in STATES:
        if state == "ok":
            break
        for host in document["hosts"]:
            if host["state"] == state:
                yield f"{state:<11}  {host['name']}: {_said(host)}", _TONES[state]
    for host in document["hosts"]:
        if problems := _gpus(host):
            yield f"{'gpu':<11}  {host['name']}: {' '.join(problems)}", "error"
    summary = document["summary"]
    sums = [f"{summary[state]} {state}" for state in reversed(STATES) if summary[state] or state == "ok"]
    differences = text.count(summary["drift_items"], "difference")
    yield f"{text.count(summary['hosts'], 'host')}: {', '.join(sums)}; {differences}", "plain"
    if document["not_in_run"]:
        yield f"not in this run: {text.some(document['not_in_run'])}", "change"


def _said(host: t.Mapping[str, t.Any]) -> str:
    if host["reason"]:
        more = f" (and {text.count(len(host['drift']), 'difference')})" if host["drift"] else ""
        return " | ".join(line.strip() for line in host["reason"].splitlines()) + more
    parts: dict[str, int] = {one["name"]: 0 for one in host["components"] if one["state"] == "drift"}
    for row in host["drift"]:
        parts[row["component"]] = parts.get(row["component"], 0) + 1
    each = ", ".join(f"{name} {number}" for name, number in parts.items())
    return f"{text.count(len(host['drift']), 'difference')} ({each})"


def _gpus(host: t.Mapping[str, t.Any]) -> list[str]:
    found = [
        f"GPU {gpu_name(gpu)} is {gpu.get('health')}: {' '.join(gpu.get('health_reasons') or ())}"
        for gpu in host["gpus"]
        if gpu.get("health") != "ok"
    ]
    return found + [problem] if (problem := gpu_problem(host)) else found
