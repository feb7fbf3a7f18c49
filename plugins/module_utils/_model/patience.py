# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""When to ask a source again: as often as ``retries`` says, and not before the time that the source itself names."""

from __future__ import annotations

import datetime
import email.utils
import re
import threading
import typing as t
import urllib.parse

from .._errors import HostError
from .._http import Response

_LONGEST_BACKOFF_S = 60.0
_SLICE_S = 10.0
_SECONDS = re.compile(r"\d{1,18}(\.\d*)?", re.ASCII)
# "api";r=0;t=55 and "fixed window";"api";q=500;w=300, of draft-ietf-httpapi-ratelimit-headers, as hubs send them
_LIMIT = re.compile(r'("[^"]*")?((?:\s*;\s*\w+=[^;,]*)+)')
_NUMBER = re.compile(r"(\w+)\s*=\s*(\d{1,18})\s*(?=;|$)", re.ASCII)
_NOT_FOR_LONG = (408, 425, 429)
_LASTING = (501, 505)  # the server says that it cannot, not that it cannot now


def passes(status: int) -> bool:
    """Whether an answer is likely to be another one soon: try again."""
    return status in _NOT_FOR_LONG or (status >= 500 and status not in _LASTING)


def asked_wait(status: int, headers: t.Mapping[str, str], now: float) -> float | None:
    """The seconds that an answer asks to wait. None when it says nothing of it that can be understood.

    ``RateLimit`` counts for 429 when nothing remains, with a second for its rounding; then ``Retry-After``, which is in
    seconds or a date. A date is compared with the answer's own ``Date``, since clocks may differ, or else with the Unix
    time ``now``.
    """
    if status == 429:
        exhausted = [limit for limit in _limits(headers.get("ratelimit", "")) if limit.get("r") == 0 and "t" in limit]
        if exhausted:
            return max(limit["t"] for limit in exhausted) + 1.0
    after = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(after):
        return float(after)
    until, sent = _date(after), _date(headers.get("date", ""))
    return None if until is None else max(0.0, until - (now if sent is None else sent))


def _limits(header: str) -> list[dict[str, int]]:
    """The numbers of each item of a ``RateLimit`` or ``RateLimit-Policy`` header."""
    return [
        {key: int(value) for key, value in _NUMBER.findall(parameters)} for _name, parameters in _LIMIT.findall(header)
    ]


def _date(text: str) -> float | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    # An HTTP date is in GMT, whether its zone is written as GMT or as -0000.
    return (found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)).timestamp()


def limit_words(headers: t.Mapping[str, str]) -> str:
    """What the answer says of its limit, such as `` (limit: 500 requests in 300 s)``; empty when it says nothing."""
    limits = _limits(headers.get("ratelimit-policy", ""))
    said = [f"limit: {limit['q']} requests in {limit['w']} s" for limit in limits if "q" in limit and "w" in limit][:1]
    if after := headers.get("retry-after", "").strip()[:40]:
        said.append(f"Retry-After: {after}")
    return f" ({', '.join(said)})" if said else ""


class Patience:
    """One for a run, shared by its threads: what one answer of a server says of waiting holds for all questions to it.

    ``retries`` is for each question or file. ``max_wait_s`` is for all the waits of a run that servers ask for.
    """

    def __init__(
        self,
        *,
        retries: int,
        max_wait_s: float,
        clock: t.Callable[[], float],
        now: t.Callable[[], float],
        sleep: t.Callable[[float], None],
        tell: t.Callable[[str], None],
    ) -> None:
        self.retries = retries
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._tell = tell
        self._guard = threading.Lock()
        self._not_before: dict[str, float] = {}
        self._asked_s = 0.0

    def before(self, url: str, stop: threading.Event | None = None) -> None:
        """Wait as long as the server of ``url`` has asked for, if it has. Call it before each request."""
        while (left := self._not_before.get(_server(url), 0.0) - self._clock()) > 0:
            if stop is not None and stop.is_set():
                return
            self._sleep(min(left, _SLICE_S))

    def after(self, url: str, failures: int, *, name: str, answer: Response | None = None) -> None:
        """Prepare for another attempt after this many failures: heed what the answer asks for, or else back off.

        HostError when it asks for more than ``max_wait_s`` has left. ``name`` is the artefact, for the message.
        """
        wait_s = None if answer is None else asked_wait(answer.status, answer.headers, self._now())
        if answer is None or wait_s is None:
            self._sleep(min(2.0 ** (failures - 1), _LONGEST_BACKOFF_S))
            return
        server, wait_s = _server(url), max(wait_s, 1.0)
        why = f"the answer was {answer.status}{limit_words(answer.headers)}"
        with self._guard:
            now = self._clock()
            more_s = now + wait_s - max(now, self._not_before.get(server, 0.0))
            if more_s <= 0:
                return  # another thread was told already
            if self._asked_s + more_s > self._max_wait_s:
                waited = f"; {self._asked_s:.0f} s were waited for already" if self._asked_s else ""
                raise HostError(
                    f"{name}: {server} asks to wait {wait_s:.0f} s: {why}; a run waits {self._max_wait_s:g} s at most "
                    f"(max_wait_s){waited}; run again later, what was fetched so far is kept",
                    wait_s=wait_s,
                )
            self._asked_s += more_s
            self._not_before[server] = now + wait_s
            self._tell(f"{server} asked to wait {wait_s:.0f} s before the next request: {why}")


def _server(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
