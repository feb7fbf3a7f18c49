# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the modules ``gpu_settings`` and ``mig_layout``."""

from __future__ import annotations

import typing as t


def _spec(**device: t.Any) -> dict[str, t.Any]:
    return {
        "devices": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {"select": {"type": "str", "required": True}, **device},
        },
        "reset": {"type": "str", "choices": ["never", "when_idle"], "default": "never"},
        "services": {"type": "list", "elements": "str", "default": []},
        "timeout_s": {"type": "int", "default": 60},
    }


SETTINGS = _spec(
    persistence={"type": "bool"},
    power_limit_w={"type": "float"},
    compute_mode={"type": "str", "choices": ["default", "exclusive_process", "prohibited"]},
    ecc={"type": "bool"},
    locked_clocks_mhz={"type": "list", "elements": "int"},
    locked_memory_clocks_mhz={"type": "list", "elements": "int"},
)
MIG = {
    **_spec(layout={"type": "list", "elements": "str", "required": True}),
    "cdi_refresh": {"type": "bool", "default": True},
}
