# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether a new worker could bind what its file says. ``haproxy -c`` does not try, and a reload that fails pauses all
ports of the old worker for seconds.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import typing as t

from .._errors import HostError
from .config import Bind

_LISTENING = "0A"
_TABLES = {"proc/net/tcp": socket.AF_INET, "proc/net/tcp6": socket.AF_INET6}


class Listening(t.NamedTuple):
    """A socket of the host that accepts connections."""

    address: str
    port: int
    inode: str


def listening(root: str) -> list[Listening]:
    """All of them, of both families."""
    found = []
    for name, family in _TABLES.items():
        try:
            with open(os.path.join(root, name), encoding="ascii") as table:
                rows = [line.split() for line in table][1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for row in rows:
            if row[3] == _LISTENING:
                address, _colon, port = row[1].partition(":")
                found.append(Listening(_address(address, family), int(port, 16), row[9]))
    return found


def inodes(root: str, pids: t.Iterable[int]) -> set[str]:
    """The sockets of these processes."""
    found = set()
    for pid in pids:
        folder = os.path.join(root, f"proc/{pid}/fd")
        try:
            for name in os.listdir(folder):
                target = os.readlink(os.path.join(folder, name))
                if target.startswith("socket:["):
                    found.add(target[len("socket:[") : -1])
        except FileNotFoundError:
            continue  # a worker, or its socket, has ended meanwhile
        except PermissionError as exc:
            raise HostError(
                f"which ports process {pid} of the gateway holds cannot be read: run as root, or as the unit's user"
            ) from exc
    return found


def problems(
    binds: t.Iterable[Bind], taken: t.Sequence[Listening], ours: t.Collection[str], root: str = "/"
) -> list[str]:
    """A sentence for each that a new worker cannot bind. What the gateway has itself, it can hand over."""
    found = []
    for bind in binds:
        try:
            family, address = _resolved(bind)
        except OSError as exc:
            found.append(f"{bind.text} ({bind.where}) has a name that does not resolve: {exc.strerror or exc}")
            continue
        same = [one for one in taken if one.port == bind.port and _overlap(address, one.address)]
        others = [one for one in same if one.inode not in ours]
        if others:
            found.append(
                f"{bind.text} ({bind.where}) is in use{_holder(others[0], root)}: free it, or bind another port"
            )
        elif reason := _refused(family, address, 0 if same else bind.port):
            found.append(f"{bind.text} ({bind.where}) {reason}")
    return found


def _refused(family: int, address: str, port: int) -> str | None:
    """What the kernel says to a socket that is bound for a moment, and never listens."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((address, port))
        except OSError as exc:
            if exc.errno == errno.EADDRNOTAVAIL:
                return "is no address of this host: bind one that it has"
            if exc.errno == errno.EADDRINUSE:
                return "is in use: free it, or bind another port"
            return f"cannot be bound: {exc.strerror}"
    return None


def _resolved(bind: Bind) -> tuple[int, str]:
    """Family and address; of a name, the first that it has, as HAProxy takes it."""
    if not bind.address:
        return socket.AF_INET, "0.0.0.0"
    found = socket.getaddrinfo(bind.address, None, type=socket.SOCK_STREAM)
    family, _type, _protocol, _name, address = found[0]
    return family, str(address[0])


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first.version == second.version and (first == second or first.is_unspecified or second.is_unspecified)


def _address(text: str, family: int) -> str:
    """The kernel writes addresses as words of the machine, which here is little endian."""
    raw = bytes.fromhex(text)
    return socket.inet_ntop(family, b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4)))


def _holder(one: Listening, root: str) -> str:
    """Who has the port, where that can be read: as root."""
    proc = os.path.join(root, "proc")
    for pid in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        try:
            if one.inode in inodes(root, [int(pid)]):
                with open(os.path.join(proc, pid, "comm"), encoding="utf-8", errors="replace") as comm:
                    return f" by {comm.read().strip()}, process {pid}"
        except (HostError, OSError):
            continue
    return ""
