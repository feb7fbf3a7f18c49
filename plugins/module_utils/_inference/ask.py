# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks a model server one question."""

from __future__ import annotations

import json
import time
import typing as t

from .._http import Fetch
from . import completion, embedding, expectation, tensor
from .answer import Answer, document
from .exchange import Exchange
from .question import Kind, Question

_ASKED: t.Mapping[Kind, t.Callable[[Exchange], Answer]] = {
    "completion": completion.ask,
    "embedding": embedding.ask,
    "tensor": tensor.ask,
}


def ask(fetch: Fetch, question: Question, *, timeout_s: float, clock: t.Callable[[], float] = time.monotonic) -> Answer:
    """Ask once. Raises NotAnswering.

    A reply that is not complete after ``timeout_s`` counts as cut short. A read that hangs just before that can take as
    long again.
    """
    exchange = Exchange(fetch, question, timeout_s=timeout_s, clock=clock)
    answer = _ASKED[question.kind](exchange)
    if question.expectation is not None:
        value = expectation.evaluate(question.expectation["tree"], document(answer))
        if not value:
            said = f"the value of {question.expectation['text']} is {json.dumps(value)}"
            raise exchange.verdict.unexpected(said)
    return answer
