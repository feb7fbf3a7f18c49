# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One list of devices, for both modules and for the unit that replays it at boot."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._errors import HostError
from .select import Entry, check

MIG = "mig"
VERSION = 1
DESIRED = "/etc/mlops.hosts/gpu_settings.json"


@dataclasses.dataclass(frozen=True)
class Entries:
    """Entries for each module."""

    settings: tuple[Entry, ...]
    mig: tuple[Entry, ...]


def split(devices: t.Sequence[Entry]) -> Entries:
    """Devices have ``select``, ``mig`` and the settings; each module gets what is its own. None is left out."""
    given = [{key: value for key, value in device.items() if value is not None} for device in devices]
    settings = [{key: value for key, value in device.items() if key != MIG} for device in given]
    return Entries(
        settings=tuple(entry for entry in settings if len(entry) > 1),
        mig=tuple({"select": device["select"], "layout": list(device[MIG])} for device in given if MIG in device),
    )


def problems(devices: t.Sequence[Entry]) -> list[str]:
    """Sentences about entries that cannot be right on any host."""
    found = []
    for device in devices:
        try:
            check(str(device.get("select", "")))
        except HostError as exc:
            found.append(f"gpu_settings_devices: {exc}.")
    return found


def as_file(devices: t.Sequence[Entry], *, timeout_s: int) -> str:
    """The file of desired settings, that the boot unit reads."""
    given = [{key: value for key, value in device.items() if value is not None} for device in devices]
    return json.dumps({"version": VERSION, "timeout_s": timeout_s, "devices": given}, indent=2, sort_keys=True) + "\n"
