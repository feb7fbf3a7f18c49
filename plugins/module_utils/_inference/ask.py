# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks a model server one question over the OpenAI style API."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
import typing as t

from .._http import Fetch, Response, Unreachable
from .answer import Answer, NotAnswering
from .question import Question
from .reply import BODY_MOST, Broken, Failed, Reply, events, message_in
from .verdict import Verdict, reason_of, short

_CHAT = "/v1/chat/completions"
_COMPLETIONS = "/v1/completions"
_MODELS = "/v1/models"

_NO_ROUTE = (404, 405, 501)
_REFUSED = (401, 403)
_WRONG_KEY = "this-is-not-the-key"
# vLLM ends what it drops as if it were complete, with status 200 and [DONE].
_GIVEN_UP = ("abort", "error")
# What vLLM, SGLang and Ollama say on the chat route about a base model, which has no chat template.
_NO_MODEL = re.compile(
    r"\bmodel\b.*(not (be )?found|not exist|unknown|invalid)|unknown model", re.IGNORECASE | re.DOTALL
)
_NO_CHAT = re.compile(r"chat[ _-]?template|not support chat", re.IGNORECASE)


def ask(fetch: Fetch, question: Question, *, timeout_s: float, clock: t.Callable[[], float] = time.monotonic) -> Answer:
    """Ask once. Raises NotAnswering.

    A reply that is not complete after ``timeout_s`` counts as cut short. A read that hangs just before that can take as
    long again.
    """
    return _Attempt(fetch, question, clock, timeout_s).run()


class _Attempt:
    """One question, with the requests that it takes."""

    def __init__(self, fetch: Fetch, question: Question, clock: t.Callable[[], float], timeout_s: float) -> None:
        self._fetch = fetch
        self._question = question
        self._verdict = Verdict(question)
        self._clock = clock
        self._timeout_s = timeout_s
        self._ends_at = clock() + timeout_s
        self._heard = False  # an HTTP answer, of any status

    def run(self) -> Answer:
        model = self._question.model or self._first_model()
        refusal = ""
        for route in (_CHAT, _COMPLETIONS):
            found = self._ask(route, model)
            if isinstance(found, Answer):
                self._prove_closed(route, model)
                return found
            refusal = found
        served = self._served()
        if self._question.model and served and self._question.model not in served:
            raise self._verdict.unknown_model(refusal, served)
        raise self._verdict.error(
            f"the server on {self._question.where} serves neither {_CHAT} nor {_COMPLETIONS}",
            refusal,
            stage="answers",
            curable=False,
        )

    # what is asked

    def _first_model(self) -> str | None:
        """None when the server has no list: some serve one model and need no name."""
        models = self._models()
        if models is not None and not models:
            raise self._verdict.error(f"the server on {self._question.where} lists no model", "", stage="loading")
        return models[0] if models else None

    def _models(self) -> list[str] | None:
        with self._send(_MODELS) as response:
            raw = self._whole(response)
        if response.status in _NO_ROUTE:
            return None
        if not 200 <= response.status < 300:
            raise self._verdict.refused(response.status, self._verdict.words(response.status, raw), response.headers)
        try:
            return [str(entry["id"]) for entry in json.loads(raw)["data"] or []]
        except (ValueError, TypeError, KeyError):
            raise self._verdict.error(
                f"the server on {self._question.where} gives no list of models that can be read",
                self._verdict.words(response.status, raw),
                stage="answers",
            ) from None

    def _ask(self, route: str, model: str | None) -> Answer | str:
        """The answer, or what the server said when it does not serve this route."""
        for options in ({"stream_options": {"include_usage": True}}, {}):
            started = self._clock()
            with self._send(route, self._body(route, model, options)) as response:
                if 200 <= response.status < 300:
                    return self._answer(self._read(response), model, started)
                raw = self._whole(response)
            # Servers older than the option refuse it by name.
            if not (options and response.status in (400, 422) and b"stream_options" in raw):
                break
        status, said = response.status, self._verdict.words(response.status, raw)
        if self._question.model and status in (400, 404) and _NO_MODEL.search(said):
            raise self._verdict.unknown_model(said, self._served())
        if status in _NO_ROUTE or (route == _CHAT and status in (400, 422, 500) and _NO_CHAT.search(said)):
            return said
        raise self._verdict.refused(status, said, response.headers)

    def _prove_closed(self, route: str, model: str | None) -> None:
        """Raise NotAnswering unless who has no key, and who has a wrong one, is refused."""
        if not self._question.api_key:
            return
        paths = (route,) if self._question.closed_paths is None else self._question.closed_paths
        for path in paths:
            for key, how in ((None, "without an API key"), (_WRONG_KEY, "with a wrong API key")):
                with self._send_as(key, path, self._body(path, model, {})) as response:
                    if response.status not in _REFUSED:
                        raise self._verdict.open_to_all(response.status, f"{path} {how}")

    def _body(self, route: str, model: str | None, options: t.Mapping[str, t.Any]) -> bytes:
        prompt = self._question.prompt
        chat = route.endswith("/chat/completions")
        content = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        named = {} if model is None else {"model": model}
        limits = {"max_tokens": self._question.max_tokens, "temperature": 0, "stream": True}
        return json.dumps({**named, **content, **limits, **options}).encode()

    def _send(self, path: str, data: bytes | None = None) -> t.ContextManager[Response]:
        return self._send_as(self._question.api_key, path, data)

    @contextlib.contextmanager
    def _send_as(self, api_key: str | None, path: str, data: bytes | None) -> t.Iterator[Response]:
        headers = {"Accept": "application/json" if data is None else "text/event-stream, application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            with self._fetch(
                self._question.url.rstrip("/") + path,
                method="GET" if data is None else "POST",
                headers=headers,
                data=data,
                timeout_s=max(0.1, self._ends_at - self._clock()),
            ) as response:
                self._heard = True
                yield response
        except Unreachable as exc:
            raise self._verdict.unreachable(exc, heard=self._heard) from exc

    # what came back

    def _read(self, response: Response) -> Reply:
        """Read a reply to its end, or as far as it comes; raise NotAnswering when that is not the whole reply."""
        reply = Reply()
        try:
            if "json" in response.headers.get("content-type", ""):
                event = self._event(self._all(response).decode(errors="replace"))
                reply.take(event, self._clock())
                reply.complete = True
            else:
                for text in events(self._chunks(response)):
                    if text == "[DONE]":
                        reply.complete = True
                        break
                    reply.take(self._event(text), self._clock())
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
            raise self._verdict.unanswered(f"the reply had no text ({why})", empty=True)
        if reply.tokens < 1:
            raise self._verdict.unanswered(f"the reply had no tokens ({why})", empty=True)
        if self._question.expect is not None and self._question.expect not in text:
            raise self._verdict.error(
                f"the server on {self._question.where} answered without {self._question.expect!r}",
                f"{short(self._question.redacted(text))!r} ({why})",
                stage="answers",
                curable=False,
            )
        first_at = started if reply.first_at is None else reply.first_at
        rest_s = (reply.last_at or first_at) - first_at
        return Answer(
            model=reply.model or model or "",
            text=text,
            tokens=reply.tokens,
            ttft_s=first_at - started,
            tokens_per_s=(reply.tokens - 1) / rest_s if reply.tokens > 1 and rest_s > 0 else None,
            finish_reason=reply.finish_reason,
        )

    def _chunks(self, response: Response) -> t.Iterator[bytes]:
        """What arrives, as it arrives: a reply that trickles must not outlive the time limit."""
        read = t.cast("t.Callable[[int], bytes]", getattr(response.body, "read1", response.body.read))
        while True:
            try:
                chunk = read(8192)
            except (OSError, http.client.HTTPException) as exc:
                raise Broken(f"the reply broke off ({reason_of(exc)})") from exc
            if not chunk:
                return
            yield chunk
            if self._clock() >= self._ends_at:
                raise Broken(f"the reply was not complete within {self._timeout_s:.0f} s")

    def _all(self, response: Response) -> bytes:
        raw = b""
        for chunk in self._chunks(response):
            raw += chunk
            if len(raw) > BODY_MOST:
                raise Broken("the reply is too long")
        return raw

    def _whole(self, response: Response) -> bytes:
        try:
            return self._all(response)
        except Broken as exc:
            raise self._verdict.unanswered(f"{self._verdict.words(response.status, b'')}, and {exc}") from exc

    def _served(self) -> list[str]:
        """The models that the server lists, none when it lists none: for a message."""
        try:
            return self._models() or []
        except NotAnswering:
            return []
