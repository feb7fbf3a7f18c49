# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role container_runtime. Their documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ..module_utils._container_runtime import info, request


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "container_runtime_request": request.request,
            "container_runtime_judge": info.judge,
        }
