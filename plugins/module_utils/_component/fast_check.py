# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A check that finds hosts that are right, without Ansible: most are, most of the time."""

from __future__ import annotations

import os
import typing as t

from .._runner import Runner
from .desired import STATE_DIR, Component, parse
from .result import adopts, compare, returned
from .store import Store


def fast_check(params: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """The module's return values for a host that is right. None when it is not, or when only the module can tell."""
    if os.geteuid() != 0:
        return None  # the module says what it needs root for
    return fast_check_at(parse(params), Store(STATE_DIR), run, check_mode=check_mode)


def fast_check_at(component: Component, store: Store, run: Runner, *, check_mode: bool) -> dict[str, t.Any] | None:
    """Nothing is changed and no lock is taken: while another run changes the host, its journal lies there.

    What one that was killed has left is for the module to clear away.
    """
    if store.litter() or any(os.path.lexists(path) for path in store.journal_paths):
        return None
    planned = compare(component, store, run)
    # In check mode the ledger is not written either.
    return returned(planned) if planned.empty and (check_mode or not adopts(planned, store)) else None
