# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What gpu_settings and mig_layout return in check mode, without Ansible."""

from __future__ import annotations

import typing as t

from .._errors import HostError
from .._runner import Runner
from . import mig_apply, settings_apply
from .result import Options, Result
from .smi import Smi


def options(params: t.Mapping[str, t.Any]) -> Options:
    """Of the parameters of either module."""
    return Options(
        reset=params["reset"] == "when_idle",
        services=tuple(params["services"]),
        cdi_refresh=params.get("cdi_refresh", True),
    )


def settings(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """The return values of gpu_settings; those of a failure have ``failed``. None where it would change something."""
    return _compared(settings_apply.converge, params, run=run, check_mode=check_mode)


def mig(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """The same of mig_layout."""
    return _compared(mig_apply.converge, params, run=run, check_mode=check_mode)


def _compared(
    converge: t.Callable[..., Result], params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool
) -> dict[str, t.Any] | None:
    if not check_mode:
        return None
    try:
        smi = Smi(run, timeout_s=params["timeout_s"])
        return converge(smi, params["devices"], options(params), dry_run=True).must().as_result()
    except HostError as exc:
        return exc.as_result()
