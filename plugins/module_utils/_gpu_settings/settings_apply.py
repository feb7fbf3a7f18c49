# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Brings GPUs to the settings that are desired: ECC and its reset first, then what a reset would lose."""

from __future__ import annotations

import typing as t

from .._errors import HostError
from .._gpu.types import Gpu
from . import locked_clocks, services, settings
from .result import GpuDrift, Options, Pending, Result, View, blocker, ends_with, nothing
from .select import Entry, named, resolve
from .settings import Step
from .smi import Smi


def converge(smi: Smi, entries: t.Sequence[Entry], options: Options, *, dry_run: bool, strict: bool = True) -> Result:
    """Read, plan, apply, read back.

    ``strict``: what is not possible on one GPU is an error before any of them changes. Otherwise the others are
    set, and ``problems`` of the result says what was not.
    """
    if not entries:
        return nothing()
    run = _Run(smi, entries, options)
    if strict and run.problems:
        run.steps.clear()
        return run.result(dry_run=True)
    if not dry_run:
        run.apply()
    return run.result(dry_run=dry_run)


class _Run:
    def __init__(self, smi: Smi, entries: t.Sequence[Entry], options: Options) -> None:
        self.smi = smi
        self.options = options
        self.gpus = {str(gpu.uuid): gpu for gpu in smi.gpus()}
        self.locks = locked_clocks.read(options.root)
        self.desired, self.problems = resolve(tuple(self.gpus.values()), entries)
        self.problems += smi.missing(tuple(self.gpus.values()), entries)
        self.stopped: tuple[str, ...] = ()
        self.failed: set[str] = set()
        self.steps = self._plan()
        self.before = self._views()
        self.first = dict(self.gpus)

    def apply(self) -> None:
        self._take([step for step in self.steps if step.setting == "ecc"])
        self._reset()
        # A reset has lost what was set before.
        self.steps = self._plan()
        for setting in settings.ORDER[1:]:
            self._take([step for step in self.steps if step.setting == setting])

    def result(self, *, dry_run: bool) -> Result:
        views = self._views()
        if dry_run:
            views = [
                settings.after(view, [step for step in self.steps if step.gpu.uuid == view["uuid"]]) for view in views
            ]
        commands = tuple(step.argv for step in self.steps) if dry_run else tuple(self.smi.commands)
        pending = tuple(self._pending(views))
        resets = self._resettable(pending)
        if dry_run:
            commands += tuple(_reset_argv(gpu) for gpu in resets if not gpu.processes)
        return Result(
            changed=bool(commands),
            before=tuple(self.before),
            after=tuple(views),
            commands=commands,
            pending=pending,
            blockers=tuple(
                blocker(gpu, process)
                for gpu in (self.gpus[one.gpu] for one in pending if one.ends_with == "reset")
                for process in gpu.processes
            ),
            drift=tuple(self._drift()),
            services=self.stopped,
            problems=tuple(self.problems),
            disruptive=any("--gpu-reset" in argv for argv in commands),
        )

    def _plan(self) -> list[Step]:
        steps: list[Step] = []
        for uuid, desired in self.desired.items():
            if uuid in self.failed:
                continue
            try:
                steps += settings.plan(self.gpus[uuid], desired, self.locks)
            except HostError as exc:
                self._fail(uuid, str(exc))
        return steps

    def _views(self) -> list[View]:
        return [settings.view(self.gpus[uuid], self.locks) for uuid in self.desired]

    def _take(self, steps: t.Sequence[Step]) -> None:
        """Take steps of one setting on all GPUs, and read back."""
        taken: list[Step] = []
        for step in steps:
            if step.gpu.uuid in self.failed:
                continue
            try:
                self.smi.change(f"{step.setting} of {named(step.gpu)} was not set to {step.want}", step.argv)
                taken.append(step)
            except HostError as exc:
                self._fail(str(step.gpu.uuid), f"{exc}.")
        if not taken:
            return
        if steps[0].setting in settings.CLOCKS:
            for step in taken:
                self.locks.setdefault(str(step.gpu.uuid), {})[step.setting] = list(step.want)
            locked_clocks.write(self.locks, self.options.root)
        self._read_gpus()
        for step in taken:
            uuid = str(step.gpu.uuid)
            have = settings.has(settings.view(self.gpus[uuid], self.locks), step.setting)
            if not settings.is_right(have, step.want):
                self._fail(
                    uuid,
                    f"{named(step.gpu)}: nvidia-smi took {step.setting} {step.want} and exited with status 0, and the "
                    f"device still has {have}.",
                )

    def _reset(self) -> None:
        waiting = self._resettable(self._pending(self._views()))
        if not waiting or not (self.options.services or any(not gpu.processes for gpu in waiting)):
            return
        with services.stopped(self.smi.run, self.options.services) as self.stopped:
            if self.stopped:
                # Who kept the GPUs initialised may just have gone, and with it every clock that was locked.
                self.locks.clear()
            self._read_gpus()
            for gpu in waiting:
                gpu = self.gpus[str(gpu.uuid)]
                if gpu.processes:
                    continue
                try:
                    self.smi.change(f"{named(gpu)} was not reset", _reset_argv(gpu))
                except HostError as exc:
                    self._fail(str(gpu.uuid), f"{exc}.")
                self.locks.pop(str(gpu.uuid), None)
                locked_clocks.write(self.locks, self.options.root)
        self._read_gpus()
        for gpu in waiting:
            uuid = str(gpu.uuid)
            now = self.gpus[uuid]
            if _reset_argv(gpu) in self.smi.commands and uuid not in self.failed and now.ecc_mode != now.ecc_pending:
                self._fail(
                    uuid, f"{named(gpu)} was reset, and ECC is still {now.ecc_mode} with {now.ecc_pending} pending."
                )

    def _read_gpus(self) -> None:
        """Read all of them again. One that went away meanwhile is a problem, and stays as it was last seen."""
        now = {str(gpu.uuid): gpu for gpu in self.smi.gpus()}
        for uuid in self.desired:
            if uuid not in now and uuid not in self.failed:
                self._fail(uuid, f"{named(self.gpus[uuid])} was there, and nvidia-smi does not list it any more.")
        self.gpus.update(now)

    def _fail(self, uuid: str, problem: str) -> None:
        self.failed.add(uuid)
        self.problems.append(problem)

    def _pending(self, views: t.Sequence[View]) -> t.Iterator[Pending]:
        for view in views:
            if "ecc" in self.desired[view["uuid"]] and view["ecc"] != view["ecc_pending"]:
                now, then = ("enabled" if view[key] else "disabled" for key in ("ecc", "ecc_pending"))
                yield Pending(view["uuid"], "ecc", now, then, ends_with(self.gpus[view["uuid"]]))

    def _resettable(self, pending: t.Iterable[Pending]) -> list[Gpu]:
        """GPUs that wait for a reset, where there is consent for it. It would destroy MIG instances, so not those."""
        if not self.options.reset:
            return []
        gpus = [self.gpus[one.gpu] for one in pending if one.ends_with == "reset"]
        return [gpu for gpu in gpus if not gpu.mig_devices]

    def _drift(self) -> t.Iterator[GpuDrift]:
        for view in self.before:
            gpu, desired = self.first[view["uuid"]], self.desired[view["uuid"]]
            for setting in settings.ORDER:
                if setting in desired and not settings.is_right(view[setting], desired[setting]):
                    yield GpuDrift.of(gpu, setting, desired[setting], view[setting])


def _reset_argv(gpu: Gpu) -> tuple[str, ...]:
    return ("nvidia-smi", "--gpu-reset", "-i", str(gpu.uuid))
