# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Whether the containers of instances get their GPUs, which they do by their names in CDI."""

from __future__ import annotations

import dataclasses
import typing as t

from ..built import Data, Decision, Question
from ..container_engine import CDI_QUESTION, Engine
from .gpus import is_of
from .instance import Instance

Decide = t.Callable[[Data, Data, bool], Decision]


def questions(instances: t.Iterable[Instance]) -> tuple[Question, ...]:
    """For a host that is about to change."""
    desired = any(instance.in_container and instance.gpus for instance in instances)
    return (CDI_QUESTION,) if desired else ()


def decide(instances: t.Sequence[Instance], engine: Engine | None, of_gpus: Decide) -> Decide:
    """What also becomes of a change. The answer about CDI is the first in ``context``."""

    def decision(answer: Data, compared: Data, dry_run: bool) -> Decision:
        found = of_gpus(answer, compared, dry_run)
        # An earlier role of the same run may be what offers them, and without a driver the change waits.
        if engine is None or dry_run or found.pending or not questions(instances):
            return found
        conflicts = (
            f"Model server instance {instance.name!r} {words}."
            for instance in instances
            if instance.in_container and instance.gpus and any(is_of(row, instance) for row in compared["drift"])
            for words in engine.without_gpus(instance.gpus, compared["context"][0])
        )
        return dataclasses.replace(found, conflicts=(*found.conflicts, *conflicts))

    return decision
