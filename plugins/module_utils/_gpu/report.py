# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The GPUs of a host, as they are told."""

from __future__ import annotations

import dataclasses
import typing as t

from .health import all_faults, check_health
from .types import Driver, Gpu


@dataclasses.dataclass(frozen=True)
class Report:
    """The GPUs of a host. ``expected_from_pci`` counts the GPUs on the PCI bus, without virtual functions."""

    gpus: tuple[Gpu, ...]
    driver: Driver
    expected_from_pci: int

    def as_result(self) -> dict[str, t.Any]:
        """The return values of ``gpu_info``, JSON-native."""
        return {
            "gpus": [_as_result(gpu) for gpu in self.gpus],
            "driver": dataclasses.asdict(self.driver),
            "count": len(self.gpus),
            "expected_from_pci": self.expected_from_pci,
        }


def _as_result(gpu: Gpu) -> dict[str, t.Any]:
    result = dataclasses.asdict(gpu)
    del result["faults"]
    # asdict keeps tuples; JSON has lists only, and a caller of the core should see what a playbook sees.
    result["mig_devices"] = list(result["mig_devices"])
    result["processes"] = list(result["processes"])
    health, reasons = check_health(gpu)
    memory = dict.fromkeys(fault.reason for fault in all_faults(gpu) if fault.is_memory)
    return {**result, "health": health, "health_reasons": list(reasons), "memory_reasons": list(memory)}
