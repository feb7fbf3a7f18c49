# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Conditions on the host that a component requires before it changes anything. Pure over a reader of the host."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .. import _preflight
from .._errors import HostError
from .desired import Requirement

_SHOWN_NAMES = 3
_GIB = 1024**3
# As the project and the distributions call it.
NODE_EXPORTERS = ("node_exporter", "prometheus-node-exporter", "golang-github-prometheus-node-exporter")
_PLACEHOLDER = re.compile(r"\{(what|found)\}")


class Reader(t.Protocol):
    """What is read of a host."""

    def path(self, path: str) -> _preflight.Path:
        """What is there, links followed."""

    def listeners(self, port: int) -> t.Sequence[_preflight.Listener]:
        """TCP sockets that listen at this port."""

    def is_mount(self, path: str) -> bool:
        """Whether a file system of its own is there."""

    def names(self, directory: str) -> t.Sequence[str]:
        """Of what is in this directory."""

    def resolves(self, name: str) -> bool:
        """Whether this host finds an address for it."""

    def disk_bytes(self, path: str) -> int:
        """Of the whole file system that has the path, or will have it."""

    def programs(self, names: t.Collection[str], folder: str) -> t.Sequence[_preflight.Program]:
        """Processes of programs of these names."""

    def is_file(self, path: str) -> bool:
        """Whether a plain file is there."""


class HostReader:
    """The host that this runs on."""

    def path(self, path: str) -> _preflight.Path:
        return _preflight.inspect(path)

    def listeners(self, port: int) -> t.Sequence[_preflight.Listener]:
        return _preflight.listeners([port])

    def is_mount(self, path: str) -> bool:
        return os.path.ismount(path)

    def names(self, directory: str) -> t.Sequence[str]:
        return sorted(os.listdir(directory))

    def resolves(self, name: str) -> bool:
        import socket  # not with the other modules: few components have names, and each fast check would load it

        try:
            return bool(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            return False

    def disk_bytes(self, path: str) -> int:
        """Of the file system that has the path, or will have it."""
        while not os.path.exists(path):
            path = os.path.dirname(path)
        found = os.statvfs(path)
        return found.f_blocks * found.f_frsize

    def programs(self, names: t.Collection[str], folder: str) -> t.Sequence[_preflight.Program]:
        return _preflight.programs(names, folder)

    def is_file(self, path: str) -> bool:
        return os.path.isfile(path) and not os.path.islink(path)


@dataclasses.dataclass(frozen=True)
class Failure:
    """What is in the way of a condition.

    ``message``: the sentence, with placeholders. ``what`` the condition is about, and what was ``found`` instead.
    ``may_come``: nothing is there yet.
    """

    message: str
    what: str
    found: str
    may_come: bool = False


@dataclasses.dataclass(frozen=True)
class Checked:
    """``pending``: what the component waits for, each with ``what``, ``why`` and ``ends_with``; with one, nothing
    changes. ``notices``: sentences on what is missing in check mode, and may be there by the time of a real run."""

    pending: tuple[dict[str, str], ...] = ()
    notices: tuple[str, ...] = ()


def check(
    requirements: t.Iterable[Requirement], reader: Reader, *, stopped: t.Collection[str], check_mode: bool
) -> Checked:
    """HostError with the sentences of all conditions that do not hold, except those that the component waits for.

    ``stopped``: units that the change stops before it starts others. In check mode what is missing is a notice: an
    earlier role of the same run may be what brings it.
    """
    refused: list[Failure] = []
    notices: list[Failure] = []
    pending: list[dict[str, str]] = []
    for item in requirements:
        failures = list(_failures(item, reader, stopped))
        if check_mode:
            notices += [failure for failure in failures if failure.may_come]
            failures = [failure for failure in failures if not failure.may_come]
        if item.otherwise == "fail":
            refused += failures
        elif failures:
            what = item.name or (item.path if item.port is None else f"port {item.port}")
            why = " ".join(_sentences(failures))
            pending.append({"what": what, "why": why, "ends_with": item.ends_with or ""})
    if refused:
        sentences = _sentences(refused)
        raise HostError(" ".join(sentences), requires=sentences)
    return Checked(tuple(pending), tuple(_sentences(notices)))


def _sentences(failures: t.Iterable[Failure]) -> list[str]:
    """One for all that has the same message."""
    same: dict[str, list[Failure]] = {}
    for failure in failures:
        same.setdefault(failure.message, []).append(failure)
    return [_sentence(message, of) for message, of in same.items()]


def _sentence(message: str, failures: t.Sequence[Failure]) -> str:
    def joined(placeholder: re.Match[str]) -> str:
        return ", ".join(dict.fromkeys(getattr(failure, placeholder[1]) for failure in failures))

    return _PLACEHOLDER.sub(joined, message)


def _failures(item: Requirement, reader: Reader, stopped: t.Collection[str]) -> t.Iterator[Failure]:
    if item.port is not None:
        yield from _port(item, item.port, reader, stopped)
    elif item.kind == "name":
        if not reader.resolves(item.name):
            yield Failure(item.msg, item.name, "not known", may_come=True)
    elif item.kind == "path":
        yield from _path(item, reader)
    elif item.kind == "textfile":
        yield from _textfile(item, reader)
    elif item.kind == "mount":
        if not reader.is_mount(item.path):
            yield Failure(item.msg, item.path, "not a mount point", may_come=True)
    elif item.min_bytes is not None:
        have = reader.disk_bytes(item.path)
        if have < item.min_bytes:
            yield Failure(item.msg, item.path, f"{have / _GIB:.1f} GiB")
    else:
        yield from _empty(item, reader)


def _port(item: Requirement, port: int, reader: Reader, stopped: t.Collection[str]) -> t.Iterator[Failure]:
    # Not with the other options: every fast check reads those, and would load all that knows addresses.
    if item.address != "localhost" and _preflight.parse_ip(item.address) is None:
        raise HostError(f"the address of a required port must be an IP address or localhost, not {item.address!r}")
    for listener in reader.listeners(port):
        unit = listener.unit
        if (unit and unit in {*item.units, *stopped}) or not _preflight.overlap(item.address, listener.address):
            continue
        details = [f"pid {listener.pid}"] if listener.pid else []
        details += [unit] if unit else []
        found = listener.process or "a process that cannot be seen"
        yield Failure(
            item.msg_for.get(unit or "", item.msg),
            f"{port} ({unit})" if unit else str(port),
            f"{found} ({', '.join(details)})" if details else found,
        )


def _path(item: Requirement, reader: Reader) -> t.Iterator[Failure]:
    """The first thing that is wrong: a directory in the place of a program has no mode that could be right."""
    found = reader.path(item.path)
    mode = f"mode {found.mode}, owner {found.owner}:{found.group}"
    bits = int(found.mode or "0", 8)
    if found.kind == "absent":
        yield Failure(item.msg_for.get("absent", item.msg), item.path, "not there", may_come=True)
    elif item.type is not None and found.kind != item.type:
        yield Failure(item.msg_for.get("type", item.msg), item.path, _kind(found))
    elif item.max_mode is not None and bits & ~item.max_mode:
        yield Failure(item.msg_for.get("max_mode", item.msg), item.path, mode)
    elif item.executable and not bits & 0o111:
        yield Failure(item.msg_for.get("executable", item.msg), item.path, mode)


def _textfile(item: Requirement, reader: Reader) -> t.Iterator[Failure]:
    """One node_exporter reads the folder, and the file in it is nobody else's. It may come later."""
    found = reader.path(item.path)
    if found.kind != "directory":
        is_absent = found.kind == "absent"
        yield Failure(item.msg, item.path, "not there" if is_absent else _kind(found), may_come=is_absent)
        return
    exporters = reader.programs(NODE_EXPORTERS, item.path)
    if len(exporters) > 1:
        told = " and ".join(f"{one.name} (pid {one.pid})" for one in exporters)
        yield Failure(item.msg_for.get("several", item.msg), item.path, told)
    for one in exporters:
        if not one.may_list:
            yield Failure(item.msg_for.get("denied", item.msg), item.path, one.user)
    path = f"{item.path}/{item.name}"
    if reader.is_file(path):
        yield Failure(item.msg_for.get("written", item.msg), path, "a file")


def _empty(item: Requirement, reader: Reader) -> t.Iterator[Failure]:
    found = reader.path(item.path)
    if found.kind == "directory":
        names = reader.names(item.path)
        if names:
            rest = len(names) - _SHOWN_NAMES
            shown = [*names[:_SHOWN_NAMES], *([f"{rest} more"] if rest > 0 else [])]
            yield Failure(item.msg, item.path, f"a directory with {', '.join(shown)}")
    elif found.kind != "absent":
        yield Failure(item.msg, item.path, _kind(found))


def _kind(found: _preflight.Path) -> str:
    return "neither a file nor a directory" if found.kind == "other" else f"a {found.kind}"
