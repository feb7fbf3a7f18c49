# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Who owns what: the records in the ledgers, and how two components get along."""

from __future__ import annotations

import typing as t

from .._errors import HostError
from . import json_keys
from .desired import Effect
from .fs_entry import Entry
from .store import Ledger

PathKind = t.Literal["file", "repository", "link", "directory", "absent", "json"]

_SHARED = ("directory", "repository")


def path_record(
    kind: PathKind,
    original: Entry | t.Mapping[str, t.Any],
    effect: Effect,
    keys: json_keys.KeyRecords | None = None,
    wrote: str | None = None,
    purged_by: str | None = None,
    *,
    before_packages: bool = False,
) -> dict[str, t.Any]:
    """A record on a path as the ledger has it. An Entry as ``original`` is packed when the ledger is written.

    ``purged_by`` is the directory that tolerates no strangers, for what was one when the component came. What has
    ``before_packages`` goes before the package manager works, as it came.
    """
    record: dict[str, t.Any] = {"kind": kind, "original": original}
    if kind != "directory":
        record["effect"] = {"impact": effect.impact, "units": None if effect.units is None else list(effect.units)}
    if kind == "json":
        record["keys"] = keys
    if wrote is not None:
        record["wrote"] = wrote
    if purged_by is not None:
        record["purged_by"] = purged_by
    if before_packages:
        record["before_packages"] = True
    return record


def effect_of(record: t.Mapping[str, t.Any]) -> Effect:
    """What the units need when this path is given back."""
    stored = record["effect"]
    return Effect(stored["impact"], None if stored["units"] is None else tuple(stored["units"]))


def refuse_foreign(
    component: str, path: str, kind: PathKind, others: t.Sequence[Ledger], pointers: t.Sequence[str] = ()
) -> None:
    """HostError when another component owns the path. Directories and repositories are shared, and so are JSON files
    by their keys."""
    for other in others:
        theirs = other.paths.get(path)
        if theirs is None or (kind == theirs["kind"] and kind in _SHARED) or "purged_by" in theirs:
            continue
        what = path
        if kind == theirs["kind"] == "json":
            pointer = json_keys.conflict(pointers, theirs["keys"])
            if pointer is None:
                continue
            what = f"key {pointer} in {path}"
        raise HostError(
            f"component {component!r} requests {what}, which component {other.component!r} owns; "
            "take it out of one of them",
            path=path,
            owner=other.component,
        )


def inherited_original(path: str, others: t.Sequence[Ledger]) -> t.Mapping[str, t.Any] | None:
    """What was there before the first component that shares this path."""
    return next((other.paths[path]["original"] for other in others if path in other.paths), None)


def inherited_user(name: str, others: t.Sequence[Ledger]) -> t.Mapping[str, t.Any] | None:
    return next((other.users[name] for other in others if name in other.users), None)


def inherited_unit(name: str, others: t.Sequence[Ledger]) -> t.Mapping[str, t.Any] | None:
    return next((other.units[name] for other in others if name in other.units), None)


def inherited_package(name: str, others: t.Sequence[Ledger]) -> t.Mapping[str, t.Any] | None:
    return next((other.packages[name] for other in others if name in other.packages), None)


def has_owner(path: str, others: t.Sequence[Ledger]) -> bool:
    return any(path in other.paths and "purged_by" not in other.paths[path] for other in others)


def refuse_unlike(
    component: str, path: str, wrote: str, owned: t.Mapping[str, t.Any] | None, others: t.Sequence[Ledger]
) -> None:
    """HostError when a component that shares this file of a repository has it otherwise.

    Whoever wants it otherwise than before may change it: else an address that is about to change for all of them could
    be changed by none.
    """
    if owned is not None and owned.get("wrote") != wrote:
        return
    for other in others:
        if path in other.paths and other.paths[path].get("wrote") not in (None, wrote):
            raise HostError(
                f"component {component!r} requests another {path} than component {other.component!r}, which shares it; "
                "give both the same address, suites and key",
                path=path,
                owner=other.component,
            )
