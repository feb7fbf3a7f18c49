# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks a model server until it answers."""

from __future__ import annotations

import time
import typing as t

from .._http import Fetch
from .answer import Answer, NotAnswering
from .ask import ask
from .question import Question

_PAUSE_FIRST_S = 0.2
_PAUSE_MOST_S = 2.0
_ATTEMPT_LEAST_S = 30.0
# Nothing is sampled: a model that ends its answers before they begin does so until it is another one. One that is slow
# may still compile.
_REPEATS_MOST = 6


def wait_for_answer(
    fetch: Fetch,
    question: Question,
    *,
    deadline_s: float,
    alive: t.Callable[[], str | None] = lambda: None,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> tuple[Answer, float]:
    """Ask until there is an answer; return it and how many seconds that took.

    ``deadline_s`` counts from now. ``alive`` returns None while the process runs, or a sentence that says why it does
    not: then the wait is over. It is called before each attempt, and after an answer, which may have come from another
    process on the same port. Raises NotAnswering, and at once when waiting cannot help, or after six complete replies
    in a row with nothing in them, or too slow.
    """
    started = clock()
    pause_s = _PAUSE_FIRST_S
    last: NotAnswering | None = None
    repeats = 0
    while True:
        _must_live(alive, question, last)
        left_s = deadline_s - (clock() - started)
        if last is not None and left_s <= 0:
            raise last.after(clock() - started) from last
        try:
            # A request may be what loads the model, so it gets time; not all of it, since a request can get lost.
            answer = ask(fetch, question, timeout_s=max(1.0, min(left_s, _ATTEMPT_LEAST_S), left_s / 2), clock=clock)
        except NotAnswering as exc:
            if not exc.curable:
                raise
            last = exc
            repeats = repeats + 1 if exc.repeats else 0
            if repeats >= _REPEATS_MOST:
                raise last.after(clock() - started) from last
        else:
            _must_live(alive, question, answered=True)
            return answer, clock() - started
        sleep(max(0.0, min(pause_s, deadline_s - (clock() - started))))
        pause_s = min(pause_s * 2, _PAUSE_MOST_S)


def _must_live(
    alive: t.Callable[[], str | None], question: Question, last: NotAnswering | None = None, *, answered: bool = False
) -> None:
    why = alive()
    if why is None:
        return
    situation = f"the server for {question.where} does not run"
    if answered:
        situation += ", another process answered there"
    elif last is not None and last.stage != "process":
        why = f"{why} (before that, {last})"
    raise NotAnswering(situation, question.redacted(why), stage="process", curable=False)
