# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says whose run this is, and sees whether a run that has locked the host from here has ended."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils._run_lock import Holder, holder

# Of /proc/PID/stat after the name of the program: when it was started, in ticks since boot.
_STARTED = 19


class ActionModule(ActionBase):
    """Controller side of M(mlops.hosts.run_lock)."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        # Tasks run in children of the process that is the run.
        pid = os.getppid()
        now = datetime.datetime.now(datetime.timezone.utc)
        me = Holder(
            purpose=str(self._task.args.get("purpose")),
            controller=platform.node(),
            kernel=kernel(),
            pid=pid,
            process_start=process_start(pid) or "",
            since=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        )
        result = self._ask(me, task_vars)
        there = self._other(result, me)
        if there and (has_ended(there) or boolean(self._task.args.get("take_over", False))):
            result = self._ask(me, task_vars, _instead_of=dataclasses.asdict(there))
            there = self._other(result, me)
        return {**result, "failed": True, "msg": sentence(there)} if there else result

    def _ask(self, me: Holder, task_vars: dict[str, t.Any] | None, **more: t.Any) -> dict[str, t.Any]:
        run = {name: value for name, value in dataclasses.asdict(me).items() if name != "purpose"}
        args = {**self._task.args, "_run": run, **more}
        found = self._execute_module(module_name="mlops.hosts.run_lock", module_args=args, task_vars=task_vars)
        return t.cast("dict[str, t.Any]", found)

    def _other(self, result: t.Mapping[str, t.Any], me: Holder) -> Holder | None:
        """The other run that has the host, where this one is to lock it."""
        if self._task.args.get("state") != "locked" or result.get("failed") or not result.get("holder"):
            return None
        there = holder(result["holder"])
        return None if there.is_run_of(me) else there


def kernel() -> str:
    """Of this boot, and of the processes that can be seen here: hosts and containers can have one name.

    Empty where that is not told.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def is_here(there: Holder) -> bool:
    """Whether its process, if it still is, would be seen."""
    return (there.controller, there.kernel) == (platform.node(), kernel())


def process_start(pid: int) -> str | None:
    """When the process was started, as the kernel says it. Empty where that is not told, None without the process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    # One that nobody has waited for is there in name only.
    return None if fields[0] == "Z" else fields[_STARTED]


def has_ended(there: Holder) -> bool:
    """Whether it is known to have. Of a run from another controller it is not."""
    if not is_here(there):
        return False
    now = process_start(there.pid)
    return now is None or bool(now and there.process_start and now != there.process_start)


def sentence(there: Holder) -> str:
    """For the user whose run is refused."""
    said = f"Another run changes this host: {there}; wait for it, or end it."
    if is_here(there):
        return said
    return f"{said} If it has ended already, set take_over: for a playbook of mlops.hosts, run_lock_take_over=true."
