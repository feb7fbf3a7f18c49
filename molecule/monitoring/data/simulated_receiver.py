#!/usr/bin/python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""simulated_receiver.py FILE PORT: keep what Alertmanager sends to a webhook, one alert a line.

Each line has status, labels and annotations of the alert, and the header Authorization that came with it. To GET it is
a llama-server with metrics behind the key sk-simulated, which answers what begins with /v1/ with one token.
"""

import http.server
import json
import sys

COMPLETION = (
    b'{"model": "chat", "choices": [{"text": " Hi", "finish_reason": "length"}],'
    b' "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}'
)
LLAMA_SERVER = b"""\
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 1
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 0
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total 100
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 10
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/v1/"):
            self.answer(COMPLETION)
            return
        with open(sys.argv[1], "a") as kept:
            for alert in told["alerts"]:
                row = {name: alert[name] for name in ("status", "labels", "annotations")}
                kept.write(json.dumps({**row, "authorization": self.headers.get("Authorization")}) + "\n")
        self.send_response(200)
        self.end_headers()

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        known = self.path == "/metrics" and self.headers.get("Authorization") == "Bearer sk-simulated"
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(LLAMA_SERVER if known else b"")

    def log_message(self, *_words):
        pass


http.server.ThreadingHTTPServer(("", int(sys.argv[2])), Handler).serve_forever()
