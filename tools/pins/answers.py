# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of whoever serves something, and what becomes of a pin by them."""

from __future__ import annotations

import dataclasses
import typing as t
import urllib.error
import urllib.parse
import urllib.request

OK, GONE, OTHER_HASH, NOT_REACHABLE = "ok", "gone", "other hash", "not reachable here"
FAILED = (GONE, OTHER_HASH)
_LIMIT_S = 15


class Unreachable(Exception):
    """Nobody answered, or who answered does not say whether it is served."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"{host}: {why}")


class Missing(Exception):
    """The server answered that there is no such thing."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    verdict: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.verdict}: {self.note}" if self.note else self.verdict


class Ask(t.Protocol):
    def __call__(self, url: str, headers: t.Mapping[str, str] = ...) -> bytes: ...


class Web:
    """A host that did not answer once is not asked again."""

    def __init__(self) -> None:
        self._silent: dict[str, Unreachable] = {}

    def __call__(self, url: str, headers: t.Mapping[str, str] = {}) -> bytes:  # noqa: B006 read only
        host = urllib.parse.urlsplit(url).netloc
        if host in self._silent:
            raise self._silent[host]
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=_LIMIT_S) as answer:
                return t.cast(bytes, answer.read())
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise Missing(url) from error
            raise self._silence(host, f"it answers {error.code}") from error
        except OSError as error:
            raise self._silence(host, str(getattr(error, "reason", error))) from error

    def _silence(self, host: str, why: str) -> Unreachable:
        self._silent[host] = Unreachable(host, why)
        return self._silent[host]
