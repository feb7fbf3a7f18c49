# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The collection's own state on a host: originals, ledgers and the journal's backups, all written durably.

Layout below the state directory (mode 0700)::

    ledger/<component>.json   what a committed component owns, and what was there before
    blobs/<sha256>            contents that may have to come back
    journal.json              a transaction that has not ended
    journal.copy.json         the same: damage of one of them is survived
    lock                      who changes this host now
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import typing as t

from .._errors import HostError
from . import fs_entry
from .fs_entry import Entry

_VERSION = 1


class Store:
    """Files below one directory. Nothing is written before ``prepare``."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._ledgers = os.path.join(directory, "ledger")
        self._blobs = os.path.join(directory, "blobs")
        self.journal_paths = tuple(os.path.join(directory, name) for name in ("journal.json", "journal.copy.json"))
        self.lock_path = os.path.join(directory, "lock")

    def prepare(self) -> None:
        for path in (self.directory, self._ledgers, self._blobs):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def litter(self) -> list[str]:
        """What a run had written here and not put in place: it is at work, or was killed."""
        found = []
        for folder in (self.directory, self._ledgers, self._blobs):
            with contextlib.suppress(FileNotFoundError):
                names = (name for name in os.listdir(folder) if name.endswith(fs_entry.STAGED_SUFFIX))
                found += [os.path.join(folder, name) for name in names]
        return found

    def sweep(self) -> None:
        """Remove the litter. Only for who holds the lock."""
        for path in self.litter():
            fs_entry.discard(path)

    def keep(self, content: bytes) -> str:
        """Store a content and return its name."""
        name = hashlib.sha256(content).hexdigest()
        path = os.path.join(self._blobs, name)
        if not os.path.exists(path):
            _write(path, content)
        return name

    def kept(self, name: str) -> bytes:
        path = os.path.join(self._blobs, name)
        try:
            with open(path, "rb") as source:
                content = source.read()
        except FileNotFoundError:
            raise HostError(
                f"{path} is gone, and with it an earlier file that has to come back; restore it from a backup"
            ) from None
        if hashlib.sha256(content).hexdigest() != name:
            raise HostError(
                f"{path} is damaged, and holds an earlier file that has to come back; restore it from a backup"
            )
        return content

    def forget_unused(self, used: t.Collection[str]) -> None:
        for name in os.listdir(self._blobs):
            if name not in used:
                os.unlink(os.path.join(self._blobs, name))

    def read_ledgers(self) -> dict[str, Ledger]:
        """All ledgers by component name."""
        try:
            names = sorted(os.listdir(self._ledgers))
        except FileNotFoundError:
            return {}
        found = (self._read_ledger(os.path.join(self._ledgers, name)) for name in names if name.endswith(".json"))
        return {ledger.component: ledger for ledger in found}

    def write_ledger(self, ledger: Ledger) -> None:
        """The commit of a transaction is this single rename."""
        write_json(self._ledger_path(ledger.component), {"version": _VERSION, **dataclasses.asdict(ledger)})

    def remove_ledger(self, component: str) -> None:
        fs_entry.discard(self._ledger_path(component))
        fs_entry.sync_directory(self._ledgers)

    def _ledger_path(self, component: str) -> str:
        return os.path.join(self._ledgers, f"{component}.json")

    def _read_ledger(self, path: str) -> Ledger:
        try:
            document = read_json(path)
        except HostError as exc:
            raise HostError(f"{exc}; restore it from a backup, or remove it if you know what it held") from exc
        if document.pop("version", None) != _VERSION:
            raise HostError(f"{path} was written by another version of mlops.hosts; use that version, or a newer one")
        return Ledger(**document)


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What one component owns. Everything is JSON-native; ``txn`` names the transaction that wrote it.

    - ``paths``: path → ``{"kind": one of records.PathKind, "original": entry}``, for ``json`` and ``repository`` also
      ``"wrote"``: sha256, for ``json`` also ``"keys"``: pointer → ``{"earlier": text | null, "container": bool}``; for
      a stranger in a directory that is ``"purged"``, that directory is ``"purged_by"``
    - ``packages``: name → ``{"original": version | null, "held": bool}``
    - ``users``: name → ``{"created": bool, "groups": [those we added]}``, and ``"group"``, the number of the group of
      that name, when it was there before the user
    - ``units``: name → ``{"enabled": bool, "active": bool, "masked": bool, "drop_ins": [paths]}`` as before we came
    - ``ready``, ``settle_s``: how to tell that this state is up, for a rollback to it
    """

    component: str
    txn: str = ""
    paths: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    packages: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    users: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    units: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    ready: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    settle_s: int = 5

    @property
    def empty(self) -> bool:
        return not (self.paths or self.packages or self.users or self.units)

    def blobs(self) -> set[str]:
        """Names of the stored contents that this ledger needs."""
        return {record["original"]["blob"] for record in self.paths.values() if record["original"].get("blob")}


def pack(found: Entry, store: Store) -> dict[str, t.Any]:
    """A entry as JSON; its content goes to the store."""
    packed: dict[str, t.Any] = {"kind": found.kind, "uid": found.uid, "gid": found.gid, "mode": found.mode}
    if found.content is not None:
        packed["blob"] = store.keep(found.content)
    if found.target is not None:
        packed["target"] = found.target
    return packed


def unpack(packed: t.Mapping[str, t.Any], store: Store) -> Entry:
    """The inverse of pack."""
    blob = packed.get("blob")
    return Entry(
        packed["kind"],
        packed["uid"],
        packed["gid"],
        packed["mode"],
        None if blob is None else store.kept(blob),
        packed.get("target"),
    )


def read_json(path: str) -> dict[str, t.Any]:
    """Read an object that write_json wrote; HostError when it is damaged."""
    try:
        with open(path, encoding="utf-8") as source:
            document = json.load(source)
    except ValueError as exc:
        raise HostError(f"{path} is damaged ({exc})") from exc
    if not isinstance(document, dict):
        raise HostError(f"{path} is damaged (it holds no object)")
    return document


def write_json(path: str, document: t.Mapping[str, t.Any]) -> None:
    """Replace a file atomically and durably."""
    _write(path, json.dumps(document, sort_keys=True).encode())


def _write(path: str, content: bytes) -> None:
    fs_entry.put(path, Entry("file", os.geteuid(), os.getegid(), 0o600, content))
