# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks a model server something over the OpenAI style API, and tells how far it came.

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

import contextlib
import dataclasses
import http.client
import json
import re
import ssl
import time
import typing as t
import urllib.error
import urllib.parse

from ._errors import HostError
from ._http import Fetch, Response, Unreachable

Stage = t.Literal["process", "port", "loading", "answers"]

_CHAT = "/v1/chat/completions"
_COMPLETIONS = "/v1/completions"
_MODELS = "/v1/models"

_NO_ROUTE = (404, 405, 501)
_NOT_YET = (502, 503, 504)
_TRY_LATER = (408, 425, 429)
# What vLLM, SGLang and Ollama say on the chat route about a base model, which has no chat template.
_NO_MODEL = re.compile(
    r"\bmodel\b.*(not (be )?found|not exist|unknown|invalid)|unknown model", re.IGNORECASE | re.DOTALL
)
_NO_CHAT = re.compile(r"chat[ _-]?template|not support chat", re.IGNORECASE)

_PAUSE_FIRST_S = 0.2
_PAUSE_MOST_S = 2.0
_ATTEMPT_LEAST_S = 30.0
_BODY_MOST = 1 << 20
_WORDS_MOST = 300


@dataclasses.dataclass(frozen=True)
class Question:
    """What to ask. ``url`` ends before ``/v1``; without ``model``, the first one that the server lists is asked."""

    url: str
    model: str | None = None
    prompt: str = "Hello"
    max_tokens: int = 8
    api_key: str | None = dataclasses.field(default=None, repr=False)
    expect: str | None = None

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"[\s\x00-\x1f\x7f]", self.url):
            raise HostError("the address of the server must be a URL such as http://127.0.0.1:8001")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise HostError("the address of the server must not hold a user name, a password, a query or a fragment")
        if parts.path.rstrip("/").endswith("/v1"):
            raise HostError(f"the address of the server must end before /v1, which is added to it: {self.url}")
        if self.max_tokens < 1:
            raise HostError(f"at least one token must be asked for, not {self.max_tokens}")
        if self.api_key and not re.fullmatch(r"[!-~]+", self.api_key):
            raise HostError("the API key must be printable ASCII without blanks: it is sent in a header")

    @property
    def where(self) -> str:
        """The port in words, with the host unless it is this one."""
        parts = urllib.parse.urlsplit(self.url)
        port = f"port {parts.port or {'http': 80, 'https': 443}[parts.scheme]}"
        return port if parts.hostname in ("127.0.0.1", "localhost", "::1") else f"{port} of {parts.hostname}"

    def redacted(self, text: str) -> str:
        """Without the key: servers repeat it in what they say and log. To be done before a text is cut."""
        if self.api_key:
            for form in (self.api_key, json.dumps(self.api_key)[1:-1], repr(self.api_key)[1:-1]):
                text = text.replace(form, "***")
        return text


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back.

    ``ttft_s`` is the time from the request to the first text; for a server that does not stream, to the whole reply.
    ``tokens_per_s`` is the speed after the first token, None when the reply does not show one.
    """

    model: str
    text: str
    tokens: int
    ttft_s: float
    tokens_per_s: float | None
    finish_reason: str | None


class NotAnswering(HostError):
    """The server did not answer. The message says which stage it reached and what it said last.

    ``curable`` is false for what waiting does not change, such as a wrong key.
    """

    def __init__(self, situation: str, said: str = "", *, stage: Stage, curable: bool = True, **details: t.Any) -> None:
        super().__init__(f"{situation}: {said}" if said else situation, stage=stage, **details)
        self.stage: Stage = stage
        self.curable = curable
        self.situation = situation
        self.said = said

    def after(self, seconds: float) -> NotAnswering:
        """The same, told after waiting for it."""
        more = {name: value for name, value in self.details.items() if name != "stage"}
        situation = f"{self.situation} after {seconds:.0f} s"
        return NotAnswering(situation, self.said, stage=self.stage, curable=self.curable, **more)


def read_api_key(path: str) -> str:
    """The first line of a file that holds an API key."""
    try:
        with open(path, encoding="utf-8") as file:
            key = file.readline().strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise HostError(f"the file with the API key, {path}, cannot be read: {reason}", path=path) from None
    if not key:
        raise HostError(f"the file with the API key, {path}, has no key in its first line", path=path)
    return key


def ask(fetch: Fetch, question: Question, *, timeout_s: float, clock: t.Callable[[], float] = time.monotonic) -> Answer:
    """Ask once. Raises NotAnswering.

    A reply that is not complete after ``timeout_s`` counts as cut short. A read that hangs just before that can take as
    long again.
    """
    return _Attempt(fetch, question, clock, timeout_s).run()


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
    process on the same port. Raises NotAnswering, and at once when waiting cannot help.
    """
    started = clock()
    pause_s = _PAUSE_FIRST_S
    last: NotAnswering | None = None
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


@dataclasses.dataclass
class _Reply:
    """A reply as far as it has come."""

    model: str = ""
    parts: list[str] = dataclasses.field(default_factory=list)
    counted: int | None = None
    finish_reason: str | None = None
    complete: bool = False
    first_at: float | None = None
    last_at: float | None = None

    @property
    def tokens(self) -> int:
        """What the server counted, or else how many pieces of text came."""
        return len(self.parts) if self.counted is None else self.counted

    def take(self, event: t.Mapping[str, t.Any], now: float) -> None:
        if isinstance(event.get("model"), str):
            self.model = event["model"]
        usage = event.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self.counted = usage["completion_tokens"]
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        choice = choices[0]
        self.last_at = now
        text = _text_of(choice)
        if text:
            self.parts.append(text)
            self.first_at = now if self.first_at is None else self.first_at
        if isinstance(choice.get("finish_reason"), str):
            self.finish_reason = choice["finish_reason"]
            self.complete = True


def _text_of(choice: t.Mapping[str, t.Any]) -> str:
    holder = next((choice[key] for key in ("delta", "message") if isinstance(choice.get(key), dict)), choice)
    thought = holder.get("reasoning_content") or holder.get("reasoning")
    said = holder.get("content") or holder.get("text")
    return "".join(text for text in (thought, said) if isinstance(text, str))


class _Broken(Exception):
    """The reply cannot be read on; the message says why."""


class _Attempt:
    """One question, with the requests that it takes."""

    def __init__(self, fetch: Fetch, question: Question, clock: t.Callable[[], float], timeout_s: float) -> None:
        self._fetch = fetch
        self._question = question
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
                return found
            refusal = found
        served = self._served()
        if self._question.model and served and self._question.model not in served:
            raise self._unknown_model(refusal)
        raise self._not(
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
            raise self._not(f"the server on {self._question.where} lists no model", "", stage="loading")
        return models[0] if models else None

    def _models(self) -> list[str] | None:
        with self._send(_MODELS) as response:
            raw = self._whole(response)
        if response.status in _NO_ROUTE:
            return None
        if not 200 <= response.status < 300:
            raise self._refused(response.status, self._words(response.status, raw), response.headers)
        try:
            return [str(entry["id"]) for entry in json.loads(raw)["data"] or []]
        except (ValueError, TypeError, KeyError):
            raise self._not(
                f"the server on {self._question.where} gives no list of models that can be read",
                self._words(response.status, raw),
                stage="answers",
            ) from None

    def _ask(self, route: str, model: str | None) -> Answer | str:
        """The answer, or what the server said when it does not serve this route."""
        for options in ({"stream_options": {"include_usage": True}}, {}):
            started = self._clock()
            with self._send(route, self._body(route, model, options)) as response:
                if 200 <= response.status < 300:
                    return self._judged(self._read(response), model, started)
                raw = self._whole(response)
            # Servers older than the option refuse it by name.
            if not (options and response.status in (400, 422) and b"stream_options" in raw):
                break
        status, said = response.status, self._words(response.status, raw)
        if self._question.model and status in (400, 404) and _NO_MODEL.search(said):
            raise self._unknown_model(said)
        if status in _NO_ROUTE or (route == _CHAT and status in (400, 422, 500) and _NO_CHAT.search(said)):
            return said
        raise self._refused(status, said, response.headers)

    def _body(self, route: str, model: str | None, options: t.Mapping[str, t.Any]) -> bytes:
        prompt = self._question.prompt
        asked = {"messages": [{"role": "user", "content": prompt}]} if route == _CHAT else {"prompt": prompt}
        named = {} if model is None else {"model": model}
        limits = {"max_tokens": self._question.max_tokens, "temperature": 0, "stream": True}
        return json.dumps({**named, **asked, **limits, **options}).encode()

    @contextlib.contextmanager
    def _send(self, path: str, data: bytes | None = None) -> t.Iterator[Response]:
        headers = {"Accept": "application/json" if data is None else "text/event-stream, application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self._question.api_key:
            headers["Authorization"] = f"Bearer {self._question.api_key}"
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
            raise self._unreachable(exc) from exc

    # what came back

    def _read(self, response: Response) -> _Reply:
        """Read a reply to its end, or as far as it comes; raise NotAnswering when that is not the whole reply."""
        reply = _Reply()
        try:
            if "json" in response.headers.get("content-type", ""):
                event = self._event(self._all(response).decode(errors="replace"))
                reply.take(event, self._clock())
                reply.complete = True
            else:
                for text in _events(self._chunks(response)):
                    if text == "[DONE]":
                        reply.complete = True
                        break
                    reply.take(self._event(text), self._clock())
            why = f"the reply ({response.headers.get('content-type', 'of no type')}) ended before it was complete"
        except _Broken as exc:
            why = str(exc)
        if not reply.complete:
            raise self._unanswered(f"{why}, after {reply.tokens} tokens")
        return reply

    def _event(self, text: str) -> t.Mapping[str, t.Any]:
        shown = repr(self._question.redacted(text).strip()[:80])
        try:
            event = json.loads(text)
        except ValueError:
            raise _Broken(f"the server sent what is not JSON, {shown}") from None
        if not isinstance(event, dict):
            raise _Broken(f"the server sent what is not an object, {shown}")
        if event.get("error"):
            raise _Broken(f"the server sent an error, {_message_in(event) or shown}")
        return event

    def _judged(self, reply: _Reply, model: str | None, started: float) -> Answer:
        text = "".join(reply.parts)
        why = f"finish reason: {reply.finish_reason or 'none'}, tokens: {reply.tokens}"
        if not text:
            raise self._unanswered(f"the reply had no text ({why})")
        if reply.tokens < 1:
            raise self._unanswered(f"the reply had no tokens ({why})")
        if self._question.expect is not None and self._question.expect not in text:
            raise self._not(
                f"the server on {self._question.where} answered without {self._question.expect!r}",
                f"{_short(self._question.redacted(text))!r} ({why})",
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
                raise _Broken(f"the reply broke off ({_reason(exc)})") from exc
            if not chunk:
                return
            yield chunk
            if self._clock() >= self._ends_at:
                raise _Broken(f"the reply was not complete within {self._timeout_s:.0f} s")

    def _all(self, response: Response) -> bytes:
        raw = b""
        for chunk in self._chunks(response):
            raw += chunk
            if len(raw) > _BODY_MOST:
                raise _Broken("the reply is too long")
        return raw

    def _whole(self, response: Response) -> bytes:
        try:
            return self._all(response)
        except _Broken as exc:
            raise self._unanswered(f"{self._words(response.status, b'')}, and {exc}") from exc

    # what it means

    def _words(self, status: int, raw: bytes) -> str:
        """A refusal in words: the status and what the server says about it."""
        text = raw.decode(errors="replace").strip()
        try:
            message = _message_in(json.loads(text))
        except ValueError:
            message = "" if text.startswith("<") else text
        return self._question.redacted(f"{status} {message or http.client.responses.get(status, '')}".strip())

    def _not(self, situation: str, said: str, *, stage: Stage, curable: bool = True, **details: t.Any) -> NotAnswering:
        said = _short(self._question.redacted(said))
        return NotAnswering(self._question.redacted(situation), said, stage=stage, curable=curable, **details)

    def _unanswered(self, said: str) -> NotAnswering:
        return self._not(
            f"the server on {self._question.where} takes questions but answered none", said, stage="answers"
        )

    def _refused(self, status: int, said: str, headers: t.Mapping[str, str]) -> NotAnswering:
        port = self._question.where
        if status in (401, 403):
            key = "does not accept the API key" if self._question.api_key else "wants an API key and none was given"
            return self._not(f"the server on {port} {key}", said, stage="answers", curable=False)
        if status in _NOT_YET:
            return self._not(f"{port} is open and the model is still loading", said, stage="loading")
        if 300 <= status < 400:
            where = headers.get("location", "nowhere").partition("?")[0]
            return self._not(f"the server on {port} sends us on to {where}", said, stage="answers", curable=False)
        if 400 <= status < 500 and status not in _TRY_LATER:
            return self._not(f"the server on {port} does not accept the question", said, stage="answers", curable=False)
        return self._unanswered(said)

    def _served(self) -> list[str]:
        """The models that the server lists, none when it lists none: for a message."""
        try:
            return self._models() or []
        except NotAnswering:
            return []

    def _unknown_model(self, said: str) -> NotAnswering:
        served = self._served()
        listed = f"; it serves {', '.join(served[:10])}" if served else ""
        return self._not(
            f"the server on {self._question.where} has no model {self._question.model}{listed}",
            said,
            stage="answers",
            curable=False,
            models=served,
        )

    def _unreachable(self, exc: Unreachable) -> NotAnswering:
        port = self._question.where
        cause = exc.__cause__
        inner = getattr(cause, "reason", None)
        inner = inner if isinstance(inner, BaseException) else cause
        said = _reason(inner) if inner is not None else str(exc)
        if isinstance(inner, ConnectionRefusedError):
            return self._not(f"nothing listens on {port}", said, stage="process")
        if isinstance(inner, ssl.SSLCertVerificationError):
            return self._not(f"the certificate on {port} is not trusted", said, stage="port", curable=False)
        if self._heard:
            return self._not(f"{port} is open but took no question", said, stage="loading")
        # urllib wraps what goes wrong before the request is out in URLError; after that the port must have been open.
        early = cause is None or isinstance(cause, (urllib.error.URLError, ValueError))
        if early and not isinstance(inner, (ssl.SSLError, ConnectionResetError, BrokenPipeError)):
            return self._not(f"nothing listens on {port}", said, stage="process")
        return self._not(f"{port} is open but gave no HTTP answer", said, stage="port")


def _events(chunks: t.Iterable[bytes]) -> t.Iterator[str]:
    """The data of server-sent events."""
    data: list[str] = []
    for line in _lines(chunks):
        field, _colon, value = line.partition(":")
        if field == "data":
            data.append(value[1:] if value.startswith(" ") else value)
        elif field == "error":  # older llama.cpp servers
            data.append(f'{{"error": {value}}}')
        elif not line and data:
            yield "\n".join(data)
            data = []
    if data:
        yield "\n".join(data)


def _lines(chunks: t.Iterable[bytes]) -> t.Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode(errors="replace")
        if len(rest) > _BODY_MOST:
            raise _Broken("the reply has a line without an end")
    if rest:
        yield rest.decode(errors="replace")


def _message_in(document: t.Any) -> str:
    """The sentence in an error document of vLLM, llama.cpp, SGLang, Ollama or FastAPI."""
    if isinstance(document, str):
        return document
    if isinstance(document, list):
        return "; ".join(filter(None, map(_message_in, document)))
    if isinstance(document, dict):
        found = (_message_in(document[key]) for key in ("error", "message", "detail", "msg") if document.get(key))
        return next(filter(None, found), "")
    return ""


def _reason(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError) or str(exc) == "timed out":  # Python 3.9: socket.timeout is no TimeoutError
        return "timed out"
    if isinstance(exc, http.client.IncompleteRead):
        return "the connection was closed"
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WORDS_MOST else f"{line[: _WORDS_MOST - 1]}…"
