# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a program that ships logs brings along. All else of the role is the same for each of them.

It runs as the unit ``pipeline.UNIT``, a process of its own with a configuration of its own in ``pipeline.CONFIG_DIR``.
Its unit has ``ProtectHome=yes``, ``PrivateTmp=yes`` and ``RuntimeDirectory=`` for ``pipeline.RECEIPTS``.

A test line of the role is in the journal with the fields ``MLOPS_TEST_MARK``, ``MLOPS_TEST_SOURCE``,
``MLOPS_TEST_TRANSPORT``, ``MLOPS_TEST_UNIT`` and ``MLOPS_TEST_CONTAINER``. From root it goes the way of a line of that
source up to the sink, which does not get it: in its place, the file of the sink in ``pipeline.RECEIPTS`` gets the line
"mark source sink".

What reaches a sink is a record:

- over syslog, RFC 5424: its fields, and structured data ``[mlops@32473 source="..." unit="..." <labels>]``, for events
  of GPUs ``[mlops-gpu@32473 ...]`` too. JSON stays the text of the message.
- elsewhere a JSON object: ``@timestamp`` (RFC 3339 with fraction and zone), ``host``, ``source``, ``unit``,
  ``container``, ``program``, ``pid``, ``severity`` (a word of ``pipeline.SEVERITIES``), ``message``, ``labels`` (an
  object, of source and route), ``fields`` (an object: members of a JSON line, or fields of an event of a GPU in small
  letters). What a line does not have is left out.
- labels of Loki, which are few: ``host``, ``source``, ``unit``, ``severity``, ``gpu_uuid`` of events, and ``labels``;
  the line is the message.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ...built import Data
from ..pipeline import Flow, Pipeline, Receiver, Sink, Source
from ..validate import Able

SOURCES = frozenset({"journald", "kernel", "model_servers", "containers", "gpu_events", "files"})

# Fields of an event of a GPU that are shipped (docs/gpu-faults.md).
EVENT_FIELDS = (
    "MLOPS_GPU_EVENT_ID",
    "SOURCE",
    "XID",
    "SXID",
    "MNEMONIC",
    "KIND",
    "SEVERITY",
    "ACTION",
    "HARDWARE_FAULT",
    "GPU_UUID",
    "PCI_ADDRESS",
    "EVENT_PID",
    "EVENT_PROCESS",
    "COUNT",
    "FIRST_USEC",
    "LAST_USEC",
)


@dataclasses.dataclass(frozen=True)
class Service:
    """What is special about its unit."""

    command: str
    type: str = "simple"  # as in Type=
    before: tuple[str, ...] = ()  # commands of ExecStartPre=
    after: tuple[str, ...] = ()  # commands of ExecStopPost=
    environment: tuple[tuple[str, str], ...] = ()
    stdout: str = "journal"  # null where it repeats there what it logs
    compiles: bool = False  # whether it makes code at run time, which MemoryDenyWriteExecute forbids
    stop_s: int = 30
    documentation: str = ""


class Shipper(t.Protocol):
    name: t.ClassVar[str]
    """As in ``log_shipper_provider``, and the package that has it."""

    sources: t.ClassVar[frozenset[str]]
    receivers: t.ClassVar[frozenset[str]]
    """Types. Those of sinks are in its row of ``vars/``, by releases."""

    when_full: t.ClassVar[tuple[str, ...]]
    """What it can do when a buffer is full: ``block``, ``drop_newest``, ``drop_oldest``."""

    least_mib: t.ClassVar[int]
    """The smallest buffer on disk that it accepts."""

    complaints: t.ClassVar[str]
    """A regular expression of what it says of a part of its configuration that it runs without."""

    reopen: t.ClassVar[str]
    """The signal after which it writes to new files of received logs; "" where it has no receivers."""

    config: t.ClassVar[str]
    """Path of its configuration."""

    receipts: t.ClassVar[bool]
    """Whether it writes receipts for test lines."""

    numbers: t.ClassVar[bool]
    """Whether what it has on disk is for a sink of that number, in the order of the sinks."""

    counts: t.ClassVar[bool]
    """Whether it fills the file of metrics (``_log_shipper.paths.METRICS``), with a directory for them."""

    def __init__(self, known: Data) -> None:
        """``known`` is its row of ``vars/``, with the ``release`` of the host and ``repository_url``, the user's word.
        ``releases``, ``sinks`` and ``rivals`` of the row are for the role."""

    @staticmethod
    def refuses(pipeline: Pipeline) -> list[str]:
        """What it alone cannot do of what is valid otherwise, as sentences. Types and policies are not for here."""

    def repositories(self) -> list[dict[str, t.Any]]:
        """Of its vendor, as options of the module ``component``."""

    def packages(self, pipeline: Pipeline) -> list[str]:
        """Names of what it is installed from, for these sinks."""

    def files(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        """The configuration, as options of the module ``component``. Certificates, keys and secrets are there."""

    def service(self, pipeline: Pipeline) -> Service:
        """How it is started and asked to reload."""

    def state(self) -> str:
        """The file in which it keeps its place in the journal as a cursor; "" where nobody can read it. Where that is
        ahead of what only its memory holds, ``place`` and ``stopped`` of the role's program run with its unit."""

    def modules(self, pipeline: Pipeline) -> dict[str, str]:
        """Modules that it loads at run time, which its checker does not look for, and the package of each."""

    def validate(self, path: str) -> list[str]:
        """The command that checks a configuration."""

    def ready(self, pipeline: Pipeline) -> list[dict[str, t.Any]]:
        """Conditions besides its checker, the receivers' ports and test lines, as options of ``component``."""


def able(shipper: type[Shipper], known: Data, release: str | None) -> Able:
    """``known`` is the row of ``vars/``: of ``sinks``, the releases that have each."""
    return Able(
        sources=shipper.sources,
        sinks=frozenset(kind for kind, releases in known["sinks"].items() if release in releases),
        receivers=shipper.receivers,
        when_full=shipper.when_full,
        least_mib=shipper.least_mib,
    )


def vendor_repository(known: Data) -> list[dict[str, t.Any]]:
    """Where the user's word has it, as options of the module ``component``; none without it."""
    if not known["repository_url"]:
        return []
    row, release = known["repository"], known["release"]
    return [
        {
            "name": row["name"],
            "uris": [f"{known['repository_url'].rstrip('/')}/{row['directory']}/{release}"],
            "suites": [release],
            "components": list(row["components"]),
            "key_src": row["key_src"],
            "fingerprint": row["fingerprint"],
        }
    ]


def own_files(pipeline: Pipeline) -> list[dict[str, t.Any]]:
    """Certificates, keys, passwords and tokens that were given as text."""
    pems = [
        {"path": pem.home, "content": pem.content, **_access(pem is endpoint.key)}
        for endpoint in pipeline.endpoints
        for pem in endpoint.pems
        if pem.content is not None
    ]
    secrets = [
        {"path": secret.home, "content": secret.content, **_access(True)}
        for sink in pipeline.sinks
        for secret in sink.secrets
    ]
    return pems + secrets


def _access(private: bool) -> dict[str, t.Any]:
    return {"mode": "0600", "secret": True} if private else {"mode": "0644"}


def flows(pipeline: Pipeline) -> list[tuple[Flow, Sink]]:
    """Each source on its way to each sink."""
    return [(flow, sink) for sink in pipeline.sinks for flow in pipeline.flows(sink)]


def from_journal(pipeline: Pipeline) -> list[Source]:
    return [source for source in pipeline.read if source.type != "files"]


def from_files(pipeline: Pipeline) -> list[Source]:
    return [source for source in pipeline.read if source.type == "files"]


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
