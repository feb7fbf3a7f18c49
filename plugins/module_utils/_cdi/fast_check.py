# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What module cdi_info reads on a host, of which the action plugin makes the return values, without Ansible."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._errors import HostError
from .._gpu.info import collect
from .._runner import Runner
from . import containers, files


def fast_check(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """None without root, and where the GPUs do not answer: the module says why."""
    if os.geteuid() != 0:
        return None
    try:
        return {"changed": False, "host": host(params, run)}
    except HostError:
        return None


def host(params: t.Mapping[str, t.Any], run: Runner) -> dict[str, t.Any]:
    """Raises HostError where the GPUs do not answer."""
    report = collect(run, timeout_s=params["timeout_s"]).as_result()
    found = files.read_all()
    paths = {*params["_paths"], *files.paths_in(file.text for file in found)}
    return {
        "vendor": params["vendor"],
        "files": [dataclasses.asdict(file) for file in found],
        "exists": {path: os.path.exists(path) for path in paths},
        "gpus": report["gpus"],
        "driver_version": report["driver"]["version"],
        "containers": [dataclasses.asdict(item) for item in containers.running(run)],
    }
