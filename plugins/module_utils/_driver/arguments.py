# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The arguments of the module ``driver_info``."""

from __future__ import annotations

INFO = {
    "vendor": {"type": "str", "choices": ["auto", "nvidia", "amd"], "default": "auto"},
    "version": {"type": "str"},
    "flavour": {"type": "str", "choices": ["open", "proprietary"]},
    "timeout_s": {"type": "int", "default": 30},
}
