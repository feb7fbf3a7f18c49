# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts ansible-playbook without its start-up, which is most of what a short run costs.

A server imports Ansible once, and forks a child for every run: it has its own process group, arguments, environment and
standard streams, and runs what the program ansible-playbook runs. No run sees another, since each begins as a copy of a
server that has run nothing. Ansible reads its settings when it is imported, so a run in another folder, on a terminal,
or with another environment than the server's is a plain process, but for variables that the caller says are not read.
Modules are packed once: a run leaves those that it packed to the runs that begin later.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import selectors
import socket
import subprocess
import sys
import threading
import typing as t
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "ansible-playbook"
PACKED, MODULES = "ansiballz_cache", "*-none"  # Ansible's names for the folder, and for modules without debuggers in it


class Process(t.Protocol):
    """What a run and a ``subprocess.Popen`` have in common."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | t.Any: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Warm:
    """A server, started here, for runs in ``cwd`` with ``env``, but for the variables in ``but_for``."""

    def __init__(self, cwd: Path, env: Mapping[str, str], but_for: Collection[str] = ()) -> None:
        self._cwd = cwd
        self._but_for = frozenset(but_for)
        self._env = self._fixed(env)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                cwd=cwd,
                env=self._env,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                process_group=0,
            )

    def start(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: t.IO[t.Any],
        stdout: t.IO[t.Any],
        stderr: t.IO[t.Any],
    ) -> Process:
        """ansible-playbook with these arguments, in a process group of its own."""
        argv = [str(PROGRAM), *arguments]
        streams = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
        if cwd != self._cwd or self._fixed(env) != self._env or any(map(os.isatty, streams)):
            return subprocess.Popen(argv, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, process_group=0)
        report, theirs = os.pipe()
        try:
            socket.send_fds(self._socket, [json.dumps([argv, dict(env)]).encode()], [*streams, theirs])
        finally:
            os.close(theirs)
        return _Run(report)

    def close(self) -> None:
        """End the server. Runs go on."""
        self._socket.close()
        self._server.wait()

    def _fixed(self, env: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in env.items() if name not in self._but_for}


class _Run:
    """A run that the server forked: it says the pid in one line, and how it ended in another."""

    def __init__(self, report: int) -> None:
        self.returncode: int | None = None
        self._report = open(report)  # noqa: SIM115
        self.pid = self._said()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(PROGRAM), timeout or 0)
            with self._report:
                self.returncode = self._said()
        return self.returncode

    def _said(self) -> int:
        line = self._report.readline()
        if not line:
            raise RuntimeError("the server of warm Ansible has died")
        return int(line)


def _warm() -> None:
    """Import Ansible and the plugins that every run loads; read what Ansible ships with, which no run changes."""
    import ansible.cli.playbook  # noqa: F401
    from ansible.executor.process import worker  # noqa: F401
    from ansible.plugins.loader import become_loader, callback_loader, connection_loader, shell_loader
    from ansible.utils.collection_loader import _collection_finder as finder
    from ansible.utils.display import Display

    finder._meta_yml_to_dict = functools.cache(finder._meta_yml_to_dict)
    routing = Path(ansible.__file__).parent / "config/ansible_builtin_runtime.yml"
    finder._meta_yml_to_dict(routing.read_bytes(), ("ansible.builtin", "runtime.yml"))
    # The first that a run does, too. Of a callback that goes, and that nobody has enabled, a run tells nobody.
    Display.deprecated, deprecated = _silent, Display.deprecated
    for loader in (connection_loader, shell_loader, become_loader, callback_loader):
        list(loader.all(class_only=True))
    Display.deprecated = deprecated


def _silent(*_args: object, **_options: object) -> None:
    pass


def _serve() -> list[str] | None:
    """Fork for each request until nobody can make one. Returns in every child too, with its arguments."""
    with socket.socket(fileno=os.dup(0)) as control, selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                if key.data is not None:  # a run has ended
                    selector.unregister(key.fd)
                    pid, report = key.data
                    _tell(report, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    os.close(key.fd)
                    os.close(report)
                    continue
                request, descriptors, _flags, _address = socket.recv_fds(control, 1 << 20, 4)
                if not request:
                    return None
                *streams, report = descriptors
                pid = os.fork()
                if not pid:
                    control.close()
                    selector.close()
                    argv, env = json.loads(request)
                    return _become(argv, env, streams)
                os.setpgid(pid, pid)  # by both, so that it is done when either goes on
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, report))
                _tell(report, pid)
                for stream in streams:
                    os.close(stream)


def _tell(report: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(report, b"%d\n" % number)


def _become(argv: list[str], env: dict[str, str], streams: Sequence[int]) -> list[str]:
    """Make a child what a new process would be."""
    from ansible import constants
    from ansible.config.manager import cleanup_tmp_file

    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(env)
    sys.argv = argv
    # The folder for temporary files is the server's, which removes it. Packed modules lie there.
    shared = Path(constants.DEFAULT_LOCAL_TMP, PACKED)
    atexit.unregister(cleanup_tmp_file)
    constants.DEFAULT_LOCAL_TMP = constants.config.get_config_value("DEFAULT_LOCAL_TMP", variables=vars(constants))
    own = Path(constants.DEFAULT_LOCAL_TMP, PACKED)
    own.mkdir()
    for module in shared.glob(MODULES):
        os.link(module, own / module.name)
    atexit.register(_leave, own, shared)  # it runs before that which removes the folder
    return argv


def _leave(own: Path, shared: Path) -> None:
    """Move modules that a run packed to where later runs look. A run that is killed leaves none."""
    for module in own.glob(MODULES):
        if not (shared / module.name).exists():
            module.rename(shared / module.name)


def main() -> None:
    sys.path[0] = str(PROGRAM.parent)  # as when that program runs: no tool of ours is in the way of an import
    _warm()
    from ansible import constants

    Path(constants.DEFAULT_LOCAL_TMP, PACKED).mkdir()
    if threading.active_count() != 1:
        raise RuntimeError("Ansible started a thread when it was imported; a fork would lose it")
    gc.freeze()
    argv = _serve()
    if argv is not None:
        from ansible.cli.playbook import main as playbook

        playbook(argv)


if __name__ == "__main__":
    main()
