# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of the role cuda_toolkit. Its documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ..module_utils import _cuda_toolkit


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cuda_toolkit_request": _cuda_toolkit.request}
