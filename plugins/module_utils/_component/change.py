# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Runs a plan as one transaction, up to the commit and the clean-up after it."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._errors import HostError
from .._package_manager import Manager
from .._runner import Runner, must
from . import fs_entry, packages, policy, ready, units, users
from . import journal as journals
from .changes import PathChange, UserChange
from .fs_entry import Entry
from .journal import Journal
from .plan import Plan
from .ready import RunEnvironment
from .steps import Reach
from .store import Ledger, Store, pack
from .validators import validate

# An initramfs for each kernel of a slow host takes minutes.
APPLY_TIMEOUT_S = 900


def swap_before_packages(plan: Plan, journal: Journal, store: Store, run: Runner) -> None:
    """Put in place what the package manager reads, before it is asked. It is undone with the rest."""
    _remember_paths(plan.before_packages, journal, store)
    journal.save(store)
    for change in plan.before_packages:
        _ensure_parent(change.path)
        if change.after.kind != "absent":
            _stage(change)
    for change in plan.before_packages:
        validate(change, plan.before_packages, run)
    for change in plan.before_packages:
        fs_entry.swap_in(change.path, change.after)


def apply(plan: Plan, journal: Journal, store: Store, env: RunEnvironment, reach: Reach) -> list[dict[str, t.Any]]:
    """Everything after the packages, up to the commit. Returns how each readiness condition was met.

    What comes before packages is among it when no package had to be asked for.

    Whatever is raised here leaves the host half changed: the caller undoes the journal.
    """
    run = env.run
    reach("journal")
    _remember(plan, journal, store)
    reach("hold")
    packages.set_holds(plan.holds, manager=t.cast(Manager, journal.manager), run=run)
    reach("users")
    for user in plan.users:
        _change_user(user, run)
    directories = [change for change in plan.paths if change.after.kind == "directory"]
    others = [*plan.before_packages, *(change for change in plan.paths if change.after.kind != "directory")]
    reach("directories")
    for change in directories:
        fs_entry.make_directory(change.path, _resolved(change))
    for change in plan.before_packages:
        _ensure_parent(change.path)
    reach("stage")
    for change in others:
        if change.after.kind != "absent":
            _stage(change)
    reach("validate")
    for change in (*others, *plan.revalidated):
        validate(change, others, run)
    reach("stop")
    if plan.units.stop or plan.units.disable:
        _touch_units(journal, store)
    units.stop(plan.units.stop, run)
    masked = set(plan.units.unmask)
    units.set_enabled([name for name in plan.units.disable if name not in masked], enabled=False, run=run)
    # While systemd still knows where it is.
    units.remove_caches(plan.units.clean, run)
    reach("swap")
    for change in others:
        fs_entry.swap_in(change.path, change.after)
    reach("apply")
    for change in others:
        if change.effect.command:
            must(run(*change.effect.command, timeout_s=APPLY_TIMEOUT_S), f"{change.path} could not be applied")
    reach("reread")
    if plan.units.reread:
        units.daemon_reload(run)
    # A unit that ends with another status than 0 when it is stopped has failed, too.
    units.reset_failed((*plan.units.stop, *plan.units.reset), run)
    reach("enable")
    units.unmask(plan.units.unmask, run)
    units.set_enabled([name for name in plan.units.disable if name in masked], enabled=False, run=run)
    units.set_enabled(plan.units.enable, enabled=True, run=run)
    units.mask(plan.units.mask, run)
    reach("start")
    if plan.units.activated:
        _touch_units(journal, store)
    units.enqueue("start", plan.units.start, run)
    units.enqueue("restart", plan.units.restart, run)
    units.enqueue("reload-or-restart", plan.units.reload, run)
    reach("ready")
    reports = ready.wait(plan.ready, plan.units.activated, settle_s=plan.ledger.settle_s, env=env)
    reach("commit")
    commit(plan, journal, store)
    return reports


def commit(plan: Plan, journal: Journal, store: Store) -> None:
    """Write the ledger: from this rename on the new state counts."""
    journal.removals = list(plan.removals)
    journal.users_gone = list(plan.users_gone)
    journal.directories_gone = list(plan.directories_gone)
    journal.save(store)
    store.write_ledger(packed(plan.ledger, store, txn=journal.txn))


def packed(ledger: Ledger, store: Store, *, txn: str) -> Ledger:
    """The ledger with every original in the store."""
    paths = {
        path: {**record, "original": pack(record["original"], store)}
        if isinstance(record["original"], Entry)
        else record
        for path, record in ledger.paths.items()
    }
    return dataclasses.replace(ledger, paths=paths, txn=txn)


def clean(journal: Journal, store: Store, run: Runner) -> None:
    """What is left after the commit and after the package manager: it can be done any number of times."""
    policy.restore(journal, store)
    for path in journal.directories_gone:
        fs_entry.remove_if_empty(path)
    for user in journal.users_gone:
        if user["created"]:
            users.remove(user["name"], run, group=user.get("group"))
        else:
            users.take_from_groups(user["name"], user["groups"], run)
    ledgers = store.read_ledgers()
    if journal.component in ledgers and ledgers[journal.component].empty:
        store.remove_ledger(journal.component)
    close(store)


def close(store: Store) -> None:
    """Forget the journal, and the contents that no ledger needs."""
    journals.discard(store)
    store.forget_unused(set().union(*(ledger.blobs() for ledger in store.read_ledgers().values())))


def _remember(plan: Plan, journal: Journal, store: Store) -> None:
    journal.stage = "changing"
    _remember_paths((*plan.before_packages, *plan.paths), journal, store)
    journal.commands += [
        list(change.effect.command) for change in plan.paths if change.effect.command and change.before.kind == "file"
    ]
    journal.users += [
        {
            "name": user.desired.name,
            "created": user.create,
            "groups": list(user.add_groups),
            "before": _home_and_shell(user.desired.name),
            "group": users.own_group(user.desired.name),
        }
        for user in plan.users
    ]
    journal.activated = list(plan.units.activated)
    journal.save(store)


def _touch_units(journal: Journal, store: Store) -> None:
    journal.units_touched = True
    journal.save(store)


def _remember_paths(changes: t.Iterable[PathChange], journal: Journal, store: Store) -> None:
    known = {entry["path"] for entry in journal.paths}
    journal.paths += [
        {
            "path": change.path,
            "before": pack(change.before, store),
            "directory": change.after.kind == "directory",
        }
        for change in changes
        if change.path not in known
    ]


def _home_and_shell(name: str) -> tuple[str, str] | None:
    found = users.observe(name)
    return None if found is None else (found.home, found.shell)


def _change_user(user: UserChange, run: Runner) -> None:
    found = users.observe(user.desired.name)
    if found is None:
        users.create(user.desired, run)
    else:
        users.change(user.desired, found, run)
    users.add_to_groups(user.desired.name, user.add_groups, run)


def _resolved(change: PathChange) -> Entry:
    return dataclasses.replace(
        change.after,
        uid=fs_entry.uid_of(change.owner, change.path),
        gid=fs_entry.gid_of(change.group, change.path),
    )


def _stage(change: PathChange) -> None:
    parent = os.path.dirname(change.path)
    if not os.path.isdir(parent):
        raise HostError(f"{change.path} needs the directory {parent}, which does not exist; add it to directories")
    fs_entry.stage(change.path, _resolved(change))


def _ensure_parent(path: str) -> None:
    """Directories of the package manager's own layout, missing on a minimal system."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
