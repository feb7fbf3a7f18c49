# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fakes of servers of files share: answers in ranges, faults, and a thread to run in.

Standard library only, so that it runs on a bare test host.
"""

from __future__ import annotations

import dataclasses
import http.server
import re
import ssl
import sys
import threading
import typing as t

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


@dataclasses.dataclass
class Faults:
    """What goes wrong. ``times`` faulty answers are given, then all is well again; -1 means for ever."""

    cut_after: int | None = None  # close the connection after so many bytes of a file
    wrong_content: bool = False  # right length, wrong bytes
    status: int | None = None  # answer with this status
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)  # of the answer with this status
    body: bytes = b""  # of the answer with this status
    times: int = -1


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request. ``secrets`` are the names of the headers with something secret in them that came along."""

    method: str
    host: str
    path: str
    query: str
    secrets: tuple[str, ...]
    headers: t.Mapping[str, str]


class Server(http.server.ThreadingHTTPServer):
    """A server that notes what it was asked. Everything that can be switched is a plain attribute."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        handler: type[Handler],
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(address, handler)
        self.faults = Faults()
        self.asked: list[Asked] = []
        self._guard = threading.Lock()
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://{address[0]}:{self.server_address[1]}"
        self.other_url = f"{scheme}://localhost:{self.server_address[1]}"  # the same, and to clients another host

    def fault(self) -> Faults:
        """The faults for one request."""
        with self._guard:
            if self.faults.times == 0:
                return Faults()
            if self.faults.times > 0:
                self.faults.times -= 1
            return self.faults

    def note(self, asked: Asked) -> None:
        with self._guard:
            self.asked.append(asked)

    def __enter__(self) -> t.Any:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that hangs up is not worth a traceback."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD by ``answer``."""

    server: Server
    protocol_version = "HTTP/1.1"
    secret_headers: t.ClassVar[tuple[str, ...]] = ("authorization",)

    def log_message(self, *_args: t.Any) -> None:
        """Requests are noted by the server."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        given = {name.lower(): value for name, value in self.headers.items()}
        path, _mark, query = self.path.partition("?")
        secrets = tuple(sorted(set(given) & set(self.secret_headers)))
        seen = {name: value for name, value in given.items() if name not in secrets}
        self.server.note(Asked(self.command, given.get("host", ""), path, query, secrets, seen))
        self.answer(path, query, given)

    def answer(self, path: str, query: str, given: t.Mapping[str, str]) -> None:
        raise NotImplementedError

    def send(self, status: int, headers: t.Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self._send(status, headers or {}, body, None)

    def send_file(self, content: bytes, etag: str, given: t.Mapping[str, str], headers: t.Mapping[str, str]) -> None:
        """The file, or the range of it that is asked for, or the fault."""
        fault = self.server.fault()
        if fault.status is not None:
            return self.send(fault.status, fault.headers, fault.body)
        if fault.wrong_content:
            content = bytes(byte ^ 0xFF for byte in content)
        if given.get("if-match", etag) != etag:
            return self.send(412)
        status, more, body = 200, {"ETag": etag, "Accept-Ranges": "bytes", **headers}, content
        asked = _RANGE.match(given.get("range", ""))
        if asked and given.get("if-range", etag) == etag:
            start = int(asked[1])
            end = min(int(asked[2]) + 1, len(content)) if asked[2] else len(content)
            if start >= len(content):
                return self.send(416, {"Content-Range": f"bytes */{len(content)}"})
            status, body = 206, content[start:end]
            more["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return self._send(status, more, body, fault.cut_after)

    def _send(self, status: int, headers: t.Mapping[str, str], body: bytes, cut_after: int | None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut_after is not None and len(body) > cut_after:
            self.close_connection = True
            body = body[:cut_after]
        self.wfile.write(body)
