# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One call on the host: what the action plugin's loop talks to.

The controller and the host share one transaction in up to four calls. The host keeps all state in its journal; the
controller only asks, lets the package manager work when the answer holds ``work``, and asks again::

    call 1   nothing differs → done.   No package differs → change, done.   Else: repositories in place, ``work``
    call 2   the packages are there → change, done (or ``work`` with packages to remove).   They failed → undo
    call 3   the removals are done → clean up, done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import time
import typing as t

from .._errors import HostError
from .._package_manager import Manager
from .._runner import Runner
from . import (
    broken_packages,
    change,
    diff,
    lock,
    observe,
    package_index,
    policy,
    ready,
    removals,
    requirements,
    selection,
    sources,
    undo,
    validators,
)
from . import journal as journals
from .desired import Component
from .journal import Journal
from .packages import Move, Work, set_holds
from .plan import Plan
from .ready import RunEnvironment
from .result import adopts, compare, returned, waiting
from .steps import Reach
from .store import Ledger, Store

_POLL_S = 1.0


@dataclasses.dataclass(frozen=True)
class Request:
    """``run`` is the controller's name for this run, the same in all its calls; ``work_error`` what the package manager
    said when it failed; ``earlier`` the repositories that earlier tasks of a run in check mode did not write."""

    component: Component
    run: str
    controller: str
    check_mode: bool
    lock_timeout_s: float
    work_error: str | None = None
    earlier: tuple[str, ...] = ()


class RolledBack(HostError):
    """A change failed and was taken back."""


def ensure(request: Request, store: Store, env: RunEnvironment, reach: Reach = lambda step: None) -> dict[str, t.Any]:
    """Bring the host one step towards the component.

    Returns the module's return values, or ``{"work", "manager"}`` when the package manager has to work first.
    """
    try:
        if request.check_mode:
            return _check(request, store, env)
        store.prepare()
        with _turn(request, store) as journal:
            return _Call(request, store, env, reach).proceed(journal)
    except OSError as exc:
        raise HostError(f"{_refused(exc)}; fix that and run again") from exc


def _check(request: Request, store: Store, env: RunEnvironment) -> dict[str, t.Any]:
    journal = journals.load(store)
    planned = compare(request.component, store, env.run)
    required = _required(planned, request, env)
    result = waiting(planned, required.pending) if required.pending else _rehearsed(planned, request, store, env.run)
    result["warnings"] += required.notices
    if journal is not None:
        _note_recovery(result, "finished" if _committed(journal, store) else "undone")
    return result


def _required(planned: Plan, request: Request, env: RunEnvironment) -> requirements.Checked:
    """HostError when the host is not as the component requires it. One that is right is not asked."""
    if planned.empty:
        return requirements.Checked()
    stopped = set(planned.units.stop) - set(planned.units.start)
    return requirements.check(request.component.requires, env.reader, stopped=stopped, check_mode=request.check_mode)


def _rehearsed(planned: Plan, request: Request, store: Store, run: Runner) -> dict[str, t.Any]:
    """The return values of check mode."""
    sources.require_readable(planned.before_packages, run)
    warnings, moves = _foresee(planned, request, store, run)
    validated = (*planned.before_packages, *planned.paths, *planned.revalidated)
    later = validators.rehearse(validated, run, pending=bool(planned.work))
    result = returned(planned, after_install=later, moves=moves)
    result["warnings"] += [*warnings, *_unfit_images(request.component, run)]
    return result


def _foresee(planned: Plan, request: Request, store: Store, run: Runner) -> tuple[list[str], t.Mapping[str, Move]]:
    """Warnings, and what the package manager would do, without reading lists again, which check mode must not.

    Young lists are believed: a real run would not find another answer. Repositories to come may have anything.
    """
    if not planned.work:
        return [], {}
    manager = t.cast(Manager, planned.manager)
    to_install = planned.to_install
    repinned = planned.repins
    trouble = None if repinned else selection.pinned_whatever_comes(to_install, manager)
    trouble = trouble or (None if repinned else selection.pinned_away(to_install, manager, run))
    if trouble is not None:
        raise HostError(trouble)
    offer = package_index.known(to_install, manager, run)
    coming = [*request.earlier, *planned.adds_sources]
    trouble = package_index.explained(to_install, offer, manager, run)
    if trouble is not None and coming:
        return [f"{trouble}; it may be in what check mode does not write: {', '.join(coming)}"], {}
    # What is still to decide on versions cannot be rehearsed.
    if trouble is None and not (coming or repinned or planned.interrupted):
        opened = _opened(planned, store)
        rehearsal = package_index.rehearse(planned.work, to_install, offer, manager, run, opened=opened)
        if rehearsal.trouble is None:
            return list(offer.complaints), rehearsal.moves
        trouble = rehearsal.trouble
    if trouble is None:
        return list(offer.complaints), package_index.chosen(to_install, offer, manager)
    if offer.fresh:
        raise HostError(trouble)
    return [f"{trouble}; a real run reads the lists again first"], {}


@contextlib.contextmanager
def _turn(request: Request, store: Store) -> t.Iterator[Journal | None]:
    """Hold the lock when no other run is in the middle of a transaction; the journal is what is left of one, if any."""
    since = time.monotonic()
    whoami = {"component": request.component.name, "controller": request.controller, "pid": os.getpid()}
    worked = float("-inf")
    while True:
        with lock.exclusive(store.lock_path, whoami=whoami, since=since, timeout_s=request.lock_timeout_s):
            journal = journals.load(store)
            worked = max(worked, lock.package_manager_worked())
            if journal is None or journal.run == request.run or not journal.alive(worked):
                yield journal
                return
        if time.monotonic() >= since + request.lock_timeout_s:
            raise HostError(
                f"component {journal.component!r} is being changed by another run, from {journal.controller}, "
                f"which waits for the package manager{_busy()}; try again when it has ended"
            )
        time.sleep(_POLL_S)


class _Call:
    def __init__(self, request: Request, store: Store, env: RunEnvironment, reach: Reach) -> None:
        self.request, self.store, self.env, self.reach = request, store, env, reach

    def proceed(self, journal: Journal | None) -> dict[str, t.Any]:
        self.store.sweep()
        if journal is None:
            return self._start("none")
        mine = journal.run == self.request.run
        if _committed(journal, self.store):
            return self._finish(journal, mine=mine)
        if mine and journal.stage == "packages":
            return self._continue(journal)
        if mine and journal.stage == "restoring":
            return self._restored(journal)
        return self._undo(journal)

    def _start(self, recovered: str) -> dict[str, t.Any]:
        planned = compare(self.request.component, self.store, self.env.run)
        if (planned.work or planned.removals) and lock.wait_for_package_manager(self.request.lock_timeout_s):
            # Who held it may have changed what is planned.
            planned = compare(self.request.component, self.store, self.env.run)
        result = returned(planned)
        _note_recovery(result, recovered)
        if planned.empty:
            self._adopt(planned)
            return result
        required = _required(planned, self.request, self.env)
        if required.pending:
            result = waiting(planned, required.pending)
            _note_recovery(result, recovered)
            return result
        sources.require_readable(planned.before_packages, self.env.run)
        ready.require_keys(planned.ready, {change.path for change in planned.paths})
        self._pull(planned)
        for why in _unfit_images(self.request.component, self.env.run):
            raise HostError(f"{why}. Nothing was changed")
        journal = Journal(
            txn=secrets.token_hex(8),
            run=self.request.run,
            component=self.request.component.name,
            controller=self.request.controller,
        )
        self._remember_host(journal)
        journal.result = result
        work = planned.work
        try:
            if planned.work or self._has_new_repository(planned):
                self.reach("repositories")
                change.swap_before_packages(planned, journal, self.store, self.env.run)
                broken_packages.before_install(planned.to_install, journal, self.store, self.env.run)
                work = self._ask_repositories(planned, result)
                self._release_holds(planned, journal)
        except Exception as exc:
            return self._fail(journal, exc)
        if not work:
            return self._change(planned, journal)
        self.reach("packages")
        return {"work": [dataclasses.asdict(part) for part in work], "manager": journal.manager}

    def _pull(self, planned: Plan) -> None:
        """Images are there before the first change, and stay: nothing runs them yet, so there is nothing to undo."""
        if planned.images:
            from .._container_runtime import images

            for image in planned.images:
                timeout_s = images.PULL_TIMEOUT_S
                images.pull(image.name, image.engine, self.env.run, timeout_s=timeout_s, mirror=image.mirror)

    def _continue(self, journal: Journal) -> dict[str, t.Any]:
        """The package manager has been at work."""
        if self.request.work_error is not None:
            return self._fail(journal, HostError(self._refused_by_manager(journal)))
        try:
            planned = compare(self.request.component, self.store, self.env.run, journal)
            if planned.work:
                names = [name for work in planned.work for name in work.names]
                raise HostError(f"the package manager reported success, but did not bring about {', '.join(names)}")
        except Exception as exc:
            return self._fail(journal, exc)
        first = journal.result or {}
        journal.result = {**returned(planned), "drift": first["drift"], "diff": first["diff"], "changed": True}
        journal.result["recovered"] = first["recovered"]
        journal.result["warnings"] = first.get("warnings", [])
        return self._change(planned, journal)

    def _change(self, planned: Plan, journal: Journal) -> dict[str, t.Any]:
        result = journal.result or {}
        try:
            result["ready"] = change.apply(planned, journal, self.store, self.env, self.reach)
            for report in result["ready"]:
                result.setdefault("warnings", []).extend(report.pop("warnings", ()))
        except Exception as exc:
            return self._fail(journal, exc)
        removal = self._ask_for_removals(journal) if planned.removals else None
        return removal or self._clean(journal)

    def _ask_for_removals(self, journal: Journal) -> dict[str, t.Any] | None:
        """None when there is nothing to remove after all, because others need it."""
        # Another run leaves it alone while the package manager works.
        journal.stage = "committed"
        journal.save(self.store)
        self.reach("removals")
        broken_packages.before_removal(journal, self.env.run)
        removals.keep_dependencies(journal, self.store, self.env.run)
        if not journal.removals:
            return None
        work = Work("absent", tuple(journal.removals))
        return {"work": [dataclasses.asdict(work)], "manager": journal.manager}

    def _clean(self, journal: Journal) -> dict[str, t.Any]:
        self.reach("clean")
        change.clean(journal, self.store, self.env.run)
        return journal.result or {}

    def _finish(self, journal: Journal, *, mine: bool) -> dict[str, t.Any]:
        """Past the commit: remove the packages that nobody needs any more, then clean up."""
        if mine:
            if self.request.work_error is not None:
                self._end(journal)
                raise HostError(
                    f"the component is changed, but its packages could not be removed: {self.request.work_error}; "
                    "the next run tries again"
                )
            left = removals.still_there(journal, self.env.run)
            if left:
                self._end(journal)
                raise HostError(
                    f"the component is changed, but the package manager reported success and did not remove {left}; "
                    "the next run tries again"
                )
            if journal.component == self.request.component.name and journal.result is not None:
                return self._clean(journal)
        if journal.removals and not mine:
            journal.run, journal.result = self.request.run, None
            removal = self._ask_for_removals(journal)
            if removal:
                return removal
        self._clean(journal)
        return self._start("finished")

    def _fail(self, journal: Journal, exc: Exception) -> dict[str, t.Any]:
        """Note why, and take everything back."""
        if isinstance(exc, HostError):
            journal.failure = {"message": str(exc), "details": exc.details}
        elif isinstance(exc, OSError):
            journal.failure = {"message": _refused(exc), "details": {}}
        else:
            journal.failure = {"message": f"this is a defect in mlops.hosts: {exc!r}", "details": {}}
        return self._undo(journal)

    def _undo(self, journal: Journal) -> dict[str, t.Any]:
        if journal.run != self.request.run:
            # Why an earlier run failed was told to that run; this one desires something of its own.
            journal.run, journal.failure = self.request.run, None
        try:
            self.reach("undo")
            undo.undo_paths(journal, self.store, self.env.run)
            works = self._works_to_restore(journal)
            if works:
                journal.stage = "restoring"
                journal.save(self.store)
                self.reach("restore")
                return {"work": [dataclasses.asdict(work) for work in works], "manager": journal.manager}
        except (HostError, OSError) as exc:
            raise self._stuck(journal, str(exc)) from exc
        return self._resume(journal)

    def _restored(self, journal: Journal) -> dict[str, t.Any]:
        if self.request.work_error is not None:
            raise self._stuck(journal, f"the packages could not be put back: {self.request.work_error}")
        try:
            works = self._works_to_restore(journal)
        except (HostError, OSError) as exc:
            raise self._stuck(journal, str(exc)) from exc
        if works:
            names = ", ".join(name for work in works for name in work.names)
            raise self._stuck(journal, f"the package manager reported success, but did not put back {names}")
        return self._resume(journal)

    def _works_to_restore(self, journal: Journal) -> tuple[Work, ...]:
        return undo.packages_to_restore(journal, self.store, self.env.run, lock_timeout_s=self.request.lock_timeout_s)

    def _resume(self, journal: Journal) -> dict[str, t.Any]:
        """Files and packages are as before: let the old state run, then say why the new one did not."""
        old = self.store.read_ledgers().get(journal.component, Ledger(journal.component))
        trouble = None
        self.reach("resume")
        try:
            undo.resume_units(journal, old, self.env)
        except (HostError, OSError) as exc:
            trouble = str(exc)
        self.reach("close")
        change.close(self.store)
        if journal.failure is None:
            if trouble is not None:
                raise RolledBack(
                    f"an interrupted change of component {journal.component!r} was taken back, "
                    f"but the earlier state does not become ready: {trouble}",
                    rolled_back=True,
                )
            return self._start("undone")
        message = f"{journal.failure['message'].rstrip('.')}. The host is as it was before"
        if trouble is not None:
            message += f", but its earlier state does not become ready either: {trouble}"
        result = journal.result or {}
        raise RolledBack(
            message,
            **{**journal.failure["details"], "drift": result.get("drift", []), "rolled_back": True},
        )

    def _stuck(self, journal: Journal, why: str) -> HostError:
        """The way back is blocked. The journal stays, so that the next run tries again."""
        self._end(journal)
        first = f"{journal.failure['message'].rstrip('.')}. " if journal.failure else ""
        return HostError(
            f"{first}The earlier state could not be brought back yet: {why}; fix that and run again",
            rolled_back=False,
        )

    def _end(self, journal: Journal) -> None:
        """This run does not come back: the next one need not wait for it."""
        journal.stage = "changing"
        with contextlib.suppress(OSError):
            journal.save(self.store)

    def _remember_host(self, journal: Journal) -> None:
        """Packages and units as they are before anything moves."""
        component = self.request.component
        owned = self.store.read_ledgers().get(component.name, Ledger(component.name))
        seen = observe.observe(component, owned, self.store, self.env.run)
        journal.manager = seen.manager
        policy.record(journal, self.store)
        first = {name for name, record in owned.packages.items() if record.get("before_packages")}
        first |= {desired.name for desired in component.packages if desired.before_packages}
        journal.packages_before = {
            name: {"version": found.version, "held": found.held, "before_packages": name in first}
            for name, found in seen.packages.items()
        }
        journal.units_before = {
            name: {
                "invocation": found.invocation,
                "active": found.running,
                "failed": found.failed,
                # What a generator has enabled comes and goes with its file.
                "enabled": found.starts_at_boot and found.file_state != "generated",
                "masked": found.masked,
            }
            for name, found in seen.units.items()
        }

    def _has_new_repository(self, planned: Plan) -> bool:
        """Whether apt is to be asked if it can read one. dnf looks at keys when it installs, and not before."""
        return planned.manager == "apt" and bool(planned.before_packages and self.request.component.repositories)

    def _ask_repositories(self, planned: Plan, result: dict[str, t.Any]) -> tuple[Work, ...]:
        """Refuse what no repository has, before anything is installed, and a repository that cannot be used. Returns
        the work in the words of what they have."""
        if not planned.work and not self._has_new_repository(planned):
            return planned.work
        manager = t.cast(Manager, planned.manager)
        if planned.to_install or self._has_new_repository(planned):
            changed = bool(planned.before_packages)
            offer = package_index.refreshed(planned.to_install, manager, self.env.run, changed=changed)
        else:
            offer = package_index.known((), manager, self.env.run)  # to remove packages no list is needed
        if planned.before_packages:
            package_index.require_new(self.request.component.repositories, offer)
        trouble = package_index.explained(planned.to_install, offer, manager, self.env.run)
        work = package_index.spelled(planned.work, planned.to_install, offer, manager)
        # Early packages may change what holds for the others.
        if trouble is None and not any(desired.before_packages for desired in planned.to_install):
            trouble = selection.pinned_away(planned.to_install, manager, self.env.run)
            if trouble is None and work:
                opened = _opened(planned, self.store)
                rehearsal = package_index.rehearse(
                    work, planned.to_install, offer, manager, self.env.run, opened=opened
                )
                trouble = rehearsal.trouble
                result["diff"] = diff.entries(planned, rehearsal.moves)
        if trouble is not None:
            raise HostError(trouble)
        result["warnings"] += [
            f"the package lists could not be read again, those from before were used: {text}"
            for text in offer.complaints
        ]
        return work

    def _refused_by_manager(self, journal: Journal) -> str:
        names = ", ".join(journal.packages_changed) or "the packages"
        said = package_index.reason(self.request.work_error or "")
        return "; ".join([f"{names} could not be changed: {said}", *(journal.result or {}).get("warnings", ())])

    def _release_holds(self, planned: Plan, journal: Journal) -> None:
        """A held package cannot change, nor make way or go along; the holds come back with the rest of the plan."""
        journal.packages_changed = list(planned.packages_changed)
        journal.save(self.store)
        held = [name for name in _opened(planned, self.store) if journal.packages_before[name]["held"]]
        manager = t.cast(t.Any, journal.manager)
        set_holds([(name, False) for name in held], manager=manager, run=self.env.run)

    def _adopt(self, planned: Plan) -> None:
        """Nothing differs, but what is there may not be ours yet."""
        if not adopts(planned, self.store):
            return
        if planned.ledger.empty:
            self.store.remove_ledger(planned.ledger.component)
        else:
            self.store.write_ledger(change.packed(planned.ledger, self.store, txn=secrets.token_hex(8)))


def _unfit_images(component: Component, run: Runner) -> t.Iterator[str]:
    """Why the driver that is loaded does not run the CUDA of images that are there."""
    needy = [image for image in component.images if image.needs_driver]
    if not needy:
        return
    from .._container_runtime import images
    from .._driver import image_cuda, loaded

    driver = loaded.nvidia_version("/")
    for image in needy if driver else ():
        why = image_cuda.conflict(images.environment(image.name, image.engine, run), str(driver))
        if why is not None:
            cure = "set an image for an older CUDA, or install such a driver"
            yield f"image {image.name} cannot run here: {why.rstrip('.')}; {cure}"


def _opened(planned: Plan, store: Store) -> list[str]:
    """Packages whose holds are opened before the package manager works: those that change, and all that are ours."""
    ledger = store.read_ledgers().get(planned.ledger.component)
    ours = [name for name, record in ledger.packages.items() if record["held"]] if ledger and planned.work else []
    return list(dict.fromkeys([*planned.packages_changed, *ours]))


def _busy() -> str:
    pid = lock.package_manager_pid()
    return "" if pid is None else f", held by {lock.process(pid)}"


def _committed(journal: Journal, store: Store) -> bool:
    ledger = store.read_ledgers().get(journal.component)
    return ledger is not None and ledger.txn == journal.txn


def _refused(exc: OSError) -> str:
    where = f" {exc.filename}" if exc.filename else ""
    return f"the host refused{where}: {exc.strerror or exc}"


def _note_recovery(result: dict[str, t.Any], recovered: str) -> None:
    """What is done about an earlier run that was killed is a change of the host, too."""
    result["recovered"] = recovered
    result["changed"] = result["changed"] or recovered != "none"
