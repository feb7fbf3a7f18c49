# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The service that writes what the kernel logs of GPUs to the journal and for Prometheus, as component data. Pure."""

from __future__ import annotations

import math

from ....module_utils._gpu_events.service import STATE_DIR, TEXTFILE
from ..._packed_program import Program
from ..built import Built, Data
from ..platform import Platform

UNIT = "mlops-gpu-events.service"
USER = "mlops-gpu-events"
PROGRAM = Program(
    name="gpu_events",
    path="/usr/local/sbin/mlops-gpu-events",
    entry="_gpu_events.program",
    about="Writes what the kernel logs of GPUs to the journal and for Prometheus.",
)
LINK = "mlops_gpu_events.prom"


def facts(_options: Data) -> tuple[str, ...]:
    return ()


def build(options: Data, _platform: Platform) -> Built:
    if options["state"] == "unmanaged":
        return Built()
    if options["state"] == "absent":
        # What the service wrote and no component owns; an earlier run may have ended before it removed it.
        rest = {"leftovers": [STATE_DIR]}
        return Built(component={"name": "gpu_events", "state": "absent"}, rest=lambda _changed, _dry_run: rest)
    if problems := tuple(_problems(options)):
        return Built(problems)
    program = PROGRAM.resources(python=options["python"])
    folder = options["textfile_dir"]
    unit_file = {
        "path": f"/etc/systemd/system/{UNIT}",
        "template": f"{UNIT}.j2",
        "template_vars": {
            "__gpu_events": {"user": USER, "program": PROGRAM.path, "window_s": options["storm_window_s"]}
        },
    }
    return Built(
        component={
            "name": "gpu_events",
            "state": "present",
            "settle_s": 2,
            "requires": [_readable_by_prometheus(folder)] if folder else [],
            "users": [{"name": USER, "groups": ["systemd-journal"]}],
            "directories": program["directories"],
            # A program that runs has its code in memory.
            "files": [*({**file, "on_change": "restart"} for file in program["files"]), unit_file],
            # The service needs no right to write where the files of others are.
            "links": [{"path": f"{folder}/{LINK}", "target": f"{STATE_DIR}/{TEXTFILE}", "on_change": "none"}]
            if folder
            else [],
            "units": [{"name": UNIT}],
            "ready": [{"unit": UNIT, "timeout_s": 20}],
        },
    )


def _problems(options: Data) -> list[str]:
    found = []
    folder, window_s = options["textfile_dir"], options["storm_window_s"]
    if folder and (not folder.startswith("/") or folder.endswith("/")):
        found.append(f"gpu_events_textfile_dir must be an absolute path without a slash at its end, not '{folder}'.")
    if not (math.isfinite(window_s) and 2 <= window_s <= 3600):
        found.append(f"gpu_events_storm_window_s must be from 2 to 3600, not {window_s}.")
    return found


def _readable_by_prometheus(folder: str) -> dict[str, str]:
    return {
        "kind": "path",
        "type": "directory",
        "path": folder,
        "msg": (
            "The directory {what} must be there for node_exporter to read, and is {found}: set gpu_events_textfile_dir "
            "to the directory of its option --collector.textfile.directory, or to an empty text for no counters."
        ),
    }
