# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The service that writes what the kernel logs of GPUs to the journal and for Prometheus, as component data. Pure."""

from __future__ import annotations

import math

from ....module_utils._gpu_events.service import STATE_DIR, TEXTFILE
from ..._packed_program import Program
from .. import textfile
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
            "requires": textfile.requires("gpu_events", folder, LINK),
            "users": [{"name": USER, "groups": ["systemd-journal"]}],
            "directories": program["directories"],
            # A program that runs has its code in memory.
            "files": [*({**file, "on_change": "restart"} for file in program["files"]), unit_file],
            "links": textfile.links(folder, LINK, f"{STATE_DIR}/{TEXTFILE}"),
            "units": [{"name": UNIT}],
            "ready": [{"unit": UNIT, "timeout_s": 20}],
        },
    )


def _problems(options: Data) -> list[str]:
    found, window_s = [*textfile.problems("gpu_events", options["textfile_dir"])], options["storm_window_s"]
    if not (math.isfinite(window_s) and 2 <= window_s <= 3600):
        found.append(f"gpu_events_storm_window_s must be from 2 to 3600, not {window_s}.")
    return found
