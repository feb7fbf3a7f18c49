# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks for text over the OpenAI style API."""

from __future__ import annotations

import json
import re
import typing as t

from .._http import Response
from .answer import Answer
from .exchange import NO_ROUTE, Exchange
from .question import Question
from .reply import Broken, Failed, Reply, events, message_in
from .verdict import short

_CHAT = "/v1/chat/completions"
_COMPLETIONS = "/v1/completions"

# vLLM ends what it drops as if it were complete, with status 200 and [DONE].
_GIVEN_UP = ("abort", "error")
# What vLLM, SGLang and Ollama say on the chat route about a base model, which has no chat template.
_NO_CHAT = re.compile(r"chat[ _-]?template|not support chat", re.IGNORECASE)


def ask(exchange: Exchange) -> Answer:
    """Ask for text, on the chat route or else on the one for completions."""
    return _Completion(exchange).run()


class _Completion:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._question = exchange.question
        self._verdict = exchange.verdict

    def run(self) -> Answer:
        model = self._question.model or self._exchange.first_model()
        refusal = ""
        for route in (_CHAT, _COMPLETIONS):
            found = self._ask(route, model)
            if isinstance(found, Answer):
                self._exchange.prove_closed(route, lambda path: self._body(path, model, {}))
                return found
            refusal = found
        served = self._exchange.served()
        if self._question.model and served and self._question.model not in served:
            raise self._verdict.unknown_model(refusal, served)
        raise self._verdict.error(
            f"the server on {self._question.where} serves neither {_CHAT} nor {_COMPLETIONS}",
            refusal,
            stage="answers",
            curable=False,
        )

    def _ask(self, route: str, model: str | None) -> Answer | str:
        """The answer, or what the server said when it does not serve this route."""
        for options in ({"stream_options": {"include_usage": True}}, {}):
            started = self._exchange.clock()
            with self._exchange.send(route, self._body(route, model, options)) as response:
                if 200 <= response.status < 300:
                    return self._answer(self._read(response), model, started)
                raw = self._exchange.whole(response)
            # Servers older than the option refuse it by name.
            if not (options and response.status in (400, 422) and b"stream_options" in raw):
                break
        status, said = response.status, self._verdict.words(response.status, raw)
        self._exchange.refuse_unknown_model(status, said)
        if status in NO_ROUTE or (route == _CHAT and status in (400, 422, 500) and _NO_CHAT.search(said)):
            return said
        raise self._verdict.refused(status, said, response.headers)

    def _body(self, route: str, model: str | None, options: t.Mapping[str, t.Any]) -> bytes:
        prompt = self._question.prompt
        chat = route.endswith("/chat/completions")
        content = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        named = {} if model is None else {"model": model}
        limits = {"max_tokens": self._question.max_tokens, "temperature": 0, "stream": True}
        return json.dumps({**named, **content, **limits, **options}).encode()

    # what came back

    def _read(self, response: Response) -> Reply:
        """Read a reply to its end, or as far as it comes; raise NotAnswering when that is not the whole reply."""
        reply = Reply()
        try:
            if "json" in response.headers.get("content-type", ""):
                event = self._event(self._exchange.body(response).decode(errors="replace"))
                reply.take(event, self._exchange.clock())
                reply.complete = True
            else:
                for text in events(self._exchange.chunks(response)):
                    if text == "[DONE]":
                        reply.complete = True
                        break
                    reply.take(self._event(text), self._exchange.clock())
            why = f"the reply ({response.headers.get('content-type', 'of no type')}) ended before it was complete"
        except Broken as exc:
            why = str(exc)
            reply.complete = reply.complete and not isinstance(exc, Failed)
        if not reply.complete:
            raise self._verdict.unanswered(f"{why}, after {reply.tokens} tokens")
        return reply

    def _event(self, text: str) -> t.Mapping[str, t.Any]:
        shown = repr(self._question.redacted(text).strip()[:80])
        try:
            event = json.loads(text)
        except ValueError:
            raise Broken(f"the server sent what is not JSON, {shown}") from None
        if not isinstance(event, dict):
            raise Broken(f"the server sent what is not an object, {shown}")
        if event.get("error"):
            raise Failed(f"the server sent an error, {message_in(event) or shown}")
        return event

    def _answer(self, reply: Reply, model: str | None, started: float) -> Answer:
        text = "".join(reply.parts)
        why = f"finish reason: {reply.finish_reason or 'none'}, tokens: {reply.tokens}"
        if reply.finish_reason in _GIVEN_UP:
            raise self._verdict.unanswered(f"the server gave up the reply ({why})")
        if not text:
            raise self._verdict.unanswered(f"the reply had no text ({why})", repeats=True)
        if reply.tokens < 1:
            raise self._verdict.unanswered(f"the reply had no tokens ({why})", repeats=True)
        if self._question.expect is not None and self._question.expect not in text:
            raise self._verdict.error(
                f"the server on {self._question.where} answered without {self._question.expect!r}",
                f"{short(self._question.redacted(text))!r} ({why})",
                stage="answers",
                curable=False,
            )
        first_at = started if reply.first_at is None else reply.first_at
        rest_s = (reply.last_at or first_at) - first_at
        answer = Answer(
            model=reply.model or model or "",
            text=text,
            tokens=reply.tokens,
            ttft_s=first_at - started,
            tokens_per_s=(reply.tokens - 1) / rest_s if reply.tokens > 1 and rest_s > 0 else None,
            finish_reason=reply.finish_reason,
        )
        if missed := _missed(self._question, answer):
            raise self._verdict.slow(missed)
        return answer


def _missed(question: Question, answer: Answer) -> str:
    """The limits of the question that the answer does not keep, in words."""
    words = []
    if question.max_ttft_s is not None and answer.ttft_s > question.max_ttft_s:
        words.append(f"{answer.ttft_s:.3g} s to the first token, at most {question.max_ttft_s:g} s are desired")
    if question.min_tokens_per_s is not None:
        least = f"at least {question.min_tokens_per_s:g} are desired"
        if answer.tokens_per_s is None:
            words.append(f"the reply of {answer.tokens} tokens shows no tokens per second, and {least}")
        elif answer.tokens_per_s < question.min_tokens_per_s:
            words.append(f"{answer.tokens_per_s:.3g} tokens per second, {least}")
    return "; ".join(words)
