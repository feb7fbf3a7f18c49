# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks whether the store is right before the module is sent, which would fetch what is missing. Of a large download it
says how far it is."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._model import layout
from ..module_utils._model.arguments import SPEC
from ..plugin_utils import _model_progress
from ..plugin_utils._fast_check import ask, is_mitogen
from ..plugin_utils._marked_output import between_marks

# Less is there before somebody wonders.
_LARGE_MIB = 1024
_LIMIT_S = 7 * 24 * 3600
# Between two questions whether a job has ended. No download takes longer by more than a quarter for them.
_PAUSES_S = (1.0, 30.0)
# So often in a row the host may not answer, or its answer make no sense.
_LOST_TIMES = 10
# What Ansible says of a job beside the result of the module.
_OF_JOBS = ("started", "finished", "ansible_job_id", "results_file")
display = Display()


class ActionModule(ActionBase):
    """Controller side of M(mlops.hosts.model_artifact)."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        found = ask(self, [("mlops.hosts.model_artifact", self._task.args)], task_vars)
        if found.answers[0] is not None:
            return {**found.answers[0], **({"ansible_facts": found.facts} if found.facts else {})}
        every_s = self._every_s()
        if not every_s:
            wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
            return t.cast("dict[str, t.Any]", self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        arguments = {**self._task.args, "defer_above_mib": _LARGE_MIB}
        result = t.cast("dict[str, t.Any]", self._execute_module(module_args=arguments, task_vars=task_vars))
        coming = result.get("deferred_bytes")
        return self._as_job(coming, every_s, task_vars) if coming else result

    def _every_s(self) -> int:
        """How often progress is shown, 0 where it is not."""
        task, connection = self._task, self._connection
        plain = task.check_mode or task.async_val or connection.has_native_async or connection.always_pipeline_modules
        if plain or is_mitogen(self) or task.args.get("defer_above_mib") is not None:
            return 0
        try:
            return max(0, int(task.args.get("progress_s", SPEC["progress_s"]["default"])))
        except (TypeError, ValueError):  # the module says what is wrong with it
            return 0

    def _as_job(self, coming: int, every_s: int, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run the module as Ansible runs what has ``async``, and say how far it is until it has ended."""
        store = str(self._task.args.get("store", SPEC["store"]["default"]))
        self._say(f"{_model_progress.to_come(coming)} into {store}", task_vars)
        # The task itself is none of a job: the executor would ask for its state, too.
        self._task.async_val = _LIMIT_S
        try:
            job = self._execute_module(task_vars=task_vars, wrap_async=True)
        finally:
            self._task.async_val = 0
        if job.get("failed") or "ansible_job_id" not in job:
            return t.cast("dict[str, t.Any]", job)
        noted = layout.progress_path(self._remote_expand_user(store))
        self._wait(noted, str(job["results_file"]), every_s, task_vars)
        asked = {"jid": job["ansible_job_id"], "_async_dir": os.path.dirname(job["results_file"])}
        result = self._execute_module("ansible.legacy.async_status", {**asked, "mode": "status"}, task_vars=task_vars)
        self._execute_module("ansible.legacy.async_status", {**asked, "mode": "cleanup"}, task_vars=task_vars)
        return {key: value for key, value in result.items() if key not in _OF_JOBS}

    def _wait(self, progress: str, job: str, every_s: int, task_vars: dict[str, t.Any]) -> None:
        """Until the job has ended. AnsibleConnectionFailure when the host is lost, or was started again, and
        AnsibleActionFail when the job was killed with all that would say how it ended."""
        command = _model_progress.command(progress, job)
        lost, boot = 0, ""
        shown: _model_progress.Progress | None = None
        begun = shown_at = time.monotonic()
        least_s, most_s = _PAUSES_S
        while True:
            time.sleep(min(max((time.monotonic() - begun) / 4, least_s), most_s, every_s))
            try:
                said = self._low_level_execute_command(command)
                state = _model_progress.state(between_marks(str(said["stdout"])) or "")
            except AnsibleConnectionFailure:
                with contextlib.suppress(AttributeError):
                    self._connection.reset()
                state = _model_progress.State(boot=boot)
                if lost + 1 >= _LOST_TIMES:
                    raise
            if state.finished:
                return
            lost = lost + 1 if state.finished is None else 0
            if lost >= _LOST_TIMES or (boot and state.boot and state.boot != boot):
                raise AnsibleConnectionFailure(
                    "the host was started again, or has lost the job that fetched models; what came is kept, run again"
                )
            if state.finished is False and state.running is False:
                raise AnsibleActionFail(
                    "the job that fetched models was killed, with all of its processes, before its end: look for lack "
                    "of memory in the host's kernel log (journalctl -k); what came is kept, run again"
                )
            boot = state.boot or boot
            now = time.monotonic()
            fresh = state.progress is not None and (shown is None or state.progress.at_s != shown.at_s)
            if state.progress is not None and fresh and now - shown_at >= every_s:
                self._say(_model_progress.words(state.progress, shown), task_vars)
                shown, shown_at = state.progress, now

    def _say(self, text: str, task_vars: dict[str, t.Any]) -> None:
        if not self._task.no_log:
            display.display(f"[{task_vars.get('inventory_hostname', 'localhost')}] model_artifact: {text}")
