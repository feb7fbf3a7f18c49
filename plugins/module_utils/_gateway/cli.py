# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""HAProxy's command line, at the socket of a worker and at that of the master. One connection a command."""

from __future__ import annotations

import socket
import typing as t

from .._errors import HostError

_TIMEOUT_S = 30.0
_CHUNK = 65536


class NoAnswer(HostError):
    """Nobody is at the socket, or what is there has said nothing."""


class Cli(t.Protocol):
    """Sends a command, and returns all that is said to it. A payload has as many lines as it likes, and none empty."""

    def __call__(self, command: str, payload: str = "") -> str:
        """The answer, whole; empty where the command has none."""


class Socket:
    """A Cli over a Unix socket."""

    def __init__(self, path: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._path, self._timeout_s = path, timeout_s

    def __call__(self, command: str, payload: str = "") -> str:
        said = self.closed_after(command, payload)
        # A master that is replacing itself closes the connection without a word.
        if not said:
            raise NoAnswer(f"HAProxy at {self._path} has closed the connection without an answer to '{command}'")
        return said

    def takes(self) -> bool:
        """Whether somebody is there."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(self._path)
        except OSError:
            return False
        return True

    def closed_after(self, command: str, payload: str = "") -> str:
        """The same of a command that may close the connection before anything is said."""
        asked = f"{command} <<\n{payload.rstrip()}\n\n" if payload else f"{command}\n"
        found = bytearray()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout_s)
                connection.connect(self._path)
                connection.sendall(asked.encode())
                # A master waits for more commands until it is told that there are none.
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(_CHUNK):
                    found += part
        except (BrokenPipeError, ConnectionResetError):
            return found.decode(errors="replace")
        except socket.timeout as exc:
            raise NoAnswer(
                f"HAProxy at {self._path} has not answered '{command}' within {self._timeout_s:g} s"
            ) from exc
        except PermissionError as exc:
            raise HostError(f"{self._path}: {exc.strerror}; run as root, or as the gateway's user") from exc
        except OSError as exc:
            raise NoAnswer(
                f"nobody answers at {self._path} ({exc.strerror}): is the gateway running? See systemctl status"
            ) from exc
        return found.decode(errors="replace")


def silent(cli: Cli, command: str, payload: str = "") -> None:
    """A command whose success is an empty answer. HAProxy says what is wrong in words, and in no other way."""
    said = cli(command, payload).strip()
    if said:
        raise HostError(f"HAProxy refuses '{command}': {' '.join(said.split())}")


def worker(master: Cli, pid: int) -> Cli:
    """The command line of one worker, by the master; those that are stopping have no other."""

    def ask(command: str, payload: str = "") -> str:
        said = master(f"@!{pid} {command}", payload)
        # The first while it ends, the second once it has.
        if said.startswith(("Can't connect to the target CLI", "Can't find the target PID")):
            raise NoAnswer(f"worker {pid} has ended")
        return said

    return ask
