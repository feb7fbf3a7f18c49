# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A reload that is checked before, and whose result is read."""

from __future__ import annotations

import time
import typing as t

from .._errors import HostError
from .._http import Fetch
from .._runner import Runner, must
from . import paths
from .plan import Plan
from .running import reloaded

_CHECK_S = 60.0
_WAIT_S = 30.0
_POLL_S = 0.1
CHECKS: t.Mapping[str, tuple[str, ...]] = {
    "prometheus": ("check", "config"),
    "alertmanager": ("check-config",),
}


def reload(
    part: str,
    plan: Plan,
    *,
    run: Runner,
    fetch: Fetch,
    hang_up: t.Callable[[], None],
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> None:
    """HostError where the part goes on with its earlier files. ``hang_up`` sends it SIGHUP."""
    here = plan.prometheus if part == "prometheus" else plan.alertmanager
    if here is None:
        raise HostError(f"{part} must be a part that runs on this host, and {paths.PLAN} has none")
    must(
        run(here.tool, *CHECKS[part], here.config, timeout_s=_CHECK_S),
        f"{part} runs on as before: {here.config} is refused",
    )
    before, was_good = reloaded(part, here.url, fetch)
    hang_up()
    until = clock() + _WAIT_S
    while True:
        at, good = reloaded(part, here.url, fetch)
        if good and at > before:
            return
        # One that had failed before says nothing new when it fails again.
        if (was_good and not good) or clock() >= until:
            raise HostError(
                f"{part} has not taken {here.config} and runs on as before: journalctl -u {paths.UNITS[part]} says why"
            )
        sleep(_POLL_S)
