# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A transaction that has not ended, written down so that any later run can undo or finish it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
import typing as t

from .._errors import HostError
from . import fs_entry
from .store import Store, read_json, write_json

Stage = t.Literal["packages", "changing", "restoring", "committed"]
# A run that waits for the package manager comes back within seconds of its end; after this it is taken for dead.
_PATIENCE_S = 60


@dataclasses.dataclass
class Journal:
    """Everything is JSON-native. ``result`` is kept for the call that ends the transaction.

    Stages: ``packages`` (the controller lets the package manager install), ``changing`` (this host changes files and
    units), ``restoring`` (the controller lets the package manager put versions back), ``committed`` (the
    controller lets the package manager remove what nobody needs any more). A journal is undone until the ledger of its
    component names it, and finished from then on.
    """

    txn: str
    run: str
    component: str
    controller: str
    manager: str | None = None
    stage: Stage = "packages"
    beat: list[t.Any] = dataclasses.field(default_factory=list)
    paths: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    commands: list[list[str]] = dataclasses.field(default_factory=list)
    users: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    packages_before: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    packages_changed: list[str] = dataclasses.field(default_factory=list)
    policy: dict[str, t.Any] | None = None
    units_before: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    units_touched: bool = False
    failure: dict[str, t.Any] | None = None
    removals: list[str] = dataclasses.field(default_factory=list)
    users_gone: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    directories_gone: list[str] = dataclasses.field(default_factory=list)
    activated: list[str] = dataclasses.field(default_factory=list)
    result: dict[str, t.Any] | None = None
    saves: int = 0

    def save(self, store: Store) -> None:
        self.beat = _now()
        self.saves += 1
        entry = dataclasses.asdict(self)
        for path in store.journal_paths:
            write_json(path, {"sha256": _digest(entry), "entry": entry})

    def blobs(self) -> set[str]:
        return {entry["before"]["blob"] for entry in self.paths if entry["before"].get("blob")}

    def alive(self, worked: float) -> bool:
        """Whether the run that wrote it may still come back: it waits for the package manager, or did a moment ago.

        ``worked``: when a package manager was last seen at work, in seconds since boot.
        """
        if self.stage == "changing":
            return False  # this stage holds the host's lock, and the lock is ours
        boot, then = self.beat
        now_boot, now = _now()
        return bool(now - max(then if boot == now_boot else worked, worked) < _PATIENCE_S)


def load(store: Store) -> Journal | None:
    """The newer of the copies that are whole. HostError when there are some and none is whole."""
    found: list[Journal] = []
    trouble: list[str] = []
    for path in store.journal_paths:
        if os.path.exists(path):
            try:
                found.append(_read(path))
            except HostError as exc:
                trouble.append(str(exc))
    if trouble and not found:
        raise HostError(
            f"an earlier change of this host has not ended, and what is known of it is damaged: {'; '.join(trouble)}. "
            "Nothing was changed now; see whether the host is whole, remove both, and run again"
        )
    return max(found, key=lambda journal: journal.saves, default=None)


def discard(store: Store) -> None:
    for path in store.journal_paths:
        fs_entry.discard(path)
    fs_entry.sync_directory(store.directory)


def _read(path: str) -> Journal:
    document = read_json(path)
    entry = document.get("entry")
    if not isinstance(entry, dict) or document.get("sha256") != _digest(entry):
        raise HostError(f"{path} is damaged (its checksum is wrong)")
    return Journal(**entry)


def _digest(entry: dict[str, t.Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _now() -> list[t.Any]:
    """Boot id and seconds since that boot: a wall clock can be set back."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:
        return [source.read().strip(), time.monotonic()]
