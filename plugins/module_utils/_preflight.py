# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What lies on a host before a role changes it: paths, and who listens on which TCP port. Reads, never writes."""

from __future__ import annotations

import dataclasses
import glob
import grp
import ipaddress
import os
import pwd
import re
import stat
import typing as t

from . import _text_file
from ._privileges import user_name

_LISTEN = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_IDS = re.compile(r"^(Uid|Gid|Groups):([\d\s]*)$", re.MULTILINE)
_UNIT = re.compile(r"/([^/]+\.(?:service|socket|scope))(?=/|$)")


@dataclasses.dataclass(frozen=True)
class Path:
    """A path as it is, links followed. ``kind`` is file, directory, other, or absent; then the rest is None."""

    path: str
    kind: str
    mode: str | None = None
    owner: str | None = None
    group: str | None = None
    size_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Listener:
    """A TCP socket that listens. What the kernel does not let us see is None."""

    port: int
    address: str
    pid: int | None
    process: str | None
    unit: str | None


def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IPv4 address that is written as IPv6 is the IPv4 address. None where the text is no address."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def overlap(one: str, other: str) -> bool:
    """Whether two addresses cannot both be listened on with the same port."""
    left, right = (parse_ip("127.0.0.1" if address == "localhost" else address) for address in (one, other))
    if left is None or right is None:
        return one == other
    return left == right or left.is_unspecified or right.is_unspecified


@dataclasses.dataclass(frozen=True)
class Program:
    """A process, by the name of its program. ``may_list``: whether the modes of a folder let its user list it."""

    pid: int
    name: str
    user: str
    may_list: bool


class _Socket(t.NamedTuple):
    address: str
    port: int
    inode: str


def inspect(path: str) -> Path:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Path(path, "absent")
    kind = "file" if stat.S_ISREG(found.st_mode) else "directory" if stat.S_ISDIR(found.st_mode) else "other"
    return Path(
        path=path,
        kind=kind,
        mode=f"{stat.S_IMODE(found.st_mode):04o}",
        owner=_name(lambda: pwd.getpwuid(found.st_uid).pw_name, found.st_uid),
        group=_name(lambda: grp.getgrgid(found.st_gid).gr_name, found.st_gid),
        size_bytes=found.st_size,
    )


def _name(look_up: t.Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:
        return str(number)


def listeners(ports: t.Collection[int], proc: str = "/proc", cids: str = "/run") -> list[Listener]:
    """Who listens on these ports. Processes are looked for only when a port is taken."""
    sockets = [
        found
        for table in ("tcp", "tcp6")
        for found in parse_sockets(_text_file.read(os.path.join(proc, "net", table)))
        if found.port in ports
    ]
    holders = _holders({found.inode for found in sockets}, proc) if sockets else {}
    result = []
    for found in sorted(sockets, key=lambda item: (item.port, item.address)):
        pid = holders.get(found.inode)
        process = _text_file.read(os.path.join(proc, str(pid), "comm")).strip() if pid else ""
        cgroup = _text_file.read(os.path.join(proc, str(pid), "cgroup")) if pid else ""
        unit = _unit_of_container(cgroup, cids) or unit_of(cgroup)
        result.append(Listener(found.port, found.address, pid, process or None, unit))
    return result


def programs(names: t.Collection[str], folder: str, proc: str = "/proc") -> list[Program]:
    """The processes of programs of these names, by their process ids."""
    found = []
    for pid in sorted(int(entry) for entry in os.listdir(proc) if entry.isdigit()):
        argv = _text_file.read(os.path.join(proc, str(pid), "cmdline")).split("\0")
        name = os.path.basename(argv[0])
        if name in names:
            said = _text_file.read(os.path.join(proc, str(pid), "status"))
            ids = {key: [int(word) for word in words.split()] for key, words in _IDS.findall(said)}
            uid, groups = ids.get("Uid", [0])[-1], {*ids.get("Gid", [])[-1:], *ids.get("Groups", [])}
            found.append(Program(pid, name, user_name(uid), _may_list(folder, uid, groups)))
    return found


def _may_list(folder: str, uid: int, groups: t.Collection[int]) -> bool:
    """By the modes of the folder and of those above it; lists of access rights are not looked at."""
    path = os.path.realpath(folder)
    needed = 5
    while uid:
        mode = os.stat(path)
        shift = 6 if mode.st_uid == uid else 3 if mode.st_gid in groups else 0
        if mode.st_mode >> shift & needed != needed:
            return False
        if path == "/":
            break
        path, needed = os.path.dirname(path), 1
    return True


def parse_sockets(table: str) -> list[_Socket]:
    """The listening sockets of ``/proc/net/tcp`` or ``tcp6``."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, _colon, port = fields[1].partition(":")
            found.append(_Socket(_address(address), int(port, 16), fields[9]))
    return found


def _address(words: str) -> str:
    """The kernel prints addresses as 32-bit words in the byte order of the machine; Linux on ML hosts is little."""
    raw = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    return str(ipaddress.ip_address(raw))


def unit_of(cgroup: str) -> str | None:
    """The systemd unit in ``/proc/PID/cgroup``: of the unified hierarchy or of systemd's own."""
    for line in cgroup.splitlines():
        _number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if controllers in ("", "name=systemd"):
            units = _UNIT.findall(path)
            if units:
                return t.cast(str, units[-1])
    return None


def _unit_of_container(cgroup: str, cids: str) -> str | None:
    """The unit that runs the container of a process: Docker's are in a scope of their own. As Quadlet does, the unit
    keeps the container's id in a file with its name."""
    containers = set(_CONTAINER.findall(cgroup))
    if containers:
        for path in glob.glob(os.path.join(cids, "*.cid")):
            if _text_file.read(path).strip() in containers:
                return f"{os.path.basename(path)[: -len('.cid')]}.service"
    return None


def _holders(inodes: t.Collection[str], proc: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for pid in sorted((int(name) for name in os.listdir(proc) if name.isdigit()), reverse=True):
        folder = os.path.join(proc, str(pid), "fd")
        try:
            names = os.listdir(folder)
        except OSError:
            continue  # it has ended, or is not ours to see
        for name in names:
            try:
                match = _SOCKET.match(os.readlink(os.path.join(folder, name)))
            except OSError:
                continue
            if match and match.group(1) in inodes:
                found[match.group(1)] = pid  # the lowest: the parent of those that share it
    return found
