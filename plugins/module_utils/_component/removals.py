# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Removes the packages that no component has any more, after the commit."""

from __future__ import annotations

import typing as t

from .._package_manager import Manager
from .._runner import Runner, must
from . import packages
from .journal import Journal
from .store import Store


def still_there(journal: Journal, run: Runner) -> str:
    """Names of the packages that had to be removed and are not."""
    if not journal.removals:
        return ""
    found = packages.observe(sorted(journal.removals), t.cast(Manager, journal.manager), run)
    return ", ".join(name for name in found if found[name].version is not None)


def keep_dependencies(journal: Journal, store: Store, run: Runner) -> None:
    """What others need stays, as a dependency of theirs. What came along with the rest goes with it, unless a component
    has it. dnf does the latter by itself."""
    if journal.manager == "apt":
        owned = {name for ledger in store.read_ledgers().values() for name in ledger.packages}
        needed = packages.needed_by_others(journal.removals, owned, run)
        if needed:
            must(run("apt-mark", "auto", *needed), f"{', '.join(needed)} could not be left to those that need it")
        going = [name for name in journal.removals if name not in needed]
        orphans = set(packages.orphaned_by(going, run)) - owned if going else set()
        journal.removals = [*going, *sorted(orphans)]
        journal.save(store)
