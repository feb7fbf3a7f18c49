# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What it is to ask over HTTP. _http_plain.py and _http_module.py do it, and nothing else opens such connections."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t
import urllib.parse

from ._errors import HostError


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer whose body is still to be read. Header names are lower case.

    A body that was sent compressed is decompressed; the headers that describe the compressed bytes are left out then.
    ``withheld_from`` is the address, without its query, that a redirect led to and that did not get ``Authorization``,
    or the headers that ``sign`` made.
    """

    status: int
    headers: t.Mapping[str, str]
    body: t.BinaryIO
    withheld_from: str = ""


class Unreachable(HostError):
    """No answer came: refused, reset, timed out, name not found, or an answer that broke off."""


class Untrusted(Unreachable):
    """No answer came, since the certificate was not accepted. Trying again does not help."""


# Headers for one address alone, such as a signature of it. None where that address must not get them.
Sign = t.Callable[[str], t.Optional[t.Mapping[str, str]]]


class Fetch(t.Protocol):
    """Sends one request and follows redirects of GET and HEAD.

    Any status comes back as a Response; only the lack of an answer raises Unreachable. ``timeout_s`` bounds the
    connection and each single read. A redirect passes ``Authorization`` on as ``same_recipient`` says; what ``sign``
    gives is made anew for each address.
    """

    def __call__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: t.Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout_s: float = 30,
        sign: Sign | None = None,
    ) -> contextlib.AbstractContextManager[Response]:
        """The answer, whose body is read within the context."""


def without_query(url: str) -> str:
    """The URL without query and fragment, which may hold a signature."""
    return urllib.parse.urlsplit(url)._replace(query="", fragment="").geturl()


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port. Two URLs of one origin are answered by the same server."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def same_recipient(url: str, target: str) -> bool:
    """Whether a secret for ``url`` may be sent to ``target``: same origin, or https of the same host instead of http.

    An upgrade to https changes the port, whatever it is; the secret has crossed the network unencrypted by then.
    """
    (scheme, host, _port), (new_scheme, new_host, _new_port) = origin(url), origin(target)
    return origin(url) == origin(target) or (host == new_host and (scheme, new_scheme) == ("http", "https"))
