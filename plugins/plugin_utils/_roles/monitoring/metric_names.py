# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Replaced by the names of the helper 'rules'."""

from __future__ import annotations

import re


def unknown_metrics(rules: object) -> list[str]:
    return sorted(set(re.findall(r"\bmlops_no_such\w*", str(rules))))
