# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Takes a transaction back, from what its journal remembers."""

from __future__ import annotations

import typing as t

from .._package_manager import Manager
from .._runner import Runner, must
from . import broken_packages, fs_entry, lock, package_index, packages, policy, ready, units, users
from .change import APPLY_TIMEOUT_S
from .changes import NOTHING
from .desired import DesiredPackage
from .journal import Journal
from .ready import RunEnvironment
from .store import Ledger, Store, unpack


def undo_paths(journal: Journal, store: Store, run: Runner) -> None:
    """Bring files, links, directories and users back to what the journal remembers.

    Units that did not run are stopped and disabled first, while their files are still there.
    """
    policy.restore(journal, store)
    seen = units.observe(sorted(journal.units_before), run)
    activated = _activated(journal, seen)
    # A user that runs something cannot be removed; these units begin again in any case.
    ours = activated if any(user["created"] for user in journal.users) else set()
    # Nor would the file that comes back know how to stop what another one started.
    new = {units.defines(entry["path"]) for entry in journal.paths if entry["before"]["kind"] == "absent"}
    ours |= activated & new
    idle = {name for name, was in journal.units_before.items() if not was["active"]}
    units.stop(sorted(ours | (idle if journal.units_touched else idle & activated)), run)
    seen = units.observe(sorted(journal.units_before), run)
    enabled = [name for name, unit in seen.items() if unit.file_state.startswith("enabled")]
    units.set_enabled([name for name in enabled if not journal.units_before[name]["enabled"]], enabled=False, run=run)
    # One that has had another file keeps its cache.
    new -= {units.defines(entry["path"]) for entry in journal.paths if entry["before"]["kind"] == "file"}
    units.remove_caches([name for name, unit in seen.items() if name in new and unit.has_cache], run)
    for entry in reversed(journal.paths):
        fs_entry.discard(fs_entry.staged_path(entry["path"]))
        before = unpack(entry["before"], store)
        if before.kind == "absent" and entry["directory"]:
            fs_entry.remove_if_empty(entry["path"])
        elif fs_entry.read(entry["path"]) != before:
            fs_entry.put(entry["path"], before)
    for user in journal.users:
        if user["created"]:
            users.remove(user["name"], run, group=user.get("group"))
            continue
        users.take_from_groups(user["name"], user["groups"], run)
        if user["before"] is not None:
            home, shell = user["before"]
            users.restore(user["name"], home, shell, run)


def _activated(journal: Journal, seen: t.Mapping[str, units.Unit]) -> set[str]:
    """Units that may run with what is taken back: the transaction began them, or the host did, by a boot or a
    package's script."""
    elsewhere = {
        name
        for name, was in journal.units_before.items()
        if seen[name].running and seen[name].invocation != was.get("invocation", seen[name].invocation)
    }
    return elsewhere | (set(journal.activated) if journal.units_touched else set())


def packages_to_restore(
    journal: Journal, store: Store, run: Runner, *, lock_timeout_s: float = 0
) -> tuple[packages.Work, ...]:
    """What the package manager has to do to bring the journal's packages back.

    Locks in its way are opened; resume_units closes them again.
    """
    if not journal.packages_before:
        return ()
    manager = t.cast(Manager, journal.manager)
    now = packages.observe(sorted(journal.packages_before), manager, run)
    if all(now[name].version == was["version"] and now[name].whole for name, was in journal.packages_before.items()):
        return ()
    lock.wait_for_package_manager(lock_timeout_s)
    if manager == "apt":
        broken_packages.before_restore(journal, store, run)
        now = packages.observe(sorted(journal.packages_before), manager, run)
    remove: list[str] = []
    install: dict[str, DesiredPackage] = {}
    first: list[str] = []
    holds: list[tuple[str, bool]] = []
    for name, before in journal.packages_before.items():
        if now[name].version == before["version"] and now[name].whole:
            continue
        if now[name].held:
            holds.append((name, False))
        if before["version"] is None:
            remove.append(name)
        else:
            exact = packages.exact_name(name, before["version"], manager)
            install[exact] = DesiredPackage(name, True, before["version"], False, NOTHING)
            if before.get("before_packages"):
                first.append(exact)
    packages.set_holds(holds, manager=manager, run=run)
    # The lists of the earlier repositories are not on the host while those of the new ones are.
    package_index.ensure(list(install.values()), manager, run)
    rest = tuple(exact for exact in install if exact not in first)
    works = (
        packages.Work("absent", tuple(remove)),
        packages.Work("present", tuple(first)),
        packages.Work("present", rest),
    )
    return tuple(work for work in works if work.names)


def resume_units(journal: Journal, old: Ledger, env: RunEnvironment) -> None:
    """After files and packages are back: holds and units as before, and the old state ready again.

    HostError when it does not become so; nothing is left to do about it here.
    """
    run = env.run
    applied = [run(*command, timeout_s=APPLY_TIMEOUT_S) for command in journal.commands]
    if journal.packages_before:
        manager = t.cast(Manager, journal.manager)
        now = packages.observe(sorted(journal.packages_before), manager, run)
        holds = [
            (name, before["held"])
            for name, before in journal.packages_before.items()
            if now[name].held != before["held"] and now[name].version is not None
        ]
        packages.set_holds(holds, manager=manager, run=run)
    if any(units.is_unit_file(entry["path"]) for entry in journal.paths):
        units.daemon_reload(run)
    seen = units.observe(sorted(journal.units_before), run)
    units.unmask(
        [name for name, before in journal.units_before.items() if seen[name].masked and not before["masked"]], run
    )
    ours = [
        name for name, before in journal.units_before.items() if not (before["active"] or before.get("failed", True))
    ]
    units.reset_failed([name for name in ours if seen[name].failed], run)
    activated_before = _activated(journal, seen)
    again: list[str] = []
    reload: list[str] = []
    start: list[str] = []
    for name, before in journal.units_before.items():
        if before["enabled"] and seen[name].exists and not seen[name].starts_at_boot:
            units.set_enabled([name], enabled=True, run=run)
        if before["masked"]:
            units.mask([name], run)
        if before["active"]:
            # One that is still the same was reloaded at most: what it does for others goes on.
            same = seen[name].running and seen[name].invocation == before.get("invocation")
            (start if name not in activated_before else reload if same else again).append(name)
    start = [name for name in start if not seen[name].running]
    units.enqueue("restart", again, run)
    units.enqueue("reload-or-restart", reload, run)
    units.enqueue("start", start, run)
    activated = [*again, *reload, *start]
    if activated:
        conditions = [item for item in old.ready if item.get("unit") in (None, *activated)]
        ready.wait(conditions, activated, settle_s=old.settle_s, env=env)
    for done in applied:
        must(done, "the earlier file is back, but could not be applied")
