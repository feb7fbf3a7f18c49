# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The document of an audit, ``drift.json``. Its keys are a public contract; docs/audit.md describes them."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import typing as t

from .collect import Component, Host

VERSION = 1
STATES = ("failed", "unreachable", "drift", "ok")
Document = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Run:
    """When and where the audit ran. Times are UTC."""

    started: datetime.datetime
    ended: datetime.datetime
    controller: str
    playbook: str


def build(hosts: t.Iterable[Host], run: Run, targets: t.Iterable[str] = ()) -> Document:
    """The document: hosts by name, plain data all the way down.

    ``targets`` are all hosts of the inventory that the plays are for, those that a limit left out among them.
    """
    rows = [_host(host) for host in sorted(hosts, key=lambda host: natural(host.name))]
    not_in_run = sorted(set(targets) - {row["name"] for row in rows}, key=natural)
    gpus = [gpu for row in rows for gpu in row["gpus"]]
    document = {
        "version": VERSION,
        "started": _time(run.started),
        "ended": _time(run.ended),
        "controller": run.controller,
        "playbook": run.playbook,
        "summary": {
            "hosts": len(rows),
            **{state: sum(row["state"] == state for row in rows) for state in ("ok", "drift", "failed", "unreachable")},
            "drift_items": sum(len(row["drift"]) for row in rows),
            "gpus": len(gpus),
            "gpus_not_ok": sum(gpu.get("health") != "ok" for gpu in gpus),
            "not_in_run": len(not_in_run),
        },
        "not_in_run": not_in_run,
        "hosts": rows,
    }
    # Whatever type a result holds, a reader gets JSON.
    return t.cast(Document, json.loads(json.dumps(document, default=str)))


def natural(name: str) -> list[tuple[int, int, str]]:
    """As people count: gpu2 before gpu10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", name) if part]


def gpu_name(gpu: t.Mapping[str, t.Any]) -> str:
    """Its number. One that is lost has none, and is named by its place on the bus."""
    return str(gpu.get("pci_address") if gpu.get("index") is None else gpu["index"])


def gpu_problem(host: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the GPUs of a host as a whole, besides the health of each."""
    count, expected = host["gpu_count"], host["gpu_expected"]
    if count is None or expected is None or count == expected:
        return None
    return f"{count} GPUs are listed and {expected} are on the PCI bus"


def _host(host: Host) -> dict[str, t.Any]:
    components = [_component(component) for component in host.components.values()]
    drift = [
        {"component": component.name, **row}
        for component in host.components.values()
        for rows in component.drift.values()
        for row in rows
    ]
    failures = [f"{one['name']}: {one['reason']}" for one in components if one["state"] == "failed"]
    if host.failure:
        failures.insert(0, host.failure)
    if host.unreachable:
        state, reason = "unreachable", host.unreachable
    elif failures:
        state, reason = "failed", "\n".join(failures)
    else:
        state, reason = "drift" if any(one["state"] == "drift" for one in components) else "ok", None
    facts = host.gpu_facts or {}
    return {
        "name": host.name,
        "state": state,
        "reason": reason,
        "components": components,
        "drift": drift,
        "gpus": facts.get("gpus") or [],
        "gpu_count": facts.get("count"),
        "gpu_expected": facts.get("expected_from_pci"),
        "gpu_events": (host.gpu_events or {}).get("events") or [],
        "driver": facts.get("driver") or {"version": None, "cuda_version": None},
    }


def _component(component: Component) -> dict[str, t.Any]:
    reason = component.failure
    if component.failure:
        state = "failed"
    elif any(component.drift.values()) or any(component.changed.values()):
        state = "drift"
    else:
        state = "absent" if component.is_desired_absent else "ok"
    if reason is None and component.cut_off:
        reason = "an earlier run was cut off; the next run ends or undoes it first"
    return {
        "name": component.name,
        "role": component.role,
        "state": state,
        "reason": reason,
        "reboot_required": component.reboot_required,
    }


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(document: Document) -> str:
    """As it lies in the file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
