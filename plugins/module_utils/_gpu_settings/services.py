# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Units that keep GPUs busy: stopped for a while, and started again in reverse order, whatever happens in between."""

from __future__ import annotations

import contextlib
import typing as t

from .._errors import HostError
from .._runner import Runner, must

_TIMEOUT_S = 300
CDI_REFRESH = "nvidia-cdi-refresh.service"


def active(run: Runner, units: t.Sequence[str]) -> tuple[str, ...]:
    """Those that run, in the order given."""
    return tuple(unit for unit in units if run("systemctl", "is-active", "--quiet", unit, timeout_s=_TIMEOUT_S).rc == 0)


@contextlib.contextmanager
def stopped(run: Runner, units: t.Sequence[str]) -> t.Iterator[tuple[str, ...]]:
    """Stop those of the units that run; yields them. Start them again at the end, also of a failure."""
    done: list[str] = []
    try:
        for unit in active(run, units):
            done.append(unit)
            must(run("systemctl", "stop", unit, timeout_s=_TIMEOUT_S), f"{unit} is in the way and could not be stopped")
        yield tuple(done)
    except BaseException as exc:
        problems = _start(run, done)
        if problems and isinstance(exc, HostError):
            raise HostError(f"{exc}. {' '.join(problems)}", **exc.details) from exc
        raise
    else:
        problems = _start(run, done)
        if problems:
            raise HostError(" ".join(problems))


def refresh_cdi(run: Runner) -> bool:
    """Let the CDI specification be made again, on a host that has the unit for it. It runs after what waits for us."""
    shown = run("systemctl", "show", "--property=LoadState", "--value", CDI_REFRESH, timeout_s=_TIMEOUT_S)
    if shown.stdout.strip() != "loaded":
        return False
    # At boot this unit is ordered after ours; to wait for it would be to wait for ourselves.
    done = run("systemctl", "--no-block", "restart", CDI_REFRESH, timeout_s=_TIMEOUT_S)
    must(
        done, f"{CDI_REFRESH} could not be restarted after the geometry changed, so CDI names MIG devices that are gone"
    )
    return True


def _start(run: Runner, units: t.Sequence[str]) -> list[str]:
    problems = []
    for unit in reversed(units):
        done = run("systemctl", "start", unit, timeout_s=_TIMEOUT_S)
        if done.rc != 0:
            problems.append(f"{unit} was stopped, and could not be started again: {done.last_words}.")
    return problems
