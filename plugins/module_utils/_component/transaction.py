# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Runs a plan as one transaction, and takes one back."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import tempfile
import typing as t

from .._errors import HostError
from .._runner import NOT_FOUND, Runner, must
from . import journal as journals
from . import lists, lock, mend, node, packages, ready, units, users
from .changes import NOTHING, PathChange, UserChange
from .journal import Journal
from .node import Node
from .plan import Plan
from .ready import Tools
from .repositories import Manager
from .store import Ledger, Store, pack, unpack
from .wanted import WantedPackage

Step = t.Literal[
    "journal",
    "hold",
    "users",
    "directories",
    "stage",
    "validate",
    "stop",
    "swap",
    "apply",
    "reread",
    "enable",
    "begin",
    "ready",
    "commit",
    "clean",
]
STEPS: tuple[Step, ...] = t.get_args(Step)
# What the engine does around the steps: before the package manager works, after the commit, and on the way back.
Phase = t.Literal["repositories", "packages", "removals", "undo", "restore", "resume", "close"]
PHASES: tuple[Phase, ...] = t.get_args(Phase)
# It is told each step and phase before it begins.
Reach = t.Callable[[str], None]

# Ansible's apt module lets nothing start by this file while it works, and takes it away; unless it is killed.
_POLICY = "/usr/sbin/policy-rc.d"
_NOTHING_STARTS = b"#!/bin/sh\nexit 101\n"
_VALIDATE_TIMEOUT_S = 60
# An initramfs for each kernel of a slow host takes minutes.
_APPLY_TIMEOUT_S = 900


class _NotInstalled(HostError):
    """The program that validates is not there."""


def swap_early(plan: Plan, journal: Journal, store: Store, run: Runner) -> None:
    """Put in place what the package manager reads, before it is asked. It is undone with the rest."""
    _remember_paths(plan.early, journal, store)
    journal.save(store)
    for change in plan.early:
        _ensure_parent(change.path)
        if change.after.kind != "absent":
            _stage(change)
    for change in plan.early:
        validate(change, plan.early, run)
    for change in plan.early:
        node.swap_in(change.path, change.after)


def change(plan: Plan, journal: Journal, store: Store, tools: Tools, reach: Reach) -> list[dict[str, t.Any]]:
    """Everything after the packages, up to the commit. Returns how each readiness condition was met.

    What is early is among it when no package had to be asked for.

    Whatever is raised here leaves the host half changed: the caller undoes the journal.
    """
    run = tools.run
    reach("journal")
    _remember(plan, journal, store)
    reach("hold")
    for name, held in plan.holds:
        packages.set_hold(name, held=held, manager=t.cast(Manager, journal.manager), run=run)
    reach("users")
    for user in plan.users:
        _change_user(user, run)
    directories = [change for change in plan.paths if change.after.kind == "directory"]
    others = [*plan.early, *(change for change in plan.paths if change.after.kind != "directory")]
    reach("directories")
    for change in directories:
        node.make_directory(change.path, _resolved(change))
    for change in plan.early:
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
    reach("swap")
    for change in others:
        node.swap_in(change.path, change.after)
    reach("apply")
    for change in others:
        if change.effect.command:
            must(run(*change.effect.command, timeout_s=_APPLY_TIMEOUT_S), f"{change.path} could not be applied")
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
    reach("begin")
    if plan.units.begun:
        _touch_units(journal, store)
    units.begin("start", plan.units.start, run)
    units.begin("restart", plan.units.restart, run)
    units.begin("reload-or-restart", plan.units.reload, run)
    reach("ready")
    reports = ready.wait(plan.ready, plan.units.begun, settle_s=plan.ledger.settle_s, tools=tools)
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
        path: {**claim, "original": pack(claim["original"], store)} if isinstance(claim["original"], Node) else claim
        for path, claim in ledger.paths.items()
    }
    return dataclasses.replace(ledger, paths=paths, txn=txn)


def remember_policy(journal: Journal, store: Store) -> None:
    """Note what decides whether packages may start their services, before the package manager's own policy."""
    if journal.manager == "apt":
        journal.policy = pack(node.read(_POLICY), store)


def _give_back_policy(journal: Journal, store: Store) -> None:
    if journal.policy is not None and node.read(_POLICY).content == _NOTHING_STARTS:
        node.put(_POLICY, unpack(journal.policy, store))


@contextlib.contextmanager
def _nothing_starts(journal: Journal, store: Store) -> t.Iterator[None]:
    node.put(_POLICY, Node("file", content=_NOTHING_STARTS, mode=0o755, uid=0, gid=0))
    try:
        yield
    finally:
        _give_back_policy(journal, store)


def mend_packages(asked: t.Sequence[WantedPackage], journal: Journal, store: Store, run: Runner) -> None:
    """End what a killed dpkg left behind, before the package manager is asked for these packages."""
    if journal.manager != "apt":
        return
    names = [wanted.name for wanted in asked]
    found = packages.observe(names, "apt", run)
    if all(state.whole for state in found.values()) and not mend.interrupted():
        return
    with _nothing_starts(journal, store):
        mend.configure(run)
        # A torn package that is to have another version is for the package manager.
        stay = [
            item for item in asked if packages.matches(item, dataclasses.replace(found[item.name], whole=True), "apt")
        ]
        _unpack_again([item.name for item in stay], run)


def still_there(journal: Journal, run: Runner) -> str:
    """Names of the packages that had to be removed and are not."""
    if not journal.removals:
        return ""
    found = packages.observe(sorted(journal.removals), t.cast(Manager, journal.manager), run)
    return ", ".join(name for name in found if found[name].version is not None)


def settle_removals(journal: Journal, run: Runner) -> None:
    """What was caught while it was removed goes here, so that the package manager can do the rest."""
    if journal.manager == "apt":
        if mend.interrupted():
            mend.settle(run)
        found = packages.observe(sorted(journal.removals), "apt", run)
        # What is not whole is not installed in the eyes of Ansible's apt, which would leave it there.
        rest = [name for name in found if found[name].version is not None and not found[name].whole]
        if rest:
            mend.remove(rest, run)


def settle_dependencies(journal: Journal, store: Store, run: Runner) -> None:
    """What others need stays, as a dependency of theirs. What came along with the rest goes with it, unless a component
    has it. dnf does the latter by itself."""
    if journal.manager == "apt":
        claimed = {name for ledger in store.read_ledgers().values() for name in ledger.packages}
        needed = packages.needed_by_others(journal.removals, claimed, run)
        if needed:
            must(run("apt-mark", "auto", *needed), f"{', '.join(needed)} could not be left to those that need it")
        going = [name for name in journal.removals if name not in needed]
        orphans = set(packages.orphaned_by(going, run)) - claimed if going else set()
        journal.removals = [*going, *sorted(orphans)]
        journal.save(store)


def _unpack_again(names: t.Collection[str], run: Runner) -> None:
    found = packages.observe(sorted(names), "apt", run)
    torn = {name: t.cast(str, found[name].version) for name in found if found[name].torn}
    if torn:
        lists.bring([WantedPackage(name, True, version, False, NOTHING) for name, version in torn.items()], "apt", run)
        mend.reinstall([packages.exact_name(name, version, "apt") for name, version in torn.items()], run)


def clean(journal: Journal, store: Store, run: Runner) -> None:
    """What is left after the commit and after the package manager: it can be done any number of times."""
    _give_back_policy(journal, store)
    for path in journal.directories_gone:
        node.remove_if_empty(path)
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


def undo_paths(journal: Journal, store: Store, run: Runner) -> None:
    """Bring files, links, directories and users back to what the journal remembers.

    Units that did not run are stopped and disabled first, while their files are still there.
    """
    _give_back_policy(journal, store)
    seen = units.observe(sorted(journal.units_before), run)
    begun = _begun(journal, seen)
    # A user that runs something cannot be removed; these units begin again in any case.
    ours = begun if any(user["created"] for user in journal.users) else set()
    idle = {name for name, was in journal.units_before.items() if not was["active"]}
    units.stop(sorted(ours | (idle if journal.units_touched else idle & begun)), run)
    seen = units.observe(sorted(journal.units_before), run)
    enabled = [name for name, unit in seen.items() if unit.file_state.startswith("enabled")]
    units.set_enabled([name for name in enabled if not journal.units_before[name]["enabled"]], enabled=False, run=run)
    for entry in reversed(journal.paths):
        node.discard(node.staged_path(entry["path"]))
        before = unpack(entry["before"], store)
        if before.kind == "absent" and entry["directory"]:
            node.remove_if_empty(entry["path"])
        elif node.read(entry["path"]) != before:
            node.put(entry["path"], before)
    for user in journal.users:
        if user["created"]:
            users.remove(user["name"], run, group=user.get("group"))
            continue
        users.take_from_groups(user["name"], user["groups"], run)
        if user["before"] is not None:
            home, shell = user["before"]
            users.restore(user["name"], home, shell, run)


def _begun(journal: Journal, seen: t.Mapping[str, units.Unit]) -> set[str]:
    """Units that may run with what is taken back: the transaction began them, or the host did, by a boot or a
    package's script."""
    elsewhere = {
        name
        for name, was in journal.units_before.items()
        if seen[name].running and seen[name].invocation != was.get("invocation", seen[name].invocation)
    }
    return elsewhere | (set(journal.begun) if journal.units_touched else set())


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
        _mend_to_restore(journal, store, run)
        now = packages.observe(sorted(journal.packages_before), manager, run)
    remove: list[str] = []
    install: dict[str, WantedPackage] = {}
    early: list[str] = []
    for name, before in journal.packages_before.items():
        if now[name].version == before["version"] and now[name].whole:
            continue
        if now[name].held:
            packages.set_hold(name, held=False, manager=manager, run=run)
        if before["version"] is None:
            remove.append(name)
        else:
            exact = packages.exact_name(name, before["version"], manager)
            install[exact] = WantedPackage(name, True, before["version"], False, NOTHING)
            if before.get("early"):
                early.append(exact)
    # The lists of the earlier repositories are not on the host while those of the new ones are.
    lists.bring(list(install.values()), manager, run)
    rest = tuple(exact for exact in install if exact not in early)
    works = (
        packages.Work("absent", tuple(remove)),
        packages.Work("present", tuple(early)),
        packages.Work("present", rest),
    )
    return tuple(work for work in works if work.names)


def _mend_to_restore(journal: Journal, store: Store, run: Runner) -> None:
    """Make packages that apt cannot bring back ready for it. What is to go to another version is not configured first:
    its script may be what hangs."""
    if mend.interrupted():
        mend.settle(run)
    found = packages.observe(sorted(journal.packages_before), "apt", run)
    before = {name: was["version"] for name, was in journal.packages_before.items()}
    # What is not whole is not installed in the eyes of Ansible's apt, which would leave it there.
    new = [name for name in found if before[name] is None and found[name].version is not None and not found[name].whole]
    same = [name for name in found if found[name].version == before[name] and not found[name].whole]
    if not new and not same:
        return
    with _nothing_starts(journal, store):
        if new:
            mend.remove(new, run)
        _unpack_again(same, run)
        if any(not state.whole for state in packages.observe(same, "apt", run).values()):
            mend.configure(run)


def resume_units(journal: Journal, old: Ledger, tools: Tools) -> None:
    """After files and packages are back: holds and units as before, and the old state ready again.

    HostError when it does not become so; nothing is left to do about it here.
    """
    run = tools.run
    applied = [run(*command, timeout_s=_APPLY_TIMEOUT_S) for command in journal.commands]
    if journal.packages_before:
        now = packages.observe(sorted(journal.packages_before), t.cast(Manager, journal.manager), run)
        for name, before in journal.packages_before.items():
            if now[name].held != before["held"] and now[name].version is not None:
                packages.set_hold(name, held=before["held"], manager=t.cast(Manager, journal.manager), run=run)
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
    begun_before = _begun(journal, seen)
    again: list[str] = []
    start: list[str] = []
    for name, before in journal.units_before.items():
        if before["enabled"] and seen[name].exists and not seen[name].starts_at_boot:
            units.set_enabled([name], enabled=True, run=run)
        if before["masked"]:
            units.mask([name], run)
        if before["active"]:
            (again if name in begun_before else start).append(name)
    start = [name for name in start if not seen[name].running]
    units.begin("restart", again, run)
    units.begin("start", start, run)
    begun = [*again, *start]
    if begun:
        conditions = [item for item in old.ready if item.get("unit") in (None, *begun)]
        ready.wait(conditions, begun, settle_s=old.settle_s, tools=tools)
    for done in applied:
        must(done, "the earlier file is back, but could not be applied")


def validate(change: PathChange, beside: t.Iterable[PathChange], run: Runner) -> None:
    """Let the program that will read a staged file accept it. ``beside`` are the other changes that are staged."""
    if not change.validate or change.after.kind != "file":
        return
    if change.validate_as is None and not change.validate_with:
        _run_validator(change, node.staged_path(change.path), run)
        return
    with tempfile.TemporaryDirectory(prefix=".mlops-", dir=os.path.dirname(change.path)) as directory:
        _run_validator(change, _copy(change, beside, directory), run)


def rehearse(changes: t.Sequence[PathChange], run: Runner, *, pending: bool) -> list[str]:
    """Validate in check mode, on copies outside the host's places.

    Returns the files that only a real run can validate: the validator is not there yet, or ``pending`` packages may
    bring what it misses.
    """
    later = []
    for change in changes:
        if change.validate and change.after.kind == "file":
            with tempfile.TemporaryDirectory(prefix="mlops.hosts-") as directory:
                try:
                    _run_validator(change, _copy(change, changes, directory), run)
                except HostError as exc:
                    if not pending and not isinstance(exc, _NotInstalled):
                        raise
                    later.append(f"{change.path}: {change.validate[0]}")
    return later


def _copy(change: PathChange, beside: t.Iterable[PathChange], directory: str) -> str:
    """A copy of the new file for its validator, in which the names of ``validate_with`` lead to copies of their new
    contents: none of them is in its place yet."""
    content = change.after.content or b""
    for number, other in enumerate(beside):
        if other.path in change.validate_with and other.after.kind == "file":
            named = os.path.join(directory, f".{number}-{os.path.basename(other.path)}")
            _write_private(named, other.after.content or b"")
            whole_name = rb"(?<![\w./-])" + re.escape(other.path.encode()) + rb"(?![\w./-])"
            content = named.encode().join(re.split(whole_name, content))
    copy = os.path.join(directory, change.validate_as or os.path.basename(change.path))
    _write_private(copy, content)
    return copy


def _write_private(path: str, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as out:
        out.write(content)


def _run_validator(change: PathChange, path: str, run: Runner) -> None:
    argv = [part.replace("{staged}", path) for part in change.validate]
    done = run(*argv, timeout_s=_VALIDATE_TIMEOUT_S)
    if done.rc == NOT_FOUND:
        raise _NotInstalled(f"{change.path} cannot be validated: {argv[0]} is not installed")
    if change.secret and done.rc != 0:
        raise HostError(f"{change.path} is refused by {argv[0]} (answer {done.rc}); its words are kept back: secret")
    must(done, f"the new {change.path} is refused, the old one stays")


def _remember(plan: Plan, journal: Journal, store: Store) -> None:
    journal.stage = "changing"
    _remember_paths((*plan.early, *plan.paths), journal, store)
    journal.commands += [
        list(change.effect.command) for change in plan.paths if change.effect.command and change.before.kind == "file"
    ]
    journal.users += [
        {
            "name": user.wanted.name,
            "created": user.create,
            "groups": list(user.add_groups),
            "before": _home_and_shell(user.wanted.name),
            "group": users.own_group(user.wanted.name),
        }
        for user in plan.users
    ]
    journal.begun = list(plan.units.begun)
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
    found = users.observe(user.wanted.name)
    if found is None:
        users.create(user.wanted, run)
    else:
        users.change(user.wanted, found, run)
    users.add_to_groups(user.wanted.name, user.add_groups, run)


def _resolved(change: PathChange) -> Node:
    return dataclasses.replace(
        change.after,
        uid=node.uid_of(change.owner, change.path),
        gid=node.gid_of(change.group, change.path),
    )


def _stage(change: PathChange) -> None:
    parent = os.path.dirname(change.path)
    if not os.path.isdir(parent):
        raise HostError(f"{change.path} needs the directory {parent}, which does not exist; add it to directories")
    node.stage(change.path, _resolved(change))


def _ensure_parent(path: str) -> None:
    """Directories of the package manager's own layout, missing on a minimal system."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
