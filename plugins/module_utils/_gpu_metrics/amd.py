# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What changes of AMD GPUs, from ``amd-smi static`` and ``amd-smi metric``. Pure."""

from __future__ import annotations

import typing as t

from .._gpu import amd, values
from .._gpu.pci import normal_address
from .._runner import Completed
from .reading import Reading, Reason

# What of `throttle` in amd-smi metric is which reason; these are of MI300 and newer, others have "N/A" there.
_REASONS: dict[Reason, tuple[str, ...]] = {
    "hw_thermal": ("prochot", "socket_thermal", "vr_thermal", "hbm_thermal"),
    "sw_power_cap": ("ppt",),
}
_SENSORS = ("edge", "hotspot")


def readings(listed: Completed, static: Completed, metric: Completed) -> dict[str, Reading]:
    """By PCI address, of what these commands printed with ``--json``. Raises CommandError where that is not whole."""
    fixed, changing = amd.rows(static), amd.rows(metric)
    found = {}
    for index, row in amd.rows(listed).items():
        address = normal_address(row.get("bdf"))
        if address and index in changing:
            found[address] = _reading(fixed.get(index, {}), changing[index])
    return found


def _reading(static: amd.Row, metric: amd.Row) -> Reading:
    used = values.mib(amd.section(metric, "mem_usage").get("used_vram"))
    power, clock, limit = amd.section(metric, "power"), amd.section(metric, "clock"), amd.section(static, "limit")
    corrected = values.measure(amd.section(metric, "ecc").get("total_correctable_count"))
    return Reading(
        memory_used_bytes=None if used is None else used * 2**20,
        power_w=_first(power.get(name) for name in ("socket_power", "current_socket_power")),
        slowdown_c=_slowdown(limit, amd.section(metric, "temperature")),
        sm_clock_mhz=values.measure(amd.section(clock, "gfx_0").get("clk")),
        memory_clock_mhz=values.measure(amd.section(clock, "mem_0").get("clk")),
        ecc_corrected=None if corrected is None else round(corrected),
        throttled=dict(_throttled(amd.section(metric, "throttle"))),
        pcie_width=_width(amd.section(metric, "pcie").get("width")),
        pcie_width_max=_width(amd.section(static, "bus").get("max_pcie_width")),
    )


def _slowdown(limit: amd.Row, temperature: amd.Row) -> float | None:
    """That of the sensor whose temperature _gpu/amd.py tells."""
    sensor = next((name for name in _SENSORS if values.measure(temperature.get(name)) is not None), None)
    return values.measure(limit.get(f"slowdown_{sensor}_temperature"))


def _throttled(said: amd.Row) -> t.Iterator[tuple[Reason, bool]]:
    for reason, names in _REASONS.items():
        states = [values.word(_text(said.get(f"{name}_violation_status"))) for name in names]
        known = [state == "active" for state in states if state in ("active", "not_active")]
        if known:
            yield reason, any(known)


def _first(said: t.Iterable[t.Any]) -> float | None:
    return next((found for found in map(values.measure, said) if found is not None), None)


def _width(said: t.Any) -> int | None:
    width = values.measure(said)
    return round(width) if width else None


def _text(said: t.Any) -> str | None:
    return said if isinstance(said, str) else None
