# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Repairs packages that a killed dpkg left half installed, so that the package manager can work."""

from __future__ import annotations

import dataclasses
import typing as t

from .._runner import Runner
from . import dpkg_repair, package_index, packages
from .changes import NOTHING
from .desired import DesiredPackage
from .journal import Journal
from .policy import nothing_starts
from .store import Store


def before_install(to_install: t.Sequence[DesiredPackage], journal: Journal, store: Store, run: Runner) -> None:
    """End what a killed dpkg left behind, before the package manager is asked for these packages."""
    if journal.manager != "apt":
        return
    names = [desired.name for desired in to_install]
    found = packages.observe(names, "apt", run)
    if all(state.whole for state in found.values()) and not dpkg_repair.interrupted():
        return
    with nothing_starts(journal, store):
        dpkg_repair.configure(run)
        # A torn package that is to have another version is for the package manager.
        whole = {name: dataclasses.replace(state, whole=True) for name, state in found.items()}
        stay = [item.name for item in to_install if packages.matches(item, whole[item.name], "apt")]
        _unpack_again(stay, run)


def before_removal(journal: Journal, run: Runner) -> None:
    """What was caught while it was removed goes here, so that the package manager can do the rest."""
    if journal.manager == "apt":
        if dpkg_repair.interrupted():
            dpkg_repair.merge_updates(run)
        found = packages.observe(sorted(journal.removals), "apt", run)
        # What is not whole is not installed in the eyes of Ansible's apt, which would leave it there.
        rest = [name for name in found if found[name].version is not None and not found[name].whole]
        if rest:
            dpkg_repair.remove(rest, run)


def before_restore(journal: Journal, store: Store, run: Runner) -> None:
    """Make packages that apt cannot bring back ready for it. What is to go to another version is not configured first:
    its script may be what hangs."""
    if dpkg_repair.interrupted():
        dpkg_repair.merge_updates(run)
    found = packages.observe(sorted(journal.packages_before), "apt", run)
    before = {name: was["version"] for name, was in journal.packages_before.items()}
    # What is not whole is not installed in the eyes of Ansible's apt, which would leave it there.
    new = [name for name in found if before[name] is None and found[name].version is not None and not found[name].whole]
    same = [name for name in found if found[name].version == before[name] and not found[name].whole]
    if not new and not same:
        return
    with nothing_starts(journal, store):
        if new:
            dpkg_repair.remove(new, run)
        _unpack_again(same, run)
        if any(not state.whole for state in packages.observe(same, "apt", run).values()):
            dpkg_repair.configure(run)


def _unpack_again(names: t.Collection[str], run: Runner) -> None:
    found = packages.observe(sorted(names), "apt", run)
    torn = {name: t.cast(str, found[name].version) for name in found if found[name].torn}
    if torn:
        package_index.ensure(
            [DesiredPackage(name, True, version, False, NOTHING) for name, version in torn.items()], "apt", run
        )
        dpkg_repair.reinstall([packages.exact_name(name, version, "apt") for name, version in torn.items()], run)
