# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What container_runtime_info returns, and container_image in check mode, without Ansible."""

from __future__ import annotations

import os
import typing as t

from .. import _text_file
from .._runner import Runner
from . import containerd_host, images
from . import info as engine


def info(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """None without root: the module says what it needs it for."""
    return {"changed": False, **seen(params, run)} if os.geteuid() == 0 else None


def image(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """None where an image would be pulled."""
    missing = images.missing(params["images"], params["provider"], run)
    return {"changed": bool(missing), "pulled": missing} if check_mode or not missing else None


def seen(params: t.Mapping[str, t.Any], run: Runner) -> dict[str, t.Any]:
    """What the engine is like."""
    mounts = params["mounts"]
    if params["provider"] == "docker":
        return engine.docker(run, mounts, _text_file.read).as_result()
    if params["provider"] == "podman":
        return engine.podman(run, mounts).as_result()
    if params["provider"] == "containerd":
        configuration = containerd_host.configuration(run, _text_file.read, params["containerd_settings"])
        return engine.containers_of_their_own(mounts, configuration).as_result()
    return engine.containers_of_their_own(mounts).as_result()
