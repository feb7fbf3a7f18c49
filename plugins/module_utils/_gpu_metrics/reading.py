# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What changes of a GPU from minute to minute, and is no part of what gpu_info tells."""

from __future__ import annotations

import dataclasses
import typing as t

Reason = t.Literal["hw_thermal", "sw_thermal", "hw_power_brake", "sw_power_cap"]


@dataclasses.dataclass(frozen=True)
class Reading:
    """What nobody told us is None. ``throttled``: of each reason that the tool knows, whether it slows the GPU now."""

    memory_used_bytes: int | None = None
    power_w: float | None = None
    slowdown_c: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    ecc_corrected: int | None = None
    remapped_correctable: int | None = None
    remapped_uncorrectable: int | None = None
    remapping_failed: bool | None = None
    throttled: t.Mapping[Reason, bool] = dataclasses.field(default_factory=dict)
    pcie_width: int | None = None
    pcie_width_max: int | None = None


# By the PCI address of the GPU, as sysfs writes it.
Readings = t.Mapping[str, Reading]
