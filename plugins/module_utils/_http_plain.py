# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""HTTP connections by the standard library alone, and what all connections have in common: redirects, compression."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import typing as t
import urllib.error
import urllib.parse
import urllib.request
import zlib

from ._errors import HostError
from ._http import Response, Sign, Unreachable, Untrusted, origin, same_recipient, without_query

LOOPBACK = ("127.0.0.1", "::1", "localhost")
# What ends a body early. socket.timeout is TimeoutError only since Python 3.10.
_BROKE_OFF = (socket.timeout, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_PIECE = 64 * 1024
# They describe the bytes that were sent, not those that a body gives once it is decompressed.
_OF_THE_COMPRESSED = ("content-length", "content-range", "etag")

# Sends one request, without following redirects. Raises HTTPError for a status that is no success, as urllib does.
Send = t.Callable[[str, t.Mapping[str, str]], t.Any]


@contextlib.contextmanager
def following(
    send: Send, url: str, *, method: str, headers: t.Mapping[str, str] | None, sign: Sign | None = None
) -> t.Iterator[Response]:
    """The answer to a request, after its redirects. Unreachable when there is none, or when its body breaks off."""
    at, given, withheld_from = url, dict(headers or {}), ""
    for _hop in range(_MOST_REDIRECTS + 1):
        shown = url if at == url else f"{url} (redirected to {without_query(at)})"
        signed = sign(at) if sign else {}
        if signed is None:
            withheld_from = without_query(at)
        try:
            answer = send(at, {**given, **(signed or {})})
        except urllib.error.HTTPError as exc:
            answer = exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            reason = getattr(exc, "reason", None) or exc
            kind = Untrusted if isinstance(reason, ssl.SSLCertVerificationError) else Unreachable
            raise kind(f"{shown} cannot be reached: {reason}", url=url) from exc
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or method not in ("GET", "HEAD") or not location:
            with _answered(answer, shown, url, withheld_from) as response:
                yield response
            return
        answer.close()
        target = _target(at, location, shown, url)
        if not same_recipient(at, target) and any(name.lower() == "authorization" for name in given):
            given = {name: value for name, value in given.items() if name.lower() != "authorization"}
            withheld_from = without_query(target)
        at = target
    raise Unreachable(f"{url} redirects more than {_MOST_REDIRECTS} times, last to {without_query(at)}", url=url)


def _target(at: str, location: str, shown: str, url: str) -> str:
    """Where a redirect leads, which may be said relative to where it comes from."""
    try:
        target = urllib.parse.urljoin(at, location.replace(" ", "%20"))
        if origin(target)[0] in ("http", "https") and origin(target)[1]:
            return target
    except ValueError:
        target = location
    raise Unreachable(
        f"{shown} redirects to {target.partition('?')[0]!r}, which is no address of a web server", url=url
    )


@contextlib.contextmanager
def _answered(answer: t.Any, shown: str, url: str, withheld_from: str) -> t.Iterator[Response]:
    """The answer that urllib gave, closed at the end."""
    with contextlib.closing(answer):
        found = {name.lower(): value for name, value in answer.headers.items()}
        body = t.cast(t.BinaryIO, answer)
        coding = found.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity"):
            found = {name: value for name, value in found.items() if name not in _OF_THE_COMPRESSED}
            body = t.cast(t.BinaryIO, io.BufferedReader(_Decompressed(body, coding, shown), _PIECE))
        try:
            yield Response(int(answer.status), found, body, withheld_from)
        except _BROKE_OFF as exc:
            raise Unreachable(f"{shown} broke off: {str(exc) or type(exc).__name__}", url=url) from exc


class _Decompressed(io.RawIOBase):
    """What a body holds that was sent compressed, although nobody asked for that."""

    def __init__(self, body: t.BinaryIO, coding: str, shown: str) -> None:
        super().__init__()
        self._body = body
        self._coding = coding
        self._shown = shown
        self._waiting = b""
        self._inflate: t.Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        if self._coding not in ("gzip", "x-gzip", "deflate"):
            raise HostError(
                f"{self._shown} was sent with Content-Encoding {self._coding!r}, which cannot be read, although no "
                "compression was asked for; make the server, or the proxy in between, send files as they are"
            )
        while True:
            compressed = self._waiting or self._body.read(_PIECE)
            if not compressed:
                if self._inflate is not None and not self._inflate.eof:
                    raise ConnectionError(f"its content, compressed with {self._coding}, ended early")
                return 0
            try:
                piece = self._decompress(compressed, len(buffer))
            except zlib.error as exc:
                raise ConnectionError(f"its content is not {self._coding}, as its headers say: {exc}") from exc
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)

    def _decompress(self, compressed: bytes, most: int) -> bytes:
        if self._inflate is None or self._inflate.eof:  # gzip may have several members
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its first bytes
            try:
                piece = self._inflate.decompress(compressed, most)
            except zlib.error:
                if self._coding != "deflate":
                    raise
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers leave the zlib header out
                piece = self._inflate.decompress(compressed, most)
        else:
            piece = self._inflate.decompress(compressed, most)
        self._waiting = self._inflate.unconsumed_tail or self._inflate.unused_data
        return t.cast(bytes, piece)


class PlainFetch:
    """A Fetch of the standard library alone, for servers that this host asks about themselves.

    Proxies from the environment, except to this host; certificates verified against the host's own store.
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
        def send(at: str, given: t.Mapping[str, str]) -> t.Any:
            handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
            if urllib.parse.urlsplit(at).hostname in LOOPBACK:
                # A proxy in a host's environment seldom comes with the no_proxy that would keep loopback out of it.
                handlers.append(urllib.request.ProxyHandler({}))
            named = {"User-Agent": "mlops.hosts", **given}
            request = urllib.request.Request(at, data=data, headers=named, method=method)
            return urllib.request.build_opener(*handlers).open(request, timeout=timeout_s)

        return following(send, url, method=method, headers=headers, sign=sign)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: t.Any, **_options: t.Any) -> None:
        return None
