# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Brings GPUs to the MIG geometry that is desired, and says what is there when that fails half-way."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import HostError
from .._gpu.types import Gpu
from . import locked_clocks, mig_plan, services
from .mig_plan import Change
from .mig_tables import Instance, Profile, instances, profiles
from .result import Blocker, GpuDrift, Options, Pending, Result, View, blocker, ends_with, in_the_way, nothing
from .select import Entry, named, resolve
from .smi import Smi, said


@dataclasses.dataclass(frozen=True)
class State:
    """A GPU with its instances, and the profiles that it offers; None where they are not told with the mode off."""

    gpu: Gpu
    instances: tuple[Instance, ...] = ()
    offered: tuple[Profile, ...] | None = None

    @property
    def is_on(self) -> bool:
        return self.gpu.mig_mode == "enabled"

    @property
    def view(self) -> View:
        return {
            "uuid": self.gpu.uuid,
            "pci_address": self.gpu.pci_address,
            "name": self.gpu.name,
            "mig_mode": self.gpu.mig_mode,
            "mig_pending": self.gpu.mig_pending,
            "layout": mig_plan.layout(self.instances),
        }


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to happen to one GPU. ``change`` is None where the profiles are known only with the mode on."""

    state: State
    desired: tuple[str, ...]
    switch: bool | None = None
    change: Change | None = dataclasses.field(default_factory=Change)
    is_pending: bool = False

    @property
    def changes(self) -> bool:
        return self.switch is not None or self.change is None or bool(self.change)

    @property
    def disturbs(self) -> bool:
        """Whether programs lose something that they use."""
        return self.switch is not None or bool(self.change and self.change.destroy)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        gpu, switch = self.state.gpu, () if self.switch is None else (_switch_argv(self.state.gpu, self.switch),)
        if self.change is None:
            return (*switch, _create_argv(gpu, sorted(self.desired)))
        steps = _argvs(gpu, self.change)
        return (*steps, *switch) if self.switch is False else (*switch, *steps)

    @property
    def commands_of_reset(self) -> tuple[tuple[str, ...], ...]:
        """What ends a mode that waits; the profiles are looked up after it."""
        create = (_create_argv(self.state.gpu, sorted(self.desired)),) if self.desired else ()
        return (_reset_argv(self.state.gpu), *create)

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """Processes that use what is to go."""
        if not self.disturbs:
            return ()
        gone = {one.number for one in self.change.destroy} if self.change and self.switch is None else None
        return tuple(
            blocker(self.state.gpu, process)
            for process in self.state.gpu.processes
            if gone is None or process.gpu_instance_id is None or process.gpu_instance_id in gone
        )


def read(smi: Smi, gpu: Gpu) -> State:
    """A GPU with its MIG instances and profiles."""
    if gpu.mig_mode is None:
        return State(gpu)
    return State(gpu, instances(smi, gpu) if gpu.mig_mode == "enabled" else (), profiles(smi, gpu))


def plan(state: State, desired: t.Sequence[str]) -> Plan:
    """From what a GPU has to what is desired; no profile is MIG mode off. Raises HostError for what cannot be."""
    gpu, on = state.gpu, bool(desired)
    if gpu.mig_mode is None:
        if not on:
            return Plan(state, ())
        raise HostError(f"{named(gpu)} cannot be partitioned: the device has no MIG mode")
    pending = gpu.mig_pending or gpu.mig_mode
    mode = "enabled" if on else "disabled"
    try:
        # With the mode off, all that can be known before anything changes is whether the profiles fit.
        change = _change(state, desired) if on and state.offered is not None else None
    except HostError as exc:
        raise HostError(f"{named(gpu)}: {exc}") from exc
    if gpu.mig_mode != mode and pending == mode:
        return Plan(state, tuple(desired), is_pending=True)
    # Also a mode that somebody has set to change at the next reset is set back.
    switch = on if pending != mode else None
    return Plan(state, tuple(desired), switch, change if on else Change(destroy=state.instances))


def converge(smi: Smi, entries: t.Sequence[Entry], options: Options, *, dry_run: bool, strict: bool = True) -> Result:
    """Read, plan, apply, read back; entries have ``layout``, a list of profiles. ``strict``: as for settings."""
    if not entries:
        return nothing()
    run = _Run(smi, entries, options)
    if run.problems and strict:
        run.plans.clear()
        return run.result(dry_run=True)
    if dry_run:
        refusal = run.refusal()
        # Whether they go when the services stop is not known before.
        if refusal and not services.active(smi.run, options.services):
            run.problems.append(refusal)
        return run.result(dry_run=True)
    run.apply(strict=strict)
    return run.result(dry_run=False)


class _Run:
    def __init__(self, smi: Smi, entries: t.Sequence[Entry], options: Options) -> None:
        self.smi = smi
        self.options = options
        gpus = smi.gpus()
        desired, self.problems = resolve(gpus, [{**entry, "layout": sorted(entry["layout"])} for entry in entries])
        self.problems += smi.missing(gpus, entries)
        self.states = {str(gpu.uuid): read(smi, gpu) for gpu in gpus if gpu.uuid in desired}
        self.desired = {uuid: tuple(one["layout"]) for uuid, one in desired.items()}
        self.plans: dict[str, Plan] = {}
        for uuid, state in self.states.items():
            try:
                self.plans[uuid] = plan(state, self.desired[uuid])
            except HostError as exc:
                self.problems.append(f"{exc}.")
        self.before = {uuid: state.view for uuid, state in self.states.items()}
        self.drift = tuple(self._drift())
        self.stopped: tuple[str, ...] = ()
        self.warned_reboot: set[str] = set()

    def result(self, *, dry_run: bool) -> Result:
        resets = {uuid for uuid, one in self.plans.items() if one.is_pending and self._may_reset(one.state.gpu)}
        commands = tuple(
            argv
            for uuid, one in self.plans.items()
            for argv in (one.commands_of_reset if uuid in resets else one.commands)
        )
        commands = commands if dry_run else tuple(self.smi.commands)
        return Result(
            changed=bool(commands),
            before=tuple(self.before.values()),
            after=tuple(self._after(uuid) if dry_run else state.view for uuid, state in self.states.items()),
            commands=commands,
            pending=tuple(self._pending()),
            blockers=tuple(self._blockers(dry_run=dry_run)),
            drift=self.drift,
            services=self.stopped,
            problems=tuple(self.problems),
            disruptive=bool(resets) or any(one.disturbs for one in self.plans.values()),
        )

    def refusal(self) -> str:
        """A sentence about the processes in the way; empty when there are none."""
        said_of = []
        for one in self.plans.values():
            if one.blockers:
                said_of.append(f"{named(one.state.gpu)} is in use by {in_the_way(one.blockers)}")
        if not said_of:
            return ""
        return f"{'; '.join(said_of)}. No geometry changes under a process: stop them, or name their units in services."

    def apply(self, *, strict: bool) -> None:
        waiting = [one for one in self.plans.values() if one.is_pending and self.options.reset]
        if not waiting and not any(one.changes for one in self.plans.values()):
            return
        disturbs = bool(waiting) or any(one.disturbs for one in self.plans.values())
        with services.stopped(self.smi.run, self.options.services if disturbs else ()) as self.stopped:
            if self.stopped:
                # Who kept the GPUs initialised may just have gone, and with it every clock that was locked.
                locked_clocks.remove(root=self.options.root)
                self._read_gpus()
            refusal = self.refusal()
            if refusal:
                self.problems.append(refusal)
                if strict:
                    return
            for uuid, one in self.plans.items():
                if one.blockers or not (one.changes or one.is_pending):
                    continue
                try:
                    self._change(one)
                except HostError as exc:
                    self.problems.append(f"{exc}. {self._there(uuid)}")
        if self.smi.commands and self.options.cdi_refresh:
            try:
                services.refresh_cdi(self.smi.run)
            except HostError as exc:
                self.problems.append(f"{exc}.")

    def _change(self, one: Plan) -> None:
        gpu, change = one.state.gpu, one.change
        if one.is_pending:
            if not self._reset(gpu):
                return
        elif one.switch is True and not self._switch(gpu, on=True):
            return
        if one.desired and (one.switch or one.is_pending or change is None):
            change = self._resolve(one)
        for argv in _argvs(gpu, change or Change()):
            self.smi.change(f"the geometry of {named(gpu)} was not changed", argv)
        if one.switch is False:
            self._switch(gpu, on=False)
        now = self._read(gpu)
        waits = now.gpu.mig_mode != now.gpu.mig_pending
        if not waits and not mig_plan.is_right(now.instances, one.desired):
            raise HostError(
                f"nvidia-smi took every command for {named(gpu)} and exited with status 0, and the geometry is another"
            )

    def _resolve(self, one: Plan) -> Change:
        """With the mode on the device tells its profiles. What it refuses now leaves it as it was before."""
        gpu = one.state.gpu
        try:
            state = self._read(gpu)
            if state.offered is None:
                raise HostError(f"{named(gpu)} is in MIG mode, and nvidia-smi lists no profiles for it")
            return _change(state, one.desired)
        except HostError as exc:
            if one.switch is not True:
                raise
            self._switch(gpu, on=False)
            raise HostError(f"{named(gpu)}: {exc}; MIG mode was switched off again") from exc

    def _switch(self, gpu: Gpu, *, on: bool) -> bool:
        """Switch the mode, which may reset the GPU. False when it waits for a reset or reboot."""
        mode = "enabled" if on else "disabled"
        what = f"MIG mode of {named(gpu)} was not {mode}"
        done = self.smi.change(what, _switch_argv(gpu, on), may_warn=True)
        locked_clocks.remove([str(gpu.uuid)], self.options.root)
        now = self._read(gpu).gpu
        if now.mig_mode == mode and now.mig_pending in (None, mode):
            return True
        if now.mig_pending != mode:
            raise HostError(f"{what}: nvidia-smi exited with status 0, and said: {said(done)}")
        if "not supported" in (done.stdout + done.stderr).lower():
            self.warned_reboot.add(str(gpu.uuid))
        return self._reset(now)

    def _may_reset(self, gpu: Gpu) -> bool:
        """With consent, where it helps, and where nobody is in the way; the result names who is."""
        ends = ends_with(gpu) == "reset" and str(gpu.uuid) not in self.warned_reboot
        return self.options.reset and ends and not gpu.processes

    def _reset(self, gpu: Gpu) -> bool:
        """End a pending mode, if that may be."""
        if not self._may_reset(gpu):
            return False
        self.smi.change(f"{named(gpu)} was not reset", _reset_argv(gpu))
        locked_clocks.remove([str(gpu.uuid)], self.options.root)
        now = self._read(gpu).gpu
        if now.mig_mode != now.mig_pending:
            raise HostError(f"{named(gpu)} was reset, and MIG mode is still {now.mig_mode}, {now.mig_pending} pending")
        return True

    def _read(self, gpu: Gpu) -> State:
        now = {one.uuid: one for one in self.smi.gpus()}
        if gpu.uuid not in now:
            raise HostError(f"{named(gpu)} was there, and nvidia-smi does not list it any more")
        state = self.states[str(gpu.uuid)] = read(self.smi, now[gpu.uuid])
        return state

    def _read_gpus(self) -> None:
        """The processes may be others now."""
        now = {str(gpu.uuid): gpu for gpu in self.smi.gpus()}
        for uuid, one in self.plans.items():
            if uuid in now:
                gpu = dataclasses.replace(one.state.gpu, processes=now[uuid].processes)
                self.plans[uuid] = dataclasses.replace(one, state=dataclasses.replace(one.state, gpu=gpu))

    def _there(self, uuid: str) -> str:
        """What is there after a failure."""
        try:
            state = self._read(self.states[uuid].gpu)
        except HostError:
            return "What is there now could not be read."
        there = ", ".join(mig_plan.layout(state.instances)) or "no instances"
        return f"There are now: MIG mode {state.gpu.mig_mode}, {there}."

    def _after(self, uuid: str) -> View:
        one = self.plans.get(uuid)
        view = self.states[uuid].view
        if one is None or not one.changes:
            return view
        mode = view["mig_mode"] if one.switch is None else ("enabled" if one.switch else "disabled")
        return {**view, "mig_mode": mode, "mig_pending": mode, "layout": list(one.desired)}

    def _pending(self) -> t.Iterator[Pending]:
        for uuid, state in self.states.items():
            gpu = state.gpu
            if gpu.mig_mode is not None and gpu.mig_pending not in (None, gpu.mig_mode):
                end = "reboot" if uuid in self.warned_reboot else ends_with(gpu)
                yield Pending(uuid, "mig_mode", gpu.mig_mode, gpu.mig_pending, end)

    def _blockers(self, *, dry_run: bool) -> t.Iterator[Blocker]:
        """Processes that are in the way of the plan, and of a reset that a mode waits for."""
        for uuid, state in self.states.items():
            one = self.plans.get(uuid)
            if one and one.blockers and (dry_run or not self.smi.commands):
                yield from one.blockers
            elif state.gpu.mig_pending not in (None, state.gpu.mig_mode):
                yield from (blocker(state.gpu, process) for process in state.gpu.processes)

    def _drift(self) -> t.Iterator[GpuDrift]:
        for uuid, state in self.states.items():
            if not mig_plan.is_right(state.instances, self.desired[uuid]) or state.is_on != bool(self.desired[uuid]):
                yield GpuDrift.of(state.gpu, "mig", list(self.desired[uuid]), mig_plan.layout(state.instances))


def _change(state: State, desired: t.Sequence[str]) -> Change:
    busy = {process.gpu_instance_id for process in state.gpu.processes}
    return mig_plan.change(state.instances, desired, state.offered or (), busy=busy)


def _argvs(gpu: Gpu, change: Change) -> tuple[tuple[str, ...], ...]:
    """Compute instances go before what they are in. What is new is created in one command, the largest first."""
    mig = ("nvidia-smi", "mig", "-i", str(gpu.uuid))
    argvs: list[tuple[str, ...]] = []
    for one in change.destroy:
        if one.compute:
            argvs.append((*mig, "-dci", "-gi", str(one.number)))
        argvs.append((*mig, "-dgi", "-gi", str(one.number)))
    argvs += [(*mig, "-cci", "-gi", str(one.number)) for one in change.fill]
    if change.create:
        argvs.append(_create_argv(gpu, [f"{profile.number}:{start}" for profile, start in change.create]))
    return tuple(argvs)


def _create_argv(gpu: Gpu, which: t.Sequence[str]) -> tuple[str, ...]:
    return ("nvidia-smi", "mig", "-i", str(gpu.uuid), "-cgi", ",".join(which), "-C")


def _reset_argv(gpu: Gpu) -> tuple[str, ...]:
    return ("nvidia-smi", "--gpu-reset", "-i", str(gpu.uuid))


def _switch_argv(gpu: Gpu, on: bool) -> tuple[str, ...]:
    return ("nvidia-smi", "-i", str(gpu.uuid), "-mig", str(int(on)))
