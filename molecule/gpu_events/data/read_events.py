#!/usr/bin/python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the events in the journal, and how many lines of each Xid and GPU they count, as one JSON object.

read_events.py [COUNT SECONDS]   wait until they count so many lines, or for so long
"""

from __future__ import annotations

import collections
import json
import subprocess
import sys
import time
import typing as t


def read() -> dict[str, t.Any]:
    argv = ["journalctl", "--quiet", "--no-pager", "--output=json", "SYSLOG_IDENTIFIER=mlops-gpu-events"]
    entries = [json.loads(line) for line in subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()]
    events = [entry for entry in entries if entry.get("MLOPS_GPU_EVENT") == "1"]
    lines: collections.Counter[str] = collections.Counter()
    for event in events:
        lines[f"{event.get('XID')} {event.get('PCI_ADDRESS')}"] += int(event["COUNT"])
    return {
        "events": events,
        "lines": lines,
        "total": sum(lines.values()),
        "twice": len(events) - len({event["MLOPS_GPU_EVENT_ID"] for event in events}),
        "notices": [entry for entry in entries if "MLOPS_GPU_EVENTS_SKIPPED" in entry],
    }


def main(count: str = "0", seconds: str = "0") -> None:
    until = time.monotonic() + float(seconds)
    while (found := read())["total"] < int(count) and time.monotonic() < until:
        time.sleep(0.2)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
