# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the module ``gpu_events_info``."""

from __future__ import annotations

INFO: dict[str, dict[str, object]] = {
    "boot": {"type": "str", "choices": ["current", "previous", "all"], "default": "current"},
    "since": {"type": "str"},
    "cursor": {"type": "str"},
    "max_events": {"type": "int", "default": 1000},
    "storm_window_s": {"type": "float", "default": 60.0},
    "timeout_s": {"type": "int", "default": 60},
}
