# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the service remembers: its place in the journal, what it is about to write, and its counters."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._errors import HostError
from .fields import Counters
from .fold import Counted
from .journal import place
from .parse import Event

VERSION = 1


@dataclasses.dataclass(frozen=True)
class State:
    """``cursor``: all lines up to it are in events that are written, empty for none; ``inclusive``: and so is the line
    there. ``intent``: events that are being written, up to ``intent_cursor``. ``skipped``: entries of the journal that
    were gone before they were read. ``uuids``: of GPUs by PCI address."""

    cursor: str = ""
    inclusive: bool = True
    intent: tuple[Counted, ...] = ()
    intent_cursor: str = ""
    counters: Counters = dataclasses.field(default_factory=dict)
    skipped: int = 0
    uuids: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


def as_text(state: State) -> str:
    return json.dumps(
        {
            "version": VERSION,
            "cursor": state.cursor,
            "inclusive": state.inclusive,
            "intent": [dataclasses.asdict(counted) for counted in state.intent],
            "intent_cursor": state.intent_cursor,
            "counters": [[list(values), number] for values, number in sorted(state.counters.items())],
            "skipped": state.skipped,
            "uuids": dict(sorted(state.uuids.items())),
        }
    )


def parsed(text: str) -> State:
    """HostError for what as_text has not written."""
    try:
        found = json.loads(text)
        if found["version"] != VERSION:
            raise ValueError(f"version {found['version']}")
        for cursor in (found["cursor"], found["intent_cursor"]):
            if cursor:
                place(cursor)
        return State(
            cursor=str(found["cursor"]),
            inclusive=bool(found["inclusive"]),
            intent=tuple(Counted(**{**one, "event": Event(**one["event"])}) for one in found["intent"]),
            intent_cursor=str(found["intent_cursor"]),
            counters={tuple(map(str, values)): int(number) for values, number in found["counters"]},
            skipped=int(found["skipped"]),
            uuids={str(address): str(uuid) for address, uuid in found["uuids"].items()},
        )
    except (HostError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise HostError(f"not the state that this program writes: {exc!r}") from exc
