#!/usr/bin/python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""simulated_receiver.py FILE PORT: keep what Alertmanager sends to a webhook, one alert a line.

Each line has status, labels and annotations of the alert, and the header Authorization that came with it.
"""

import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(sys.argv[1], "a") as kept:
            for alert in told["alerts"]:
                row = {name: alert[name] for name in ("status", "labels", "annotations")}
                kept.write(json.dumps({**row, "authorization": self.headers.get("Authorization")}) + "\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_words):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
