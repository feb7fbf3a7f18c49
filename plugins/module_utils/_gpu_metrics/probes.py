# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Small real requests to the model servers of a host, one after another, each after its own time."""

from __future__ import annotations

import dataclasses
import re
import sys
import time
import typing as t

from .._errors import HostError
from .._http import Fetch
from .._inference.answer import Answer, NotAnswering
from .._inference.ask import ask
from .._inference.question import Question, read_api_key
from .config import Probe


@dataclasses.dataclass(frozen=True)
class Probed:
    """The last answer of an instance, None where it did not answer, how many probes there were, and how many of the
    answers refused. ``ended`` is in seconds since the epoch, ``seconds`` is how long the answer took."""

    probe: Probe
    answer: Answer | None
    seconds: float
    ended: float
    count: int
    refused: int

    @property
    def held(self) -> bool | None:
        """Whether the expected text was in the answer; None where none is expected, and without an answer."""
        if self.answer is None or self.probe.expect is None:
            return None
        return self.probe.expect in (self.answer.text or "")


class Prober:
    """``wait`` sleeps, or ends early when the service does."""

    def __init__(self, probes: t.Sequence[Probe], *, fetch: Fetch, wait: t.Callable[[float], object]) -> None:
        self._fetch, self._wait = fetch, wait
        self._due = {probe: 0.0 for probe in probes}
        self._last: dict[Probe, Probed] = {}
        self._said: dict[Probe, str] = {}

    @property
    def patience_s(self) -> float:
        """For so long nothing may come: each can take its time twice, see ask()."""
        return max(probe.interval_s for probe in self._due) + 2 * sum(probe.timeout_s for probe in self._due) + 10

    def read(self) -> tuple[Probed, ...]:
        """The last of each, after the next one, for which it waits."""
        probe, due = min(self._due.items(), key=lambda item: item[1])
        self._wait(max(0.0, due - time.monotonic()))
        # A probe that takes long is not made up for.
        self._due[probe] = time.monotonic() + probe.interval_s
        answer, seconds, said = self._asked(probe)
        if said and said != self._said.get(probe):
            sys.stderr.write(f"Probe of {probe.model_instance}: {said}\n")
        self._said[probe] = said
        before = self._last.get(probe)
        pattern, text = probe.refusal_pattern, (answer.text if answer else None) or ""
        refuses = bool(pattern and re.search(pattern, text, re.IGNORECASE))
        self._last[probe] = Probed(
            probe,
            answer,
            seconds,
            time.time(),
            count=(before.count if before else 0) + 1,
            refused=(before.refused if before else 0) + refuses,
        )
        return tuple(self._last.values())

    def _asked(self, probe: Probe) -> tuple[Answer | None, float, str]:
        begun = time.monotonic()
        try:
            question = Question(
                url=probe.url,
                kind=probe.kind,
                model=probe.model or None,
                prompt=probe.prompt,
                max_tokens=probe.max_tokens,
                api_key=read_api_key(probe.api_key_file) if probe.api_key_file else None,
                # A small request, and no others that try whether the key is needed.
                closed_paths=(),
            )
            answer = ask(self._fetch, question, timeout_s=probe.timeout_s)
        except (NotAnswering, HostError) as exc:
            return None, time.monotonic() - begun, str(exc)
        return answer, time.monotonic() - begun, ""
