# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role container_runtime. Their documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ..module_utils._container_runtime import info, request
from ..module_utils._container_runtime.containerd import SETTINGS
from ..plugin_utils import _containerd

Data = t.Mapping[str, t.Any]


def _request(desired: Data, platform: Data, configuration: Data | None = None) -> dict[str, t.Any]:
    return request.request(desired, platform, lambda known: _containerd.read(configuration or {}, known))


def _judge(asked: Data, compared: Data, seen: Data, allowed: bool = False) -> dict[str, t.Any]:
    found = info.judge(asked, compared, seen, allowed=allowed)
    settings = next((file["content"] for file in asked["component"]["files"] if file["path"] == SETTINGS), None)
    if settings is not None:
        found["conflicts"] += _containerd.lost(seen["configuration"], settings)
    return found


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "container_runtime_request": _request,
            "container_runtime_judge": _judge,
        }
