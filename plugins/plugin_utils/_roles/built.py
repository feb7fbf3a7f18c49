# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a role desires of one host, as data."""

from __future__ import annotations

import dataclasses
import typing as t

Data = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Question:
    """A module that reads a host, with its arguments.

    ``tolerates``: a failure that has this key is an answer, too.
    """

    module: str
    args: Data
    tolerates: str = ""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of a change, once the host is known.

    ``conflicts``: sentences; with one, nothing changes. ``pending``: what waits, each with ``what``, ``why`` (a
    sentence) and ``ends_with`` (what would end the wait); with one, the component waits. ``notices``: sentences on what
    the change costs, no reason to stop.
    """

    conflicts: tuple[str, ...] = ()
    pending: tuple[Data, ...] = ()
    notices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Confirm:
    """What proves that a change has taken effect: ``lost`` makes sentences of the answer, none where it has."""

    question: Question
    lost: t.Callable[[Data], list[str]]


@dataclasses.dataclass(frozen=True)
class Check:
    """What else of the role may differ on the host: ``drift`` makes rows of the answer, none where nothing differs.

    Each has ``kind``, ``item``, ``attribute``, ``want`` and ``have``. Where there are some, the role's other tasks run.
    ``notices`` makes sentences of the answer that are worth knowing, and no difference.
    """

    question: Question
    drift: t.Callable[[Data], list[Data]]
    notices: t.Callable[[Data], list[str]] = lambda _answer: []


def _no_conflicts(_answer: Data, _compared: Data, _dry_run: bool) -> list[str]:
    return []


@dataclasses.dataclass(frozen=True)
class Built:
    """``problems`` are sentences, all at once; with one, nothing is asked of the host.

    ``notices`` are sentences, too, and no reason to stop.
    ``before``: modules that run before the component, whose changes count. ``component``: options of the module
    ``component``; None where the role has none on the host.
    ``differs``: what was asked before differs from what is desired, as the component may.
    ``pending``: as that of a decision, but the component does not wait.
    ``question``: for a host that is about to change. ``conflicts`` makes sentences of its answer, of what the component
    found (``drift``), and of whether this is a dry run. ``context``: asked along with it; what the component found has
    the answers, in order, as ``context``.
    ``decide``: the same for a role with more to decide. ``confirm``: asked after a change.
    ``checks``: asked along with the component, in check mode. ``verify``: what the role's own checks need after a
    change, None where it has none. ``rest``: what its other tasks need, by whether something changed and whether this
    is a dry run; None where there is nothing for them to do. With ``checks`` it is called where something differs.
    ``published``: more of the result.
    """

    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    before: tuple[Question, ...] = ()
    component: Data | None = None
    differs: bool = False
    pending: tuple[Data, ...] = ()
    question: Question | None = None
    context: tuple[Question, ...] = ()
    conflicts: t.Callable[[Data, Data, bool], list[str]] = _no_conflicts
    decide: t.Callable[[Data, Data, bool], Decision] | None = None
    confirm: Confirm | None = None
    checks: tuple[Check, ...] = ()
    verify: Data | None = None
    rest: t.Callable[[bool, bool], Data | None] = lambda _changed, _dry_run: None
    published: Data = dataclasses.field(default_factory=dict)
