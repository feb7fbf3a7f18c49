# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One gateway: its sockets, its files, and what was recorded of what runs."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import signal
import time
import typing as t

from .. import _certificates as certificates
from .._errors import HostError
from .._runner import PlainRunner, Runner
from . import config, parse, paths, state_file
from .cli import NoAnswer, Socket, worker

_VERSION = 1
_LOCK_WAIT_S = 120.0
# It answers to a reload when the new worker has read its files.
_MASTER_S = 60.0


@dataclasses.dataclass(frozen=True)
class Files:
    """What is on disk. ``texts``: those that HAProxy is started with, in order. ``digests``: of all that they name."""

    texts: t.Mapping[str, str]
    config: config.Config
    digests: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Running:
    """What was recorded when the worker began, or its maps changed."""

    worker: int
    digests: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Gateway:
    """``root`` is for tests, as are the clock and the sleep."""

    root: str = "/"
    run: Runner = dataclasses.field(default_factory=PlainRunner)
    clock: t.Callable[[], float] = time.monotonic
    sleep: t.Callable[[float], None] = time.sleep
    kill: t.Callable[[int, int], None] = os.kill
    resolve: state_file.Resolve = state_file.resolve
    now: t.Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.timezone.utc)

    def at(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    @property
    def api(self) -> Socket:
        return Socket(self.at(paths.API_SOCKET))

    @property
    def master(self) -> Socket:
        return Socket(self.at(paths.MASTER_SOCKET), timeout_s=_MASTER_S)

    @contextlib.contextmanager
    def locked(self, wait_s: float = _LOCK_WAIT_S) -> t.Iterator[None]:
        """One at a time changes what runs. The folder itself is the lock, so that a killed holder leaves nothing."""
        try:
            handle = os.open(self.at(paths.RUN), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as exc:
            raise NoAnswer(f"the gateway does not run: start {paths.UNIT}") from exc
        try:
            until = self.clock() + wait_s
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as exc:
                    if self.clock() >= until:
                        raise HostError(
                            f"another run changes the gateway and did not end within {wait_s:g} s: run again"
                        ) from exc
                    self.sleep(0.2)
            yield
        finally:
            os.close(handle)

    def is_up(self) -> bool:
        """Whether a worker or a master takes commands."""
        return self.api.takes() or self.master.takes()

    def processes(self) -> parse.Processes:
        return parse.processes(self.master("show proc"))

    def info(self) -> parse.Info:
        """Of the worker that has the ports: those that are stopping have lost the socket, too."""
        return parse.info(self.api("show info"))

    def files(self, master: parse.Process | None) -> Files:
        """What the master would load now: the files that it was started with, and those that they name. Without one,
        those that it would be started with."""
        usual = [path for path in (paths.HAPROXY_CFG, paths.UPSTREAM_CFG) if os.path.isfile(self.at(path))]
        texts = {path: self.text(path) for path in (self._arguments(master.pid) if master else usual)}
        found = config.parse(texts)
        digests = {path: self._digest(path) for path in texts}
        for named in found.paths:
            for path in self._below(named):
                digests[path] = self._digest(path)
        return Files(texts, found, digests)

    def end(self, pid: int) -> None:
        """At once: it was told to long ago."""
        with contextlib.suppress(ProcessLookupError):
            self.kill(pid, signal.SIGKILL)

    def is_there(self, pid: int) -> bool:
        return os.path.exists(self.at(f"/proc/{pid}"))

    def text(self, path: str) -> str:
        return self._read(path).decode(errors="replace")

    def parsed(self, files: t.Iterable[str]) -> config.Config:
        return config.parse({path: self.text(path) for path in files})

    def certificates(self, found: config.Config) -> list[certificates.Certificate]:
        return [
            one
            for named in found.certificates
            for path in self._below(named)
            for one in certificates.read(path, self.text(path))
        ]

    def recorded(self) -> Running | None:
        """None where nothing was, or by a program that wrote another shape."""
        try:
            with open(self.at(paths.RUNNING), encoding="utf-8") as file:
                found = json.load(file)
            if found["version"] != _VERSION:
                return None
            return Running(int(found["worker"]), dict(found["digests"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def record(self, serving: int, digests: t.Mapping[str, str]) -> None:
        found = {"version": _VERSION, "worker": serving, "digests": dict(digests)}
        state_file.write(self.at(paths.RUNNING), json.dumps(found, indent=2, sort_keys=True) + "\n")

    def servers(self) -> tuple[parse.Server, ...]:
        """As the worker that serves has them."""
        return parse.servers(self.api("show servers state"))

    def stats(self, there: parse.Processes, serving: int) -> dict[int, parse.Stat]:
        """By process id of each worker: old ones keep the streams that they have, and nobody else counts them."""
        found = {serving: parse.stat(self.api("show stat"))}
        for old in there.workers:
            if old.pid != serving:
                # It ends with its last stream.
                with contextlib.suppress(NoAnswer):
                    found[old.pid] = parse.stat(worker(self.master, old.pid)("show stat"))
        return found

    def save_states(self, found: config.Config) -> None:
        """For the next worker, with the configuration that it will load."""
        text = state_file.fitted(self.api("show servers state"), found, fresh=False)
        state_file.write(self.at(paths.SERVERS_STATE), text)

    def saved_states(self) -> dict[tuple[str, str], str]:
        """What the next worker would take over, by backend and server; none where the file is not there, or is none."""
        try:
            return {(row.backend, row.name): row.state for row in parse.servers(self.text(paths.SERVERS_STATE))}
        except HostError:
            return {}

    def _arguments(self, master: int) -> list[str]:
        try:
            with open(self.at(f"/proc/{master}/cmdline"), "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except FileNotFoundError as exc:
            raise NoAnswer(f"the gateway's master, process {master}, has ended") from exc
        found = [value for name, value in zip(words, words[1:]) if name == "-f"]
        if not found:
            raise HostError(f"process {master} was started without a configuration file; restart {paths.UNIT}")
        return found

    def _below(self, path: str) -> list[str]:
        """The file, or the files of a folder; what HAProxy writes itself is not among them."""
        if path == paths.SERVERS_STATE:
            return []
        there = self.at(path)
        if os.path.isdir(there) and path.startswith(paths.CONFIG):
            names = sorted(os.listdir(there))
            return [f"{path}/{name}" for name in names if os.path.isfile(os.path.join(there, name))]
        return [path] if os.path.isfile(there) else []

    def _digest(self, path: str) -> str:
        return hashlib.sha256(self._read(path)).hexdigest()

    def _read(self, path: str) -> bytes:
        try:
            with open(self.at(path), "rb") as file:
                return file.read()
        except OSError as exc:
            raise HostError(f"{path} cannot be read ({exc.strerror}): the gateway needs it") from exc


# A worker that is told to end looks at its bound when it next looks at its clock.
_OVERDUE_S = 60


def overdue(workers: t.Iterable[parse.Process], serving: parse.Info, found: config.Config) -> list[int]:
    """Process ids of workers that had to be gone by now: the newest has served for longer than the bound."""
    if found.hard_stop_s is None or serving.uptime_s <= found.hard_stop_s + _OVERDUE_S:
        return []
    return [one.pid for one in workers if one.pid != serving.pid]


def differences(on_disk: t.Mapping[str, str], running: t.Mapping[str, str]) -> list[str]:
    """Paths of files that are not what runs, those that are gone included."""
    return sorted(path for path in {*on_disk, *running} if on_disk.get(path) != running.get(path))


def reasons(found: Files, running: Running | None, serving: int) -> list[str]:
    """Sentences, none where what is on disk is what runs."""
    if running is None:
        return [f"what runs was not recorded: reload {paths.UNIT}"]
    if running.worker != serving:
        return [
            f"worker {serving} was not started by {paths.PROGRAM}, so what it runs is not known: reload {paths.UNIT}"
        ]
    return [f"{path} is not what runs: reload {paths.UNIT}" for path in differences(found.digests, running.digests)]
