# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What each source tells, as samples of the metrics. Pure."""

from __future__ import annotations

import collections
import typing as t

from .._exposition import Page
from .._gpu.health import check_health
from .._gpu.types import Gpu
from .gpus import Gpus
from .host import DriverState, Expiry, Room
from .probes import Probed
from .reading import Reading

_MIB, _MHZ = 2**20, 10**6
_HEALTH = ("ok", "degraded", "failed")


def tell_gpus(page: Page, gpus: Gpus) -> None:
    page.add("mlops_gpu_devices", gpus.listed)
    page.add("mlops_gpu_expected_devices", gpus.report.expected_from_pci)
    same = collections.Counter(gpu.uuid for gpu in gpus.report.gpus)
    for number, gpu in enumerate(gpus.report.gpus):
        # A UUID that two GPUs have names neither.
        name = gpu.uuid if gpu.uuid and same[gpu.uuid] == 1 else gpu.pci_address or f"number {number}"
        _tell_gpu(page, name, gpu)
        reading = gpus.readings.get(gpu.pci_address or "")
        if reading:
            _tell_reading(page, name, reading)


def _tell_gpu(page: Page, name: str, gpu: Gpu) -> None:
    page.add(
        "mlops_gpu_info",
        1,
        gpu=name,
        index="" if gpu.index is None else gpu.index,
        pci_address=gpu.pci_address or "",
        name=gpu.name or "",
        vendor=gpu.vendor,
    )
    health, _reasons = check_health(gpu)
    for word in _HEALTH:
        page.add("mlops_gpu_health", word == health, gpu=name, health=word)
    page.add("mlops_gpu_memory_total_bytes", _times(gpu.memory_total_mib, _MIB), gpu=name)
    percent = gpu.utilization_percent
    page.add("mlops_gpu_utilization_ratio", None if percent is None else percent / 100, gpu=name)
    page.add("mlops_gpu_power_limit_watts", gpu.power_limit_w, gpu=name)
    page.add("mlops_gpu_temperature_celsius", gpu.temperature_c, gpu=name)
    page.add("mlops_gpu_ecc_errors_total", gpu.ecc_uncorrected, gpu=name, type="uncorrected")
    page.add("mlops_gpu_remapping_pending", gpu.remapped_rows_pending, gpu=name)
    if gpu.recovery_action not in (None, "none"):
        page.add("mlops_gpu_recovery_action", 1, gpu=name, action=gpu.recovery_action)
    if gpu.mig_mode is not None:
        page.add("mlops_gpu_mig_enabled", gpu.mig_mode == "enabled", gpu=name)
        page.add("mlops_gpu_mig_devices", len(gpu.mig_devices), gpu=name)
    # amd-smi tells users of their own processes only.
    if gpu.vendor == "nvidia" and gpu.index is not None:
        page.add("mlops_gpu_processes", len(gpu.processes), gpu=name)


def _tell_reading(page: Page, name: str, reading: Reading) -> None:
    page.add("mlops_gpu_memory_used_bytes", reading.memory_used_bytes, gpu=name)
    page.add("mlops_gpu_power_watts", reading.power_w, gpu=name)
    page.add("mlops_gpu_temperature_slowdown_celsius", reading.slowdown_c, gpu=name)
    page.add("mlops_gpu_clock_hertz", _times(reading.sm_clock_mhz, _MHZ), gpu=name, clock="sm")
    page.add("mlops_gpu_clock_hertz", _times(reading.memory_clock_mhz, _MHZ), gpu=name, clock="memory")
    page.add("mlops_gpu_ecc_errors_total", reading.ecc_corrected, gpu=name, type="corrected")
    page.add("mlops_gpu_remapped_rows", reading.remapped_correctable, gpu=name, type="correctable")
    page.add("mlops_gpu_remapped_rows", reading.remapped_uncorrectable, gpu=name, type="uncorrectable")
    page.add("mlops_gpu_remapping_failed", reading.remapping_failed, gpu=name)
    for reason, is_active in reading.throttled.items():
        page.add("mlops_gpu_throttled", is_active, gpu=name, reason=reason)
    page.add("mlops_gpu_pcie_link_width", reading.pcie_width, gpu=name)
    page.add("mlops_gpu_pcie_link_width_max", reading.pcie_width_max, gpu=name)


def tell_driver(page: Page, driver: DriverState) -> None:
    if driver.vendor is None:
        return
    page.add(
        "mlops_driver_info",
        1,
        vendor=driver.vendor,
        loaded=driver.loaded or "",
        installed=driver.installed or "",
    )
    page.add("mlops_driver_verdict", 1, verdict=driver.verdict)


def tell_cdi(page: Page, fresh: t.Mapping[str, bool]) -> None:
    for kind, is_fresh in fresh.items():
        page.add("mlops_cdi_fresh", is_fresh, kind=kind)


def tell_certificates(page: Page, found: t.Iterable[Expiry]) -> None:
    for one in found:
        page.add("mlops_certificate_readable", one.not_after is not None, path=one.path)
        ends = one.not_after.timestamp() if one.not_after else None
        page.add("mlops_certificate_not_after_timestamp_seconds", ends, path=one.path)


def tell_rooms(page: Page, found: t.Iterable[Room]) -> None:
    for room in found:
        page.add("mlops_store_size_bytes", room.size, path=room.path)
        page.add("mlops_store_free_bytes", room.free, path=room.path)


def tell_probes(page: Page, found: t.Iterable[Probed]) -> None:
    for one in found:
        labels = {"model_instance": one.probe.model_instance, "model": one.probe.model}
        page.add("mlops_model_probe_success", one.answer is not None, **labels)
        page.add("mlops_model_probe_timestamp_seconds", one.ended, **labels)
        page.add("mlops_model_probes_total", one.count, **labels)
        if one.probe.kind == "completion":
            page.add("mlops_model_probe_refused_total", one.refused, **labels)
            page.add("mlops_model_probe_expectation_held", one.held, **labels)
        if one.answer:
            page.add("mlops_model_probe_duration_seconds", one.seconds, **labels)
        if one.answer and one.answer.text is not None:
            page.add("mlops_model_probe_first_token_seconds", one.answer.ttft_s, **labels)
            page.add("mlops_model_probe_tokens_per_second", one.answer.tokens_per_s, **labels)


def _times(value: float | None, factor: int) -> float | None:
    return None if value is None else value * factor
