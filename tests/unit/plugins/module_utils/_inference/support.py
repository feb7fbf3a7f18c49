# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model server that says what a test wants, and what asks it."""

from __future__ import annotations

import http.server
import json
import pathlib
import socket
import struct
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch
from ansible_collections.mlops.hosts.plugins.module_utils._inference.answer import NotAnswering
from ansible_collections.mlops.hosts.plugins.module_utils._inference.ask import ask
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import Question
from ansible_collections.mlops.hosts.plugins.module_utils._inference.wait import wait_for_answer

RECORDED = pathlib.Path(__file__).parents[3] / "data"


KEY = 'sk-"secret\\key'


CHAT, COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"


class FakeHandler(http.server.BaseHTTPRequestHandler):
    """Plays what the test wrote for the route; the last reply of a route is repeated."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._play(None)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        head = int(self.headers.get("Inference-Header-Content-Length", len(raw)))
        self._play({**json.loads(raw[:head]), **({"binary": raw[head:]} if raw[head:] else {})})

    def _play(self, asked):
        self.close_connection = True
        self.server.requests.append((self.path, asked, self.headers))
        key = self.server.key
        if key and self.headers["Authorization"] != f"Bearer {key}" and self.path not in self.server.open_paths:
            status(401, {"error": "Unauthorized"})(self)
            return
        replies = self.server.routes.get(self.path, [status(404, {"detail": "Not Found"})])
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def log_message(self, *args):
        pass


class Fake(http.server.ThreadingHTTPServer):
    """A fake of a model server, on loopback."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FakeHandler)
        self.routes = {MODELS: [status(200, {"object": "list", "data": [{"id": "tiny"}]})]}
        self.requests = []
        self.key = None
        self.open_paths = ()  # where the key is not asked for
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def asked(self):
        return [path for path, _body, _headers in self.requests]

    def handle_error(self, request, client_address):
        pass


def status(code, document, **headers):
    def play(handler):
        raw = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        handler.send_response(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(raw), **headers}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(raw)

    return play


def recorded(name):
    """A reply of a real server, byte for byte."""
    raw = (RECORDED / f"{name}.http").read_bytes()
    return lambda handler: handler.wfile.write(raw)


def piece(text=None, finish_reason=None, key="content", **more):
    delta = {} if text is None else {key: text}
    return {"model": "tiny", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}


def usage(tokens):
    return {"model": "tiny", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": tokens}}


def stream(*events, end="done"):
    """Server-sent events, chunked. ``end``: done, close (no terminator), cut (mid-chunk), reset or hang."""

    def play(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in (*events, "[DONE]") if end == "done" else events:
            text = event if isinstance(event, str) else json.dumps(event)
            line = text if text.startswith((":", "error:", "event:")) else f"data: {text}"
            raw = f"{line}\n\n".encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        if end == "done":
            handler.wfile.write(b"0\r\n\r\n")
        elif end == "cut":
            handler.wfile.write(b"40\r\ndata: {")
        elif end == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        elif end == "hang":
            handler.server.released.wait()

    return play


OK = stream(piece(""), piece("Hi"), piece(" you"), piece(finish_reason="stop"), usage(3))


LOADING = status(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})


# The two ways to ask a server; every test goes both.
FETCHES = {"used": PlainFetch}


class FakeTime:
    """Time that passes only in sleep."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def wait(question, deadline_s=60, alive=lambda: None, fetch=None):
    time = FakeTime()
    try:
        return *wait_for_answer(
            fetch or FETCHES["used"](), question, deadline_s=deadline_s, alive=alive, clock=time.clock, sleep=time.sleep
        ), time
    except NotAnswering as exc:
        exc.time = time
        raise


def refusal(server, *, timeout_s=5, **options):
    with pytest.raises(NotAnswering) as caught:
        ask(FETCHES["used"](), Question(server.url, **options), timeout_s=timeout_s)
    assert caught.value.details["stage"] == caught.value.stage
    return caught.value
