#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook, and count the processes that it forks for each host and how often these go to it.

    count_forks.py REPORT ARGUMENTS-OF-ansible-playbook...

A fork is a worker of Ansible: each task on each host has one, a skipped one and an include as well, a meta task none.
A round trip is a command that is executed, or a file that is copied, by the connection plugin of a worker. REPORT is
written as JSON: {"forks": {host: number}, "round_trips": {host: number}, "tasks": {host: [name, ...]}, "cpu": {"main":
seconds, "workers": seconds, "commands": seconds}}; commands are those that the controller starts, above all ssh.
"""

from __future__ import annotations

import atexit
import collections
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from ansible.cli.playbook import PlaybookCLI
from ansible.executor.process.worker import WorkerProcess
from ansible.executor.task_queue_manager import TaskQueueManager
from ansible.plugins.connection import ssh

_PATIENCE_S = 10


class Counts:
    """The main process counts forks; workers, which end without a word, append lines to a file beside the report."""

    def __init__(self, report: Path) -> None:
        self.report = report
        self.lines = report.with_suffix(".lines")
        self.main = os.getpid()
        self.forks: collections.Counter[str] = collections.Counter()
        self.tasks: dict[str, list[str]] = collections.defaultdict(list)
        self.host = ""
        self.lines.write_text("")

    def watch(self) -> None:
        let_workers_end()
        start, run = WorkerProcess.start, WorkerProcess._run
        execute = ssh.Connection.exec_command

        def counted_start(worker: Any) -> None:
            self.forks[worker._host.name] += 1
            self.tasks[worker._host.name].append(worker._task.get_name())
            start(worker)

        def counted_run(worker: Any) -> None:
            self.host = worker._host.name
            try:
                run(worker)
            finally:
                spent = [_seconds(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
                self._tell({"cpu": spent})

        def counted_command(connection: Any, *args: Any, **options: Any) -> Any:
            self._tell({"round_trip": self.host})
            return execute(connection, *args, **options)

        WorkerProcess.start, WorkerProcess._run = counted_start, counted_run
        ssh.Connection.exec_command = counted_command
        for name in ("put_file", "fetch_file"):
            setattr(ssh.Connection, name, self._counted_copy(getattr(ssh.Connection, name)))
        atexit.register(self.write)

    def _counted_copy(self, copy: Any) -> Any:
        def counted_copy(connection: Any, *args: Any) -> Any:
            self._tell({"round_trip": self.host})
            return copy(connection, *args)

        return counted_copy

    def _tell(self, what: dict[str, Any]) -> None:
        # One write of a short line to a file that is only appended to: none is torn.
        with open(self.lines, "ab", buffering=0) as out:
            out.write(json.dumps(what).encode() + b"\n")

    def write(self) -> None:
        if os.getpid() != self.main:
            return
        trips: collections.Counter[str] = collections.Counter()
        workers = commands = 0.0
        for line in self.lines.read_text().splitlines():
            told = json.loads(line)
            if "round_trip" in told:
                trips[told["round_trip"]] += 1
            else:
                workers += told["cpu"][0]
                commands += told["cpu"][1]
        cpu = {"main": _seconds(resource.RUSAGE_SELF), "workers": workers, "commands": commands}
        found = {"forks": self.forks, "round_trips": trips, "tasks": self.tasks, "cpu": cpu}
        self.report.write_text(json.dumps(found, indent=1) + "\n")
        self.lines.unlink()


def let_workers_end() -> None:
    """A worker that has sent its result is killed when the play ends: give it the time to tell what it took."""
    clean_up = TaskQueueManager._cleanup_processes

    def patient(manager: Any) -> None:
        for worker in manager._workers:
            if worker is not None and worker.is_alive():
                worker.join(_PATIENCE_S)
        clean_up(manager)

    TaskQueueManager._cleanup_processes = patient


def _seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main(argv: list[str]) -> None:
    if len(argv) < 2:
        sys.exit(__doc__)
    Counts(Path(argv[0])).watch()
    PlaybookCLI.cli_executor(["ansible-playbook", *argv[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])
