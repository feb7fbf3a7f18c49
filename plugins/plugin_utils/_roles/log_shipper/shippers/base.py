# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a program that ships logs brings along. All else of the role is the same for each of them.

It runs as the unit ``pipeline.UNIT``, a process of its own with a configuration of its own in
``pipeline.CONFIG_DIR``. Its unit file has ``ProtectHome=yes``, ``PrivateTmp=yes`` and ``RuntimeDirectory=`` for
``pipeline.RECEIPTS``.

A test line of the role is in the journal with the fields ``MLOPS_TEST_MARK``, ``MLOPS_TEST_SOURCE``,
``MLOPS_TEST_TRANSPORT`` and ``MLOPS_TEST_UNIT``. From root it goes the way of a line of that transport and unit, and
when a sink has taken it, a file in ``pipeline.RECEIPTS`` gets the line "mark source sink".
"""

from __future__ import annotations

import typing as t

from ...built import Data
from ..pipeline import Pipeline, Receiver, Sink


class Shipper(t.Protocol):
    name: t.ClassVar[str]
    """As in ``log_shipper_provider``, and the package that has it."""

    supports: t.ClassVar[frozenset[str]]
    """Types of sinks and receivers."""

    complaints: t.ClassVar[str]
    """A regular expression of what it says of a part of its configuration that it runs without."""

    reopen: t.ClassVar[str]
    """The signal after which it writes to new files of received logs."""

    config: t.ClassVar[str]
    """Path of its configuration."""

    def __init__(self, known: Data) -> None:
        """``known`` is its row of ``vars/``. ``releases`` and ``rivals`` of the row are for the role."""

    def packages(self, pipeline: Pipeline) -> list[str]: ...

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        """As options of the module ``component``: the unit and the configuration. Certificates and keys are there."""

    def validate(self, path: str) -> list[str]:
        """The command that checks a configuration."""


def pem_files(pipeline: Pipeline) -> list[dict[str, t.Any]]:
    """Certificates and keys that were given as text."""
    return [
        {"path": pem.home, "content": pem.content, **_access(pem is endpoint.key)}
        for endpoint in pipeline.endpoints
        for pem in endpoint.pems
        if pem.content is not None
    ]


def _access(private: bool) -> dict[str, t.Any]:
    return {"mode": "0600", "secret": True} if private else {"mode": "0644"}


def shown_sink(sink: Sink) -> dict[str, t.Any]:
    """As templates see it: paths instead of contents."""
    # A sink is whom its address names.
    return {**_shown(sink), "peers": list(sink.peers or (sink.host,)), "host": sink.host, "queue": dict(sink.queue)}


def shown_receiver(receiver: Receiver) -> dict[str, t.Any]:
    return {
        **_shown(receiver),
        "peers": list(receiver.peers),
        "address": receiver.address,
        "path": receiver.path,
        "file_mode": receiver.file_mode,
        "group": receiver.group,
        "keep_days": str(receiver.keep_days),
    }


def _shown(endpoint: Sink | Receiver) -> dict[str, t.Any]:
    return {
        "name": endpoint.name,
        "type": endpoint.type,
        "port": endpoint.port,
        "ca": endpoint.ca.place,
        "cert": endpoint.cert.place,
        "key": endpoint.key.place,
    }
