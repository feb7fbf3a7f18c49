# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role gpu_driver. Their documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ..plugin_utils._roles.gpu_driver.build import leftovers


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "gpu_driver_leftovers": leftovers,
        }
