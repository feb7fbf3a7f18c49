# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What it is to ask over HTTP. _http_plain.py and _http_module.py do it, and nothing else opens such connections."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ._errors import HostError


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer whose body is still to be read. Header names are lower case."""

    status: int
    headers: t.Mapping[str, str]
    body: t.BinaryIO


class Unreachable(HostError):
    """No answer came: refused, reset, timed out, name or certificate not accepted."""


class Fetch(t.Protocol):
    """Sends one request and follows redirects.

    Any status comes back as a Response; only the lack of an answer raises Unreachable. ``timeout_s`` bounds the
    connection and each single read. ``Authorization`` is not passed on to another host by a redirect.
    """

    def __call__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: t.Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout_s: float = 30,
    ) -> contextlib.AbstractContextManager[Response]: ...
