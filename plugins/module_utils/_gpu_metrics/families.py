# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The metrics of the role gpu_metrics: a contract with rules and dashboards. Pure."""

from __future__ import annotations

from .._exposition import Family

FAMILIES: dict[str, Family] = {
    "mlops_gpu_devices": Family("gauge", "GPUs that the drivers of this host offer."),
    "mlops_gpu_expected_devices": Family("gauge", "GPUs on the PCI bus of this host."),
    "mlops_gpu_info": Family("gauge", "A GPU, by its UUID, or by its PCI address where it has none."),
    "mlops_gpu_health": Family(
        "gauge", "Whether this is the health of the GPU: a failed one must not be used, a degraded one wants attention."
    ),
    "mlops_gpu_memory_total_bytes": Family("gauge", "Memory of the GPU."),
    "mlops_gpu_memory_used_bytes": Family("gauge", "Memory of the GPU that is in use."),
    "mlops_gpu_utilization_ratio": Family("gauge", "Share of the time in which the GPU computed, from 0 to 1."),
    "mlops_gpu_power_watts": Family("gauge", "Power that the GPU draws."),
    "mlops_gpu_power_limit_watts": Family("gauge", "Power that the GPU is set to draw at most."),
    "mlops_gpu_temperature_celsius": Family("gauge", "Temperature of the GPU."),
    "mlops_gpu_temperature_slowdown_celsius": Family("gauge", "Temperature at which the hardware slows the GPU down."),
    "mlops_gpu_clock_hertz": Family("gauge", "Clock of the GPU now."),
    "mlops_gpu_throttled": Family("gauge", "Whether the GPU is slowed down for this reason now."),
    "mlops_gpu_ecc_errors_total": Family("counter", "Memory errors since the driver was loaded."),
    "mlops_gpu_remapped_rows": Family("gauge", "Rows of memory that were replaced over the life of the GPU."),
    "mlops_gpu_remapping_pending": Family("gauge", "Whether rows wait for a reset of the GPU to be replaced."),
    "mlops_gpu_remapping_failed": Family("gauge", "Whether a row could not be replaced."),
    "mlops_gpu_recovery_action": Family("gauge", "What the driver asks for to bring the GPU back."),
    "mlops_gpu_mig_enabled": Family("gauge", "Whether the GPU is in MIG mode."),
    "mlops_gpu_mig_devices": Family("gauge", "MIG devices of the GPU."),
    "mlops_gpu_processes": Family("gauge", "Processes that use the GPU."),
    "mlops_gpu_pcie_link_width": Family("gauge", "Lanes of the PCI Express link of the GPU now."),
    "mlops_gpu_pcie_link_width_max": Family("gauge", "Lanes of the PCI Express link that the GPU could have here."),
    "mlops_driver_info": Family("gauge", "The GPU driver that is loaded, and the one that is installed."),
    "mlops_driver_verdict": Family("gauge", "What the driver of this host needs, as driver_info says it."),
    "mlops_cdi_fresh": Family("gauge", "Whether containers would get the GPUs that the host has now."),
    "mlops_certificate_not_after_timestamp_seconds": Family("gauge", "When the first certificate of the file ends."),
    "mlops_certificate_readable": Family("gauge", "Whether the file could be read, and has a certificate."),
    "mlops_store_size_bytes": Family("gauge", "Size of the file system of the path."),
    "mlops_store_free_bytes": Family("gauge", "What users may still write on the file system of the path."),
    "mlops_model_probe_success": Family("gauge", "Whether the model answered the last probe."),
    "mlops_model_probe_duration_seconds": Family("gauge", "How long the last answer took."),
    "mlops_model_probe_first_token_seconds": Family("gauge", "How long the first token of the last answer took."),
    "mlops_model_probe_tokens_per_second": Family("gauge", "Speed of the last answer after its first token."),
    "mlops_model_probe_expectation_held": Family("gauge", "Whether the last answer had the text that is expected."),
    "mlops_model_probe_refused_total": Family("counter", "Answers that refuse, by the pattern of the probe."),
    "mlops_model_probes_total": Family("counter", "Probes since the service was started."),
    "mlops_model_probe_timestamp_seconds": Family("gauge", "When the last probe ended."),
    "mlops_gpu_metrics_read_success": Family("gauge", "Whether the source tells its values; 0 when it is silent, too."),
    "mlops_gpu_metrics_read_timestamp_seconds": Family("gauge", "When the source last told its values."),
}
