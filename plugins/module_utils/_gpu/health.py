# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether a GPU is fit for work, from what is known about it. Pure."""

from __future__ import annotations

import typing as t

from .types import Fault, Gpu, Health

# Recovery actions after which the GPU still computes, with less; all others, new ones too, mean that it does not.
_STILL_WORKS = {"drain_p2p", "drain_and_reset", "recover_imex_domain"}


def check_health(gpu: Gpu) -> tuple[Health, tuple[str, ...]]:
    """The health and a sentence for each reason.

    A failed GPU must not be used; a degraded one works and wants attention.
    """
    faults = all_faults(gpu)
    if any(fault.is_fatal for fault in faults):
        health: Health = "failed"
    else:
        health = "degraded" if faults else "ok"
    return health, tuple(dict.fromkeys(fault.reason for fault in faults))


def all_faults(gpu: Gpu) -> tuple[Fault, ...]:
    """What its tool says, and what follows from its values."""
    return tuple(dict.fromkeys((*gpu.faults, *_found(gpu))))


def _found(gpu: Gpu) -> t.Iterator[Fault]:
    if gpu.recovery_action not in (None, "none"):
        action = str(gpu.recovery_action)
        yield Fault(f"The driver asks for a recovery action: {action}.", is_fatal=action not in _STILL_WORKS)
    if gpu.ecc_uncorrected:
        reason = f"Uncorrectable memory errors since the driver was loaded: {gpu.ecc_uncorrected}."
        yield Fault(reason, is_memory=True)
    if gpu.remapped_rows_pending:
        yield Fault("Memory rows wait to be remapped: the GPU needs a reset.", is_memory=True)
    for what, now, pending in (("ECC", gpu.ecc_mode, gpu.ecc_pending), ("MIG", gpu.mig_mode, gpu.mig_pending)):
        if now is not None and pending is not None and now != pending:
            yield Fault(f"{what} is {now} and will be {pending} after a reset of the GPU or a reboot.")
