# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The one place that opens HTTP connections."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import socket
import ssl
import typing as t
import urllib.error
import urllib.parse

from ._errors import HostError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# What ends a body early. socket.timeout is TimeoutError only since Python 3.10.
_BROKE_OFF = (socket.timeout, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException)


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


class ModuleFetch:
    """A Fetch over Ansible's ``open_url``: proxies from the environment, except to this host, certificates verified.

    ``ca_path`` names a PEM file to trust instead of the host's own store.
    """

    def __init__(self, *, ca_path: str | None = None) -> None:
        self._ca_path = ca_path

    @contextlib.contextmanager
    def __call__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: t.Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout_s: float = 30,
    ) -> t.Iterator[Response]:
        from ansible.module_utils.urls import open_url  # the core must import without Ansible

        try:
            answer = open_url(
                url,
                method=method,
                headers=dict(headers or {}),
                data=data,
                timeout=timeout_s,
                ca_path=self._ca_path,
                unredirected_headers=["authorization"],
                # A proxy in a host's environment seldom comes with the no_proxy that would keep loopback out of it.
                use_proxy=urllib.parse.urlsplit(url).hostname not in _LOOPBACK,
                # open_url lets an entry in ~/.netrc win over the header.
                use_netrc=not any(name.lower() == "authorization" for name in headers or {}),
                http_agent="mlops.hosts",
                follow_redirects="all" if method in ("GET", "HEAD") else "none",
            )
        except urllib.error.HTTPError as exc:
            answer = exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            reason = getattr(exc, "reason", None) or exc
            raise Unreachable(f"{url} cannot be reached: {reason}", url=url) from exc
        with contextlib.closing(answer):
            found = {name.lower(): value for name, value in answer.headers.items()}
            try:
                yield Response(int(answer.status), found, t.cast(t.BinaryIO, answer))
            except _BROKE_OFF as exc:
                raise Unreachable(f"{url} broke off: {str(exc) or type(exc).__name__}", url=url) from exc
