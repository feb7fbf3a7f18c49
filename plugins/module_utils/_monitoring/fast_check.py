# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What monitoring_info returns, without Ansible."""

from __future__ import annotations

import typing as t

from .._errors import HostError
from .._http_plain import PlainFetch
from .._runner import Runner
from . import info


def fast_check(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any]:
    """The return values of monitoring_info; those of a failure have ``failed``."""
    try:
        return {"changed": False, **info.collect(PlainFetch())}
    except HostError as exc:
        return exc.as_result()
