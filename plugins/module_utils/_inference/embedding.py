# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks for an embedding over the OpenAI style API, and looks at the vector."""

from __future__ import annotations

import json
import math
import typing as t

from .answer import Answer
from .exchange import NO_ROUTE, Exchange

_ROUTE = "/v1/embeddings"


def ask(exchange: Exchange) -> Answer:
    """Ask for the vector of the prompt: finite numbers, not all of them zero."""
    question, verdict = exchange.question, exchange.verdict
    model = question.model or exchange.first_model()
    named = {} if model is None else {"model": model}
    body = json.dumps({**named, "input": question.prompt, "encoding_format": "float"}).encode()
    started = exchange.clock()
    with exchange.send(_ROUTE, body) as response:
        raw = exchange.whole(response)
    seconds = exchange.clock() - started
    if not 200 <= response.status < 300:
        said = verdict.words(response.status, raw)
        exchange.refuse_unknown_model(response.status, said)
        if response.status in NO_ROUTE:
            situation = f"the server on {question.where} does not serve {_ROUTE}"
            raise verdict.error(situation, said, stage="answers", curable=False)
        raise verdict.refused(response.status, said, response.headers)
    try:
        document = json.loads(raw)
        vector = document["data"][0]["embedding"]
    except (ValueError, TypeError, LookupError):
        raise verdict.unanswered(f"the reply has no vector, {verdict.words(response.status, raw)}") from None
    if why := _useless(vector):
        situation = f"the server on {question.where} answered with a vector that is of no use"
        raise verdict.error(situation, why, stage="answers", curable=False)
    exchange.prove_closed(_ROUTE, lambda _path: body)
    named_by = document.get("model")
    return Answer(model=named_by if isinstance(named_by, str) else model or "", ttft_s=seconds, dimensions=len(vector))


def _useless(vector: t.Any) -> str | None:
    if not isinstance(vector, list) or not vector:
        return "it is no list of numbers"
    # What is not a number is null in JSON, or NaN where the server does not keep to it.
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) and abs(one) < math.inf for one in vector):
        return f"it holds what is no finite number, among {len(vector)}"
    return None if any(vector) else f"all of its {len(vector)} numbers are zero"
