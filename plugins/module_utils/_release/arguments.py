# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The argument specification of the module release."""

from __future__ import annotations

import typing as t

from . import paths

SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "version": {"type": "str"},
    "url": {"type": "str"},
    "sha256": {"type": "str"},
    "programs": {"type": "list", "elements": "str", "default": []},
    "base": {"type": "path", "default": paths.BASE},
    "ca_path": {"type": "path"},
    "timeout_s": {"type": "float", "default": 60.0},
    "retries": {"type": "int", "default": 3},
}
REQUIRED_IF = [("state", "present", ("version", "url", "sha256"))]
