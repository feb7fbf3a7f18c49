# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warm runs of Ansible for a program that starts ansible-playbook by itself, as Molecule does.

The program gets an environment in which tools/in_path/ansible-playbook comes first. That hands its arguments, folder,
environment and streams to the listener here, which has a server (see warm_ansible.py) for each folder and environment
that it is asked for: Molecule asks for one of each in a scenario, whose steps share the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from tools.warm_ansible import Process, Warm

IN_PATH = Path(__file__).resolve().parent / "in_path"
ADDRESS = "MLOPS_ANSIBLE_LISTENER"


class Listener:
    """Listens until it is closed; the runs that it began end then too."""

    def __init__(self) -> None:
        # Not below the checkout: the address of a socket has at most 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="ansible-listener-")
        self._address = str(Path(self._folder.name, "socket"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(self._address)
        self._socket.listen()
        self._servers: dict[tuple[str, str], Warm] = {}
        self._one = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """This environment, in which ansible-playbook is asked of the listener."""
        return {**env, "PATH": f"{IN_PATH}{os.pathsep}{env['PATH']}", ADDRESS: self._address}

    def close(self) -> None:
        """Listen no more, and end the servers."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        with self._one:
            for server in self._servers.values():
                server.close()
        self._folder.cleanup()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_problem: object) -> None:
        self.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.ExitStack() as opened:
            request, descriptors, _flags, _address = socket.recv_fds(connection, 1 << 20, 3)
            stdin, stdout, stderr = (opened.enter_context(open(number, "r+b", buffering=0)) for number in descriptors)
            arguments, cwd, env = json.loads(request)
            with self._one:
                run = self._server(cwd, env).start(
                    arguments, cwd=Path(cwd), env=env, stdin=stdin, stdout=stdout, stderr=stderr
                )
            opened.close()
            teller = threading.Thread(target=_tell, args=[run, connection], daemon=True)
            teller.start()
            # Returns when nothing more is to be said: the run has ended, or who asked for it has.
            connection.recv(1)
            if teller.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGTERM)
            teller.join()

    def _server(self, cwd: str, env: Mapping[str, str]) -> Warm:
        key = cwd, json.dumps(env, sort_keys=True)
        if key not in self._servers:
            self._servers[key] = Warm(Path(cwd), env)
        return self._servers[key]


def _tell(run: Process, connection: socket.socket) -> None:
    """Say how the run ended, or nothing when that is not known."""
    with contextlib.suppress(OSError):  # who asked for it has gone
        try:
            connection.send(b"%d" % run.wait())
        finally:
            connection.shutdown(socket.SHUT_RDWR)
