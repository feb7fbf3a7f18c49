# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a fault strikes a call, and what it does to every program alike."""

from __future__ import annotations

import os
import signal
import sys
import time
import typing as t

from .state import Fault, Gpu, Machine

# Of a GPU, and not of a call.
_STATES = ("lost", "pending")
_OF_CHANGES = ("refuse", "warn", "silent")


def strike(machine: Machine, argv: t.Sequence[str], *, changed: t.Sequence[Gpu] | None = None) -> Fault | None:
    """The first fault that a call meets; one with a count is used up by it. ``changed``: the GPUs that the call is to
    change, None where it only reads."""
    for fault in machine.faults:
        if fault.name in _STATES or (fault.on and fault.on not in argv):
            continue
        if fault.name in _OF_CHANGES and not fault.on and changed is None:
            continue
        if fault.name in _OF_CHANGES and fault.gpu and fault.gpu not in [gpu.uuid for gpu in changed or ()]:
            continue
        if fault.count:
            fault.count -= 1
            if not fault.count:
                machine.faults.remove(fault)
        return fault
    return None


def wait(fault: Fault | None) -> None:
    """Be slow, or hang until somebody ends the process. The state is not locked meanwhile."""
    if fault and fault.name == "slow":
        time.sleep(fault.seconds)
    while fault and fault.name == "hang":
        time.sleep(3600)


def say(text: str, fault: Fault | None) -> None:
    """Print, or a half of it; crash in the middle."""
    name = fault.name if fault else ""
    sys.stdout.write(text[: len(text) // 2] if name in ("crash", "cut") else text)
    sys.stdout.flush()
    if name == "crash":
        os.kill(os.getpid(), signal.SIGABRT)
