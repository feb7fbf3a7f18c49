# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The file that a new worker takes the states of servers from, so that a drain survives.

HAProxy takes the port from it whatever the configuration says, and for names the address, too: a server that has moved
would keep its old place. So the file is made to fit the configuration that will be loaded.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import socket
import tempfile
import typing as t

from . import parse
from .config import Config

# srv_op_state, srv_time_since_last_change and four fields of the check of a server that nobody has checked yet.
_FRESH = {5: "2", 9: "0", 10: "1", 11: "0", 12: "1", 13: "6"}
_ADDRESS, _HOST_NAME, _PORT = 4, 17, 18
Resolve = t.Callable[[str], "list[str]"]


def resolve(name: str) -> list[str]:
    """The addresses of a name; none where nothing answers."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def fitted(text: str, config: Config, *, fresh: bool, resolve: Resolve = resolve) -> str:
    """The answer of ``show servers state``, or such a file, for the configuration.

    What an operator has set of a server stays, wherever it is now. What its checks have found stays where it still is.
    With ``fresh`` it stays nowhere: nobody has checked while the gateway did not run.
    """
    rows = []
    for row in parse.servers(text):
        desired = config.servers.get((row.backend, row.name))
        if desired:
            rows.append(_fitted(row, *desired, fresh=fresh, resolve=resolve))
    return parse.state_file(text, rows)


def write(path: str, text: str) -> None:
    """Whole or not at all, and readable to whom the folder belongs: to the gateway, also when root writes."""
    folder = os.path.dirname(path)
    owner = os.stat(folder)
    descriptor, staged = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            if os.geteuid() == 0:
                os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(staged, path)
    except BaseException:
        os.unlink(staged)
        raise


def _fitted(row: parse.Server, address: str, port: str, *, fresh: bool, resolve: Resolve) -> parse.Server:
    fields = list(row.fields)
    if _is_address(address):
        fields[_ADDRESS], fields[_HOST_NAME] = address, "-"
    else:
        there = resolve(address)
        # With no answer, the last address that is known is the best one.
        if there and row.address not in there:
            fields[_ADDRESS] = there[0]
        fields[_HOST_NAME] = address
    fields[_PORT] = port
    if fresh or (fields[_ADDRESS], port) != (row.address, row.port):
        for place, value in _FRESH.items():
            fields[place] = value
    return dataclasses.replace(row, fields=tuple(fields))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
