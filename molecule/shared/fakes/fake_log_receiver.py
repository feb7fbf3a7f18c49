#!/usr/bin/python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes logs over HTTP as Loki (/loki/api/v1/push), OpenSearch (/_bulk) and any server of JSON lines (/lines) do.

fake_log_receiver.py DIRECTORY PLAIN_PORT TLS_PORT CA CERT KEY

What arrives is one JSON object a line in DIRECTORY/loki, DIRECTORY/opensearch and DIRECTORY/lines; what is against a
protocol is answered with 400 and is a line of DIRECTORY/faults. DIRECTORY/answer holds a status to answer with in place
of the right one; nothing is kept then. The port with TLS asks for a certificate.
"""

import http.server
import json
import pathlib
import re
import ssl
import sys
import threading

FOLDER = pathlib.Path(sys.argv[1])
LOCK = threading.Lock()
TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{3,9}([+-][0-9]{2}:[0-9]{2}|Z)")


class Fault(Exception):
    """What a sender did against the protocol."""


def need(holds, words):
    if not holds:
        raise Fault(words)


def loki(headers, body):
    need(headers.get("Content-Type", "").split(";")[0] == "application/json", "content type")
    push = json.loads(body)
    need(set(push) == {"streams"} and push["streams"], "streams")
    for stream in push["streams"]:
        need(set(stream) == {"stream", "values"}, "members of a stream")
        labels = stream["stream"]
        need(labels and all(isinstance(value, str) and value for value in labels.values()), "labels are texts")
        need(all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in labels), "names of labels")
        need(len(labels) <= 15, "at most 15 labels")
        for value in stream["values"]:
            need(len(value) == 2 and all(isinstance(part, str) for part in value), "a time and a line")
            need(re.fullmatch("1[0-9]{18}", value[0]), "nanoseconds")
            yield {"labels": labels, "ns": value[0], "line": value[1], "tenant": headers.get("X-Scope-OrgID")}


def opensearch(headers, body):
    need(headers.get("Content-Type", "").split(";")[0] in ("application/x-ndjson", "application/json"), "content type")
    need(body.endswith("\n"), "a bulk ends with a new line")
    rows = [json.loads(line) for line in body.splitlines()]
    need(rows and len(rows) % 2 == 0, "an action and a document each")
    for action, document in zip(rows[::2], rows[1::2]):
        need(len(action) == 1 and set(action) <= {"index", "create"}, "action")
        (about,) = action.values()
        need(about.get("_index"), "index")
        yield {"index": about["_index"], **record(document)}


def lines(_headers, body):
    for line in body.splitlines():
        yield record(json.loads(line))


def record(given):
    need(isinstance(given, dict), "an object")
    need(TIME.fullmatch(given.get("@timestamp", "")), "time")
    need(not [name for name, value in given.items() if value in ("", None, {})], "what a line has not is left out")
    for name in ("host", "source", "severity", "message"):
        need(isinstance(given.get(name), str), name)
    for name in ("labels", "fields"):
        need(isinstance(given.get(name, {}), dict), name)
    return given


KINDS = {
    "/loki/api/v1/push": ("loki", loki, 204, ""),
    "/_bulk": ("opensearch", opensearch, 200, '{"took": 1, "errors": false, "items": []}'),
    "/lines": ("lines", lines, 200, ""),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """rsyslog 8.2608 asks OpenSearch how it is, and sends nothing where that is not answered."""
        self.say(200 if self.path.startswith("/_cat/health") else 404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = (FOLDER / "answer").read_text().strip() if (FOLDER / "answer").exists() else ""
        if asked:
            return self.say(int(asked), "")
        if self.path not in KINDS:
            return self.fault(404, f"no such path: {self.path}")
        name, read, status, text = KINDS[self.path]
        try:
            found = list(read(self.headers, body))
        except (Fault, ValueError, KeyError, TypeError, AttributeError) as problem:
            return self.fault(400, f"{name}: {problem!r}: {body[:400]}")
        who = {"login": self.headers.get("Authorization")}
        with LOCK, (FOLDER / name).open("a") as file:
            file.writelines(json.dumps({**who, **one}) + "\n" for one in found)
        return self.say(status, text)

    def fault(self, status, words):
        with LOCK, (FOLDER / "faults").open("a") as file:
            file.write(words.replace("\n", "\\n") + "\n")
        self.say(status, "")

    def say(self, status, text):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_words):
        pass


def serve(port, certificates=()):
    server = http.server.ThreadingHTTPServer(("0.0.0.0", int(port)), Handler)
    if certificates:
        ca, cert, key = certificates
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cafile=ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    threading.Thread(target=serve, args=(sys.argv[2],), daemon=True).start()
    serve(sys.argv[3], sys.argv[4:7])
