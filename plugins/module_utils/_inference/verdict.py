# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Says what a refusal, an error or silence of a model server means. Pure."""

from __future__ import annotations

import http.client
import json
import ssl
import typing as t
import urllib.error

from .._http import Unreachable
from .answer import NotAnswering, Stage
from .question import Question
from .reply import message_in

_NOT_YET = (502, 503, 504)
_TRY_LATER = (408, 425, 429)
_WORDS_MOST = 300


class Verdict:
    """The words and the stage for one question; the API key is in none of them."""

    def __init__(self, question: Question) -> None:
        self._question = question

    def words(self, status: int, raw: bytes) -> str:
        """A refusal in words: the status and what the server says about it."""
        text = raw.decode(errors="replace").strip()
        try:
            message = message_in(json.loads(text))
        except ValueError:
            message = "" if text.startswith("<") else text
        return self._question.redacted(f"{status} {message or http.client.responses.get(status, '')}".strip())

    def error(self, situation: str, said: str, *, stage: Stage, curable: bool = True, **details: t.Any) -> NotAnswering:
        said = short(self._question.redacted(said))
        return NotAnswering(self._question.redacted(situation), said, stage=stage, curable=curable, **details)

    def unanswered(self, said: str, *, repeats: bool = False) -> NotAnswering:
        situation = f"the server on {self._question.where} takes questions but answered none"
        return self.error(situation, said, stage="answers", repeats=repeats)

    def unexpected(self, said: str) -> NotAnswering:
        situation = f"the server on {self._question.where} answers, and not as expected"
        return self.error(situation, said, stage="answers", repeats=True)

    def slow(self, said: str) -> NotAnswering:
        situation = f"the server on {self._question.where} answers too slowly"
        return self.error(situation, said, stage="answers", repeats=True)

    def refused(self, status: int, said: str, headers: t.Mapping[str, str]) -> NotAnswering:
        port = self._question.where
        if status in (401, 403):
            key = "does not accept the API key" if self._question.api_key else "requires an API key and none was given"
            return self.error(f"the server on {port} {key}", said, stage="answers", curable=False)
        if status in _NOT_YET:
            return self.error(f"{port} is open and the model is still loading", said, stage="loading")
        if 300 <= status < 400:
            where = headers.get("location", "nowhere").partition("?")[0]
            return self.error(f"the server on {port} sends us on to {where}", said, stage="answers", curable=False)
        if 400 <= status < 500 and status not in _TRY_LATER:
            return self.error(
                f"the server on {port} does not accept the question", said, stage="answers", curable=False
            )
        return self.unanswered(said)

    def open_to_all(self, status: int, where: str) -> NotAnswering:
        """``where``: the path, and with which key it was asked."""
        return self.error(
            f"the server on {self._question.where} does not refuse {where}",
            f"{status} {http.client.responses.get(status, '')}".strip(),
            stage="answers",
            curable=status in (*_NOT_YET, *_TRY_LATER),
        )

    def unknown_model(self, said: str, served: t.Sequence[str]) -> NotAnswering:
        listed = f"; it serves {', '.join(served[:10])}" if served else ""
        return self.error(
            f"the server on {self._question.where} has no model {self._question.model}{listed}",
            said,
            stage="answers",
            curable=False,
            models=list(served),
        )

    def unreachable(self, exc: Unreachable, *, heard: bool) -> NotAnswering:
        """``heard``: the server has spoken HTTP before."""
        port = self._question.where
        cause = exc.__cause__
        inner = getattr(cause, "reason", None)
        inner = inner if isinstance(inner, BaseException) else cause
        said = reason_of(inner) if inner is not None else str(exc)
        if isinstance(inner, ConnectionRefusedError):
            return self.error(f"nothing listens on {port}", said, stage="process")
        if isinstance(inner, ssl.SSLCertVerificationError):
            return self.error(f"the certificate on {port} is not trusted", said, stage="port", curable=False)
        if heard:
            return self.error(f"{port} is open but took no question", said, stage="loading")
        # urllib wraps what goes wrong before the request is out in URLError; after that the port must have been open.
        early = cause is None or isinstance(cause, (urllib.error.URLError, ValueError))
        if early and not isinstance(inner, (ssl.SSLError, ConnectionResetError, BrokenPipeError)):
            return self.error(f"nothing listens on {port}", said, stage="process")
        return self.error(f"{port} is open but gave no HTTP answer", said, stage="port")


def reason_of(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError) or str(exc) == "timed out":  # Python 3.9: socket.timeout is no TimeoutError
        return "timed out"
    if isinstance(exc, http.client.IncompleteRead):
        return "the connection was closed"
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__


def short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WORDS_MOST else f"{line[: _WORDS_MOST - 1]}…"
