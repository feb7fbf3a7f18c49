# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the module ``monitoring_info`` returns."""

from __future__ import annotations

import dataclasses
import typing as t

from .. import _text_file
from .._http import Fetch
from . import paths, plan, running


def collect(fetch: Fetch, path: str = paths.PLAN) -> dict[str, t.Any]:
    """On a host without monitoring nothing is asked. HostError where the plan is none."""
    text = _text_file.read(path)
    found = plan.read(text, path) if text else plan.Plan()
    problems = running.found(found, fetch)
    return {
        "parts": [part for part, value in dataclasses.asdict(found).items() if value is not None],
        "stale": [one.stale for one in problems if one.stale],
        "problems": [one.sentence for one in problems],
        "notes": [] if problems else running.notes(found, fetch),
    }
