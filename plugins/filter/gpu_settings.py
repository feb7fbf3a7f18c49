# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of the role gpu_settings. Its documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ..plugin_utils._roles.gpu_settings.build import told

Data = t.Mapping[str, t.Any]


def _pending(pending: t.Iterable[Data], blockers: t.Sequence[Data]) -> list[dict[str, t.Any]]:
    return [told(item, blockers) for item in pending]


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"gpu_settings_pending": _pending}
