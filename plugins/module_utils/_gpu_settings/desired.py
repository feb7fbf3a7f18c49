# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One list of devices, for both modules and for the unit that replays it at boot."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .._errors import HostError
from .select import Entry, check

MIG = "mig"
VERSION = 1
DESIRED = "/etc/mlops.hosts/gpu_settings.json"
PROGRAM = "/usr/local/sbin/mlops-gpu-settings"
_ROOT = "/usr/local/lib/mlops.hosts"
LIBRARY = f"{_ROOT}/gpu_settings"
PACKAGE = f"{LIBRARY}/mlops_hosts"
_PROGRAM = """#!{python} -IB
# Part of mlops.hosts. Brings GPUs to what /etc/mlops.hosts/gpu_settings.json says; --check compares only.
import sys

sys.path.insert(0, "{library}")
from mlops_hosts._gpu_settings.replay import main

sys.exit(main())
"""
# What runs at boot without Ansible: these files of this collection, as they are.
CORE = (
    "_driver/__init__.py",
    "_driver/files.py",
    "_driver/types.py",
    "_driver/device_holders.py",
    "_drift.py",
    "_errors.py",
    "_privileges.py",
    "_gpu/__init__.py",
    "_gpu/types.py",
    "_gpu/nvidia.py",
    "_gpu/nvidia_xml.py",
    "_gpu/pci.py",
    "_gpu/tool.py",
    "_gpu/values.py",
    "_gpu_settings/__init__.py",
    "_gpu_settings/locked_clocks.py",
    "_gpu_settings/mig_apply.py",
    "_gpu_settings/mig_plan.py",
    "_gpu_settings/mig_tables.py",
    "_gpu_settings/result.py",
    "_gpu_settings/replay.py",
    "_gpu_settings/desired.py",
    "_gpu_settings/select.py",
    "_gpu_settings/services.py",
    "_gpu_settings/settings.py",
    "_gpu_settings/settings_apply.py",
    "_gpu_settings/smi.py",
    "_runner.py",
)


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


def sources(folder: str) -> dict[str, str]:
    """The files of ``CORE`` below a folder, by name."""
    found = {}
    for name in CORE:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            found[name] = file.read()
    return found


def resources(devices: t.Sequence[Entry], *, python: str, timeout_s: int) -> dict[str, t.Any]:
    """What the role gives to the modules, and what it installs for the boot unit."""
    entries = split(devices)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # Nothing here restarts the unit: the role does at once what it would do.
    written = {f"{PACKAGE}/{name}": text for name, text in {"__init__.py": "", **sources(here)}.items()}
    written[DESIRED] = as_file(devices, timeout_s=timeout_s)
    files = [{"path": path, "content": text, "on_change": "none"} for path, text in sorted(written.items())]
    program = _PROGRAM.format(python=python, library=LIBRARY)
    files.append({"path": PROGRAM, "content": program, "mode": "0755", "on_change": "none"})
    return {
        "problems": problems(devices),
        "settings": list(entries.settings),
        "mig": list(entries.mig),
        "directories": [{"path": path} for path in sorted({_folder(path) for path in written} | {LIBRARY, _ROOT})],
        "files": files,
    }


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
