# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a model server answered, or how far it came.

A stage is the furthest that the server was seen in the last attempt:

``process``
    Nothing listens on the port; whether the process runs is for the caller to know.
``port``
    The port accepts connections, but no HTTP answer came out of it.
``loading``
    It speaks HTTP and does not take questions yet: 502, 503 or 504, an empty list of models, silence after the list.
``answers``
    It takes questions. Without an Answer, what came back was a refusal, an error, cut short, empty, or not what was
    expected.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import HostError

Stage = t.Literal["process", "port", "loading", "answers"]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What is known of a tensor. ``datatype`` as KServe names it, such as FP32. A size of -1 is open."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back: text with its tokens, a vector of so many ``dimensions``, or tensors.

    ``ttft_s`` is the time from the request to the first text; for a server that does not stream, to the whole reply.
    ``tokens_per_s`` is the speed after the first token, None when the reply does not show one.
    """

    model: str
    ttft_s: float
    text: str | None = None
    tokens: int = 0
    tokens_per_s: float | None = None
    finish_reason: str | None = None
    dimensions: int | None = None
    outputs: tuple[Tensor, ...] = ()


def document(answer: Answer) -> dict[str, t.Any]:
    """What the module ``model_probe`` returns of an answer, and expectations are of."""
    speed = answer.tokens_per_s
    return {
        "answered": True,
        "model": answer.model,
        "text": answer.text,
        "tokens": answer.tokens,
        "ttft_s": round(answer.ttft_s, 4),
        "tokens_per_s": None if speed is None else round(speed, 2),
        "finish_reason": answer.finish_reason,
        "dimensions": answer.dimensions,
        "outputs": [{"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in answer.outputs],
        "stage": "answers",
    }


class NotAnswering(HostError):
    """The server did not answer. The message says which stage it reached and what it said last.

    ``curable`` is false for what waiting does not change, such as a wrong key. ``repeats``: the reply was complete, and
    the next one is most likely like it, such as one with nothing in it.
    """

    def __init__(
        self,
        situation: str,
        said: str = "",
        *,
        stage: Stage,
        curable: bool = True,
        repeats: bool = False,
        **details: t.Any,
    ) -> None:
        super().__init__(f"{situation}: {said}" if said else situation, stage=stage, **details)
        self.stage: Stage = stage
        self.curable = curable
        self.repeats = repeats
        self.situation = situation
        self.said = said

    def after(self, seconds: float) -> NotAnswering:
        """The same, told after waiting for it."""
        more = {name: value for name, value in self.details.items() if name != "stage"}
        situation = f"{self.situation} after {seconds:.0f} s"
        return NotAnswering(situation, self.said, stage=self.stage, curable=self.curable, **more)
