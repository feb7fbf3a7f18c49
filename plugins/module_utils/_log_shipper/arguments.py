# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the module ``log_shipper_info``."""

from __future__ import annotations

INFO: dict[str, dict[str, object]] = {"desired": {"type": "dict"}}
