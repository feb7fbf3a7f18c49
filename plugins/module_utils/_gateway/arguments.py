# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the modules ``gateway_info`` and ``gateway_server``."""

from __future__ import annotations

INFO: dict[str, dict[str, object]] = {}
SERVER = {
    "host": {"type": "str"},
    "server": {"type": "str"},
    "backend": {"type": "str"},
    "state": {"type": "str", "choices": ["ready", "drain", "maint"], "required": True},
    "timeout_s": {"type": "int", "default": 0},
    "confirm_s": {"type": "int", "default": 0},
    "on_timeout": {"type": "str", "choices": ["fail", "continue"], "default": "fail"},
    "allow_last": {"type": "bool", "default": False},
    "keep_maint": {"type": "bool", "default": False},
}
ONE_OF = [["host", "server", "backend"]]
