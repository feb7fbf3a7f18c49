# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.health import check_health
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import Fault, Gpu

BAD = Fault("It is lost.", is_fatal=True)


@pytest.mark.parametrize(
    ("fields", "health", "reasons"),
    [
        pytest.param({}, "ok", (), id="nothing-known-is-nothing-wrong"),
        pytest.param(
            {"recovery_action": "none", "ecc_uncorrected": 0, "remapped_rows_pending": False}, "ok", (), id="sound"
        ),
        pytest.param({"ecc_uncorrected": 3}, "degraded", ("3",), id="uncorrectable-errors"),
        pytest.param({"remapped_rows_pending": True}, "degraded", ("remapped",), id="rows-wait"),
        pytest.param(
            {"ecc_mode": "disabled", "ecc_pending": "enabled"}, "degraded", ("ECC is disabled",), id="ecc-waits"
        ),
        pytest.param(
            {"mig_mode": "enabled", "mig_pending": "disabled"}, "degraded", ("MIG is enabled",), id="mig-waits"
        ),
        pytest.param({"mig_mode": "enabled"}, "ok", (), id="pending-mode-not-given"),
        pytest.param({"recovery_action": "drain_p2p"}, "degraded", ("drain_p2p",), id="drain-p2p"),
        pytest.param({"recovery_action": "drain_and_reset"}, "degraded", ("drain_and_reset",), id="drain-and-reset"),
        pytest.param({"recovery_action": "reset"}, "failed", ("reset",), id="reset"),
        pytest.param({"recovery_action": "reboot"}, "failed", ("reboot",), id="reboot"),
        pytest.param({"recovery_action": "exorcise"}, "failed", ("exorcise",), id="an-action-we-do-not-know"),
        pytest.param({"faults": (BAD,)}, "failed", ("It is lost.",), id="fatal-fault"),
        pytest.param({"faults": (Fault("x"), Fault("x"))}, "degraded", ("x",), id="a-reason-is-told-once"),
        pytest.param(
            {"faults": (BAD,), "ecc_uncorrected": 1}, "failed", ("It is lost.", "1"), id="all-reasons-are-told"
        ),
    ],
)
def test_health(fields, health, reasons):
    found, told = check_health(Gpu(vendor="nvidia", **fields))
    assert found == health
    assert len(told) == len(reasons)
    assert all(part in reason for part, reason in zip(reasons, told))
