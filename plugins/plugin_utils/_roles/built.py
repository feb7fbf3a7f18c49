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
    """A module of this collection that reads a host, with its arguments."""

    module: str
    args: Data


def _no_conflicts(_answer: Data, _compared: Data, _dry_run: bool) -> list[str]:
    return []


@dataclasses.dataclass(frozen=True)
class Built:
    """``problems`` are sentences, all at once; with one, nothing is asked of the host.

    ``component``: options of the module ``component``; None where the role has nothing to do with the host.
    ``question``: for a host that is about to change. ``conflicts`` makes sentences of its answer, of what the component
    found (``drift``), and of whether this is a dry run.
    ``verify``: what the role's own checks need after a change; None where it has none.
    """

    problems: tuple[str, ...] = ()
    component: Data | None = None
    question: Question | None = None
    conflicts: t.Callable[[Data, Data, bool], list[str]] = _no_conflicts
    verify: Data | None = None
