# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Sends the requests of one question to a server, and reads what comes back, within its time limit."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
import typing as t

from .._http import Fetch, Response, Unreachable
from .answer import NotAnswering
from .question import Question
from .reply import BODY_MOST, Broken
from .verdict import Verdict, reason_of

_MODELS = "/v1/models"

NO_ROUTE = (404, 405, 501)
_REFUSED = (401, 403)
_WRONG_KEY = "this-is-not-the-key"
_NO_MODEL = re.compile(
    r"\bmodel\b.*(not (be )?found|not exist|unknown|invalid)|unknown model", re.IGNORECASE | re.DOTALL
)


class Exchange:
    """One question, with the requests that it takes. Raises NotAnswering."""

    def __init__(
        self,
        fetch: Fetch,
        question: Question,
        *,
        timeout_s: float,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self.question = question
        self.verdict = Verdict(question)
        self.clock = clock
        self._fetch = fetch
        self._timeout_s = timeout_s
        self._ends_at = clock() + timeout_s
        self._heard = False  # an HTTP answer, of any status

    # what is asked

    def first_model(self) -> str | None:
        """None when the server has no list: some serve one model and need no name."""
        models = self.models()
        if models is not None and not models:
            raise self.verdict.error(f"the server on {self.question.where} lists no model", "", stage="loading")
        return models[0] if models else None

    def models(self) -> list[str] | None:
        """The models that the server lists."""
        with self.send(_MODELS) as response:
            raw = self.whole(response)
        if response.status in NO_ROUTE:
            return None
        if not 200 <= response.status < 300:
            raise self.verdict.refused(response.status, self.verdict.words(response.status, raw), response.headers)
        try:
            return [str(entry["id"]) for entry in json.loads(raw)["data"] or []]
        except (ValueError, TypeError, KeyError):
            raise self.verdict.error(
                f"the server on {self.question.where} gives no list of models that can be read",
                self.verdict.words(response.status, raw),
                stage="answers",
            ) from None

    def served(self) -> list[str]:
        """The models that the server lists, none when it lists none: for a message."""
        try:
            return self.models() or []
        except NotAnswering:
            return []

    def refuse_unknown_model(self, status: int, said: str) -> None:
        """Raise NotAnswering when this refusal says that the server does not have the model."""
        if self.question.model and status in (400, 404) and _NO_MODEL.search(said):
            raise self.verdict.unknown_model(said, self.served())

    def prove_closed(self, route: str, body_for: t.Callable[[str], bytes]) -> None:
        """Raise NotAnswering unless who has no key, and who has a wrong one, is refused.

        ``route`` is what answered. ``body_for`` makes the body of the same question for a path.
        """
        if not self.question.api_key:
            return
        paths = (route,) if self.question.closed_paths is None else self.question.closed_paths
        for path in paths:
            for key, how in ((None, "without an API key"), (_WRONG_KEY, "with a wrong API key")):
                with self._send_as(key, path, body_for(path)) as response:
                    if response.status not in _REFUSED:
                        raise self.verdict.open_to_all(response.status, f"{path} {how}")

    def send(
        self, path: str, data: bytes | None = None, headers: t.Mapping[str, str] | None = None
    ) -> t.ContextManager[Response]:
        return self._send_as(self.question.api_key, path, data, headers)

    @contextlib.contextmanager
    def _send_as(
        self, api_key: str | None, path: str, data: bytes | None, more: t.Mapping[str, str] | None = None
    ) -> t.Iterator[Response]:
        headers = {"Accept": "application/json" if data is None else "text/event-stream, application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        headers.update(more or {})
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            with self._fetch(
                self.question.url.rstrip("/") + path,
                method="GET" if data is None else "POST",
                headers=headers,
                data=data,
                timeout_s=max(0.1, self._ends_at - self.clock()),
            ) as response:
                self._heard = True
                yield response
        except Unreachable as exc:
            raise self.verdict.unreachable(exc, heard=self._heard) from exc

    # what came back

    def chunks(self, response: Response) -> t.Iterator[bytes]:
        """What arrives, as it arrives: a reply that trickles must not outlive the time limit. Raises Broken."""
        read = t.cast("t.Callable[[int], bytes]", getattr(response.body, "read1", response.body.read))
        while True:
            try:
                chunk = read(8192)
            except (OSError, http.client.HTTPException) as exc:
                raise Broken(f"the reply broke off ({reason_of(exc)})") from exc
            if not chunk:
                return
            yield chunk
            if self.clock() >= self._ends_at:
                raise Broken(f"the reply was not complete within {self._timeout_s:.0f} s")

    def body(self, response: Response) -> bytes:
        """The whole body. Raises Broken."""
        raw = b""
        for chunk in self.chunks(response):
            raw += chunk
            if len(raw) > BODY_MOST:
                raise Broken("the reply is too long")
        return raw

    def whole(self, response: Response) -> bytes:
        """The whole body."""
        try:
            return self.body(response)
        except Broken as exc:
            raise self.verdict.unanswered(f"{self.verdict.words(response.status, b'')}, and {exc}") from exc
