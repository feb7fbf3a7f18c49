# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""HTTP connections by the standard library alone."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ._http import Response, Unreachable

LOOPBACK = ("127.0.0.1", "::1", "localhost")
# What ends a body early. socket.timeout is TimeoutError only since Python 3.10.
_BROKE_OFF = (socket.timeout, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException)


@contextlib.contextmanager
def answered(answer: t.Any, url: str) -> t.Iterator[Response]:
    """The answer that urllib gave, closed at the end; Unreachable when its body breaks off."""
    with contextlib.closing(answer):
        found = {name.lower(): value for name, value in answer.headers.items()}
        try:
            yield Response(int(answer.status), found, t.cast(t.BinaryIO, answer))
        except _BROKE_OFF as exc:
            raise Unreachable(f"{url} broke off: {str(exc) or type(exc).__name__}", url=url) from exc


class PlainFetch:
    """A Fetch of the standard library alone, for servers that this host asks about themselves.

    Proxies from the environment, except to this host; certificates verified against the host's own store.
    """

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
        handlers: list[urllib.request.BaseHandler] = [_Redirects()]
        if urllib.parse.urlsplit(url).hostname in LOOPBACK:
            # A proxy in a host's environment seldom comes with the no_proxy that would keep loopback out of it.
            handlers.append(urllib.request.ProxyHandler({}))
        try:
            request = urllib.request.Request(url, data=data, headers={"User-Agent": "mlops.hosts"}, method=method)
            for name, value in (headers or {}).items():
                add = request.add_unredirected_header if name.lower() == "authorization" else request.add_header
                add(name, value)
            answer = urllib.request.build_opener(*handlers).open(request, timeout=timeout_s)
        except urllib.error.HTTPError as exc:
            answer = exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            reason = getattr(exc, "reason", None) or exc
            raise Unreachable(f"{url} cannot be reached: {reason}", url=url) from exc
        with answered(answer, url) as response:
            yield response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows what can be asked again without harm, as Ansible's open_url does."""

    def redirect_request(self, req: t.Any, fp: t.Any, code: int, msg: str, headers: t.Any, newurl: str) -> t.Any:
        if req.get_method() not in ("GET", "HEAD"):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)
