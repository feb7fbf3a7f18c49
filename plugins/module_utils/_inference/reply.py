# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Reads the body of a reply: a stream of events, or one document."""

from __future__ import annotations

import dataclasses
import typing as t

BODY_MOST = 1 << 20


class Broken(Exception):
    """The reply cannot be read on; the message says why."""


class Failed(Broken):
    """The server says that it failed, whatever it sent before."""


@dataclasses.dataclass
class Reply:
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


def events(chunks: t.Iterable[bytes]) -> t.Iterator[str]:
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
        if len(rest) > BODY_MOST:
            raise Broken("the reply has a line without an end")
    if rest:
        yield rest.decode(errors="replace")


def message_in(document: t.Any) -> str:
    """The sentence in an error document of vLLM, llama.cpp, SGLang, Ollama or FastAPI."""
    if isinstance(document, str):
        return document
    if isinstance(document, list):
        return "; ".join(filter(None, map(message_in, document)))
    if isinstance(document, dict):
        found = (message_in(document[key]) for key in ("error", "message", "detail", "msg") if document.get(key))
        return next(filter(None, found), "")
    return ""
