#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play dcgm-exporter: tell made-up values of the fields of a file. For tests; there is no GPU and no DCGM.

    dcgm-exporter -f COUNTERS.csv -a ADDRESS:PORT -r HOST:PORT

As the real one does by its documentation, it ends when the host engine does not answer, or when a line of the file is
not a field, what it is for Prometheus, and a text.
"""

from __future__ import annotations

import argparse
import csv
import http.server
import socket

KINDS = ("gauge", "counter", "label")
LABELS = 'gpu="0",UUID="GPU-fake",device="nvidia0",modelName="fake",hostname="fake"'


def page(path: str) -> str:
    with open(path, newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(line for line in file if line.strip())]
    lines = []
    for name, kind, about in (row for row in rows if not row[0].startswith("#")):
        if not name.startswith("DCGM_") or kind not in KINDS:
            raise SystemExit(f"the file of counters has what is no field: {name}, {kind}")
        if kind != "label":
            lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}", f"{name}{{{LABELS}}} 1"]
    return "\n".join([*lines, ""])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = page(options.f).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for option in ("-f", "-a", "-r"):
    parser.add_argument(option, required=True)
options = parser.parse_args()
page(options.f)
host, _colon, port = options.r.rpartition(":")
socket.create_connection((host, int(port)), timeout=5).close()
address, _colon, port = options.a.rpartition(":")
http.server.ThreadingHTTPServer((address.strip("[]"), int(port)), Handler).serve_forever()
