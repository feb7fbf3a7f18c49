#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play ``vllm serve`` 0.32.0 as far as what runs it can see: starts, stops, crashes, and who is let in. No model runs.

    fake_vllm.py serve MODEL --port PORT [--host HOST] [--served-model-name NAME] [--shutdown-timeout S] [FLAG...]

As the real one was seen to do:
- While it loads, the port is taken and nothing listens, and SIGTERM is swallowed.
- A directory without config.json exits with status 1, a flag that is not known with status 2.
- When its engine core, a child process, dies, it says for a moment that it is healthy and then exits with status 0.
- SIGTERM ends open streams with finish_reason abort, [DONE] and status 200, and with --shutdown-timeout only after that
  time, in which new requests fail. It exits with status 0.
- The key in VLLM_API_KEY closes /v1, /v2 and /inference only; /invocations runs the model for anyone. An empty one is
  no key.

Environment: FAKE_LOAD_S (seconds), FAKE_TOKEN_S (seconds a token), FAKE_OPEN=1 (the key is not asked for).
"""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any

VALUED = {
    *("--host", "--port", "--served-model-name", "--shutdown-timeout", "--max-model-len", "--max-num-seqs"),
    *("--gpu-memory-utilization", "--tensor-parallel-size"),
}
SWITCHES = {"--enforce-eager"}
GUARDED = ("/v1", "/v2", "/inference")
ASKED = ("/v1/chat/completions", "/v1/completions", "/invocations")


class Server(http.server.ThreadingHTTPServer):
    """The API server and its engine core."""

    daemon_threads = True

    def __init__(self, host: str, port: int, name: str, drain_s: float) -> None:
        super().__init__((host, port), Handler, bind_and_activate=False)
        self.name, self.drain_s = name, drain_s
        self.key = None if os.environ.get("FAKE_OPEN") else os.environ.get("VLLM_API_KEY") or None
        self.token_s = float(os.environ.get("FAKE_TOKEN_S", "0.01"))
        self.core = subprocess.Popen(["/bin/sleep", "infinity"])
        self.streams, self.counting = 0, threading.Lock()
        self.stopping = self.aborting = False

    @property
    def core_is_dead(self) -> bool:
        return self.core.poll() is not None

    def watch_core(self) -> None:
        self.core.wait()
        if not self.stopping:
            time.sleep(1)
            leave("EngineCore died")

    def stop(self) -> None:
        """What SIGTERM starts: first the open streams, then the end."""
        self.stopping = True
        ends_at = time.monotonic() + self.drain_s
        while self.streams and time.monotonic() < ends_at:
            time.sleep(0.05)
        self.aborting = True
        while self.streams and time.monotonic() < ends_at + 5:
            time.sleep(0.05)
        self.core.kill()
        leave("stopped")


def leave(why: str) -> None:
    print(why, flush=True)
    os._exit(0)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path in ("/health", "/ping", "/metrics", "/version"):
            self._answer(200, {})
        elif self._may() and self.path == "/v1/models":
            self._answer(200, {"object": "list", "data": [{"id": self.server.name}]})
        elif self._may():
            self._answer(404, {"detail": "Not Found"})
        else:
            self._answer(401, {"error": "Unauthorized"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        if not self._may():
            self._answer(401, {"error": "Unauthorized"})
        elif self.path not in ASKED:
            self._answer(404, {"detail": "Not Found"})
        elif asked.get("model", self.server.name) != self.server.name:
            self._answer(404, {"error": {"message": f"The model `{asked['model']}` does not exist.", "code": 404}})
        elif self.server.stopping:
            self._answer(500, {"error": {"message": "cannot schedule new futures after shutdown", "code": 500}})
        elif self.server.core_is_dead:
            self._answer(500, {"error": {"message": "EngineCore encountered an issue.", "code": 500}})
        else:
            with self.server.counting:
                self.server.streams += 1
            try:
                self._stream(int(asked.get("max_tokens", 16)))
            finally:
                with self.server.counting:
                    self.server.streams -= 1

    def _may(self) -> bool:
        key = self.server.key
        return not key or not self.path.startswith(GUARDED) or self.headers["Authorization"] == f"Bearer {key}"

    def _answer(self, status: int, document: Any) -> None:
        raw = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, tokens: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        for _ in range(tokens):
            if self.server.core_is_dead:
                self._event({"error": {"message": "EngineCore encountered an issue.", "code": 500}})
                break
            if self.server.aborting:
                self._event(self._piece("", "abort"))
                break
            self._event(self._piece("a "))
            time.sleep(self.server.token_s)
        else:
            self._event(self._piece("", "length"))
        self.wfile.write(b"data: [DONE]\n\n")

    def _piece(self, text: str, finish_reason: str | None = None) -> Any:
        said: Any = {"delta": {"content": text}} if "chat" in self.path else {"text": text}
        return {"model": self.server.name, "choices": [{"index": 0, **said, "finish_reason": finish_reason}]}

    def _event(self, document: Any) -> None:
        self.wfile.write(f"data: {json.dumps(document)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_args: Any) -> None:
        pass


def arguments(words: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        flag, has_value, value = rest.pop(0).partition("=")
        if flag not in VALUED | SWITCHES:
            print(f"vllm: error: unrecognized arguments: {flag}", file=sys.stderr)
            raise SystemExit(2)
        given[flag] = value if has_value or flag in SWITCHES else rest.pop(0)
    return given


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] != ["serve"] or len(argv) < 2:
        raise SystemExit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_args: print("SIGTERM is swallowed while loading", flush=True))
    given = arguments(argv[2:])
    server = Server(
        given.get("--host", "0.0.0.0"),
        int(given["--port"]),
        given.get("--served-model-name", argv[1]),
        float(given.get("--shutdown-timeout", "0")),
    )
    try:
        server.server_bind()
        if not pathlib.Path(argv[1], "config.json").is_file():
            raise SystemExit("ValidationError: 1 validation error for ModelConfig")
        ready_at = time.monotonic() + float(os.environ.get("FAKE_LOAD_S", "0.5"))
        while time.monotonic() < ready_at:  # a signal ends a sleep early
            time.sleep(0.05)
        server.server_activate()
        print("Application startup complete.", flush=True)
        stop = threading.Thread(target=server.stop, daemon=True)
        signal.signal(signal.SIGTERM, lambda *_args: stop.start() if not stop.ident else None)
        threading.Thread(target=server.watch_core, daemon=True).start()
        server.serve_forever(poll_interval=0.05)
    finally:
        server.core.kill()


if __name__ == "__main__":
    main()
