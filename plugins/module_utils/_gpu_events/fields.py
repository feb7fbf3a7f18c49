# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The fields of an event in the journal, and its numbers for Prometheus: contracts of docs/gpu-faults.md. Pure."""

from __future__ import annotations

import typing as t

from .._exposition import Family, Page
from .fold import Counted

IDENTIFIER = "mlops-gpu-events"
PRIORITIES = {"info": 6, "warning": 4, "error": 3, "critical": 2}
# Each series costs memory of Prometheus: what is above is counted without labels.
MOST_SERIES = 1000
LABELS = ("source", "code", "mnemonic", "kind", "severity", "action", "pci_address", "gpu_uuid")
_EVENTS, _OTHERS = "mlops_gpu_events_total", "mlops_gpu_events_without_series_total"
_SKIPPED = "mlops_gpu_events_skipped_journal_entries_total"
_FAMILIES = {
    _EVENTS: Family("counter", "Lines of the kernel log that tell of GPUs, since the service first ran."),
    _OTHERS: Family("counter", f"The same, of lines that came after {MOST_SERIES} series."),
    _SKIPPED: Family("counter", "Entries of the journal, of all programs, that were gone before they were read."),
}
Counters = t.Mapping[tuple[str, ...], int]


def sentence(counted: Counted) -> str:
    """One line for people."""
    event = counted.event
    code = "" if event.code is None else f" {event.code}"
    source = {"xid": "Xid", "sxid": "SXid", "nvrm": "NVIDIA driver", "amdgpu": "amdgpu"}[event.source]
    where = event.gpu_uuid or event.pci_address or "an unknown device"
    times = "" if counted.count == 1 else f", {counted.count} times"
    return f"{source}{code} of {where}: {event.description} ({event.severity}, action: {event.action}{times})"


def fields(counted: Counted) -> dict[str, object]:
    """Values that are None are no fields."""
    event = counted.event
    return {
        "MESSAGE": sentence(counted),
        "PRIORITY": PRIORITIES[event.severity],
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "MLOPS_GPU_EVENT": 1,
        "MLOPS_GPU_EVENT_ID": counted.id,
        "SOURCE": event.source,
        "XID": event.code if event.source == "xid" else None,
        "SXID": event.code if event.source == "sxid" else None,
        "MNEMONIC": event.mnemonic,
        "KIND": event.kind,
        "SEVERITY": event.severity,
        "ACTION": event.action,
        "HARDWARE_FAULT": int(event.is_hardware_fault),
        "GPU_UUID": event.gpu_uuid,
        "PCI_ADDRESS": event.pci_address,
        "EVENT_PID": event.pid,
        "EVENT_PROCESS": event.process,
        "COUNT": counted.count,
        "FIRST_USEC": counted.first_us,
        "LAST_USEC": counted.last_us,
        "EVENT_BOOT_ID": counted.boot_id,
        "KERNEL_LINE": event.text,
    }


def series(counted: Counted) -> tuple[str, ...]:
    """Values of LABELS."""
    values = (getattr(counted.event, name) for name in LABELS)
    return tuple("" if value is None else str(value) for value in values)


def count(counters: Counters, events: t.Iterable[Counted]) -> Counters:
    """``counters`` with more events; what has no series of its own is under the empty tuple."""
    found = dict(counters)
    for counted in events:
        key = series(counted)
        if key not in found and len(found) >= MOST_SERIES:
            key = ()
        found[key] = found.get(key, 0) + counted.count
    return found


def exposition(counters: Counters, *, skipped: int) -> str:
    """The text format of Prometheus, without times, as the textfile collector of node_exporter takes it."""
    page = Page(_FAMILIES)
    for values, number in sorted(counters.items()):
        if values:
            page.add(_EVENTS, number, **dict(zip(LABELS, values)))
    page.add(_OTHERS, counters.get((), 0))
    page.add(_SKIPPED, skipped)
    return page.text()
