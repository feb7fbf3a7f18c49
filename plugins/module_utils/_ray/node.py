# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a host must have before Ray starts, and when it has joined. Over a reader of the host, and a cluster."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import time
import typing as t
from pathlib import Path

from .._errors import HostError
from . import paths
from .cluster import Cluster, Node

_POLL_S = 1.0
_CONNECT_S = 3.0


@dataclasses.dataclass(frozen=True)
class Config:
    """``address`` is this host's own, ``head`` the address of the head, and ``port`` where that listens.

    ``object_store`` in bytes. ``join_s``: how long the head may be missing.
    """

    address: str
    head: str
    port: int
    object_store: int
    join_s: int

    @property
    def is_head(self) -> bool:
        return self.address == self.head

    @property
    def gcs(self) -> str:
        return f"{self.head}:{self.port}"


class Ended(HostError):
    """To wait does not help."""


class Host(t.Protocol):
    """What is read and done on the host."""

    def has_address(self, address: str) -> bool:
        """Whether one of its interfaces has it."""

    def free_shared_memory(self) -> int:
        """Bytes that are free in /dev/shm, as Ray's unit sees it."""

    def memory(self) -> int:
        """Bytes of the host."""

    def reaches(self, address: str, port: int) -> str | None:
        """None, or why not."""

    def runs(self, process: int) -> bool:
        """Whether a process of this id runs."""

    def forget_sessions(self) -> None:
        """Remove what earlier starts of Ray have left, but the last."""

    def clock(self) -> float:
        """Seconds, of a clock that is never set."""

    def sleep(self, seconds: float) -> None:
        """Wait so long."""


class ThisHost:
    def has_address(self, address: str) -> bool:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                return False
        return True

    def free_shared_memory(self) -> int:
        return shutil.disk_usage("/dev/shm").free

    def memory(self) -> int:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def reaches(self, address: str, port: int) -> str | None:
        try:
            socket.create_connection((address, port), timeout=_CONNECT_S).close()
        except OSError as exc:
            return os.strerror(exc.errno) if exc.errno else str(exc)
        return None

    def runs(self, process: int) -> bool:
        # Not by /proc, which shows nothing of another user namespace.
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        return True

    def forget_sessions(self) -> None:
        found = sorted(path for path in Path(paths.TEMP).glob("session_2*") if not path.is_symlink())
        for path in found[:-1]:
            shutil.rmtree(path, ignore_errors=True)

    def clock(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def prepare(config: Config, host: Host, cluster: Cluster) -> None:
    """HostError with what is in the way of a start. Of a worker it waits until the head takes it in, and no longer than
    ``join_s``: Ray itself would retry for ever. A head may be about to get the same token, or the same version."""
    _fits(config, host)
    host.forget_sessions()
    if not config.is_head:
        _until(lambda: _admit(config, host, cluster), config.join_s, host)


def _fits(config: Config, host: Host) -> None:
    if not host.has_address(config.address):
        raise HostError(
            f"{config.address} is no address of this host; set ray_cluster_address to one that it has in the "
            "cluster's network"
        )
    half, free = host.memory() // 2, host.free_shared_memory()
    if config.object_store > min(half, free):
        # Ray would put it on the disk, and say so in its log alone.
        where = f"half of the memory ({_mib(half)})" if half < free else f"what is free in /dev/shm ({_mib(free)})"
        raise HostError(
            f"the object store of {_mib(config.object_store)} is more than {where}; lower ray_cluster_object_store_mib"
        )


def _admit(config: Config, host: Host, cluster: Cluster) -> None:
    """HostError where the head does not take this host in."""
    _reach(config, host)
    theirs, mine = cluster.versions(), cluster.here
    if theirs is None:
        raise HostError(f"the head at {config.gcs} has not said which versions it has; see its log")
    if theirs != mine:
        raise HostError(
            f"the head runs Ray {theirs.ray} with Python {theirs.python}, and this host has Ray {mine.ray} with Python "
            f"{mine.python}; give all hosts of the cluster the same ray_cluster_runtime, and the same Python packages"
        )


def _reach(config: Config, host: Host) -> None:
    # Ray's own client waits for minutes where nothing listens.
    if (problem := host.reaches(config.head, config.port)) is not None:
        raise HostError(
            f"the head at {config.gcs} is not reached: {problem}; start the head, or correct ray_cluster_head and "
            "ray_cluster_port"
        )


def joined(config: Config, host: Host, cluster: Cluster, *, start: str, process: int) -> None:
    """Wait until the cluster counts this start of this host, while its ``process`` is there."""

    def here() -> None:
        if process and not host.runs(process):
            raise Ended("Ray has ended before the cluster counted this host; its own lines say why")
        _reach(config, host)
        if not any(node.alive and node.start == start for node in cluster.nodes()):
            raise HostError(f"the head at {config.gcs} does not count this host; see the log of Ray in {paths.TEMP}")

    _until(here, config.join_s, host)


def counted(config: Config, host: Host, cluster: Cluster, expected: t.Collection[str], timeout_s: float) -> list[Node]:
    """The nodes that are alive, one for each address, once all of the ``expected`` addresses are among them."""
    found: dict[str, Node] = {}

    def all_here() -> None:
        _reach(config, host)
        found.clear()
        # One that died is counted for some seconds along with its next start.
        found.update({node.address: node for node in cluster.nodes() if node.alive})
        if lost := sorted({*expected} - found.keys()):
            raise HostError(f"the head at {config.gcs} does not count {', '.join(lost)}; see {paths.UNIT} there")

    _until(all_here, timeout_s, host)
    return [found[address] for address in sorted(found)]


def _until(succeeds: t.Callable[[], None], limit_s: float, host: Host) -> None:
    """The last HostError when it has not succeeded in time."""
    end = host.clock() + limit_s
    while True:
        try:
            return succeeds()
        except Ended:
            raise
        except HostError as exc:
            if host.clock() >= end:
                after = f" (after {limit_s:g} s)" if limit_s else ""
                raise HostError(f"{exc}{after}") from exc
        host.sleep(_POLL_S)


def _mib(size: int) -> str:
    return f"{size // 2**20} MiB"
