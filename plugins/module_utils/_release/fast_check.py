# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the module release returns, without Ansible, where nothing is to be changed."""

from __future__ import annotations

import typing as t

from .._runner import Runner
from .plan import desired, make


def fast_check(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """None where the host is to be changed."""
    found = make(desired(params)).result
    return found if check_mode or not found["changed"] else None
