#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of a gateway: some that stream, some that ask for little, until a file is there. Every answer is looked at,
not its status: a stream is whole when it has all of its tokens, says why it ended, and ends.

    CLIENT_KEY=… load.py PORT STOP_FILE RESULT_FILE PHASE_FILE

The result counts answers by the phase that the file named when they were asked for, and by what they were.
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import ssl
import sys
import threading
import time
import typing as t

STREAMS, SHORT, TOKENS, PAUSE_S, LIMIT_S = 8, 8, 24, 2, 3600
Found = collections.defaultdict[str, "collections.Counter[str]"]
_lock = threading.Lock()


def connection(port: int) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile="/opt/gateway.pem")
    context.check_hostname = False  # its name is none of this host
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)


def ask(port: int, key: str, tokens: int, *, stream: bool) -> str:
    """``whole``, or what it was instead."""
    body = {"model": "chat", "prompt": "Hello", "max_tokens": tokens, "ignore_eos": True, "stream": stream}
    to = connection(port)
    try:
        to.request("POST", "/v1/completions", json.dumps(body), {"Authorization": f"Bearer {key}"})
        answer = to.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as exc:
        return f"broken: {type(exc).__name__}"
    finally:
        to.close()
    if answer.status != 200:
        return f"status {answer.status}: {text[:200]}"
    return streamed(text, tokens) if stream else complete(json.loads(text), tokens)


def complete(said: dict[str, t.Any], tokens: int) -> str:
    found = said["usage"]["completion_tokens"], said["choices"][0]["finish_reason"]
    return "whole" if found == (tokens, "length") else f"short: {found}"


def streamed(text: str, tokens: int) -> str:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    if not lines or lines[-1] != "[DONE]":
        return f"cut after {len(lines)} events"
    said = [json.loads(line) for line in lines[:-1]]
    if any("error" in one for one in said):
        return "an error in the stream"
    reasons = [choice["finish_reason"] for one in said for choice in one["choices"] if choice.get("finish_reason")]
    used = [one["usage"]["completion_tokens"] for one in said if one.get("usage")]
    return "whole" if reasons == ["length"] and used == [tokens] else f"short: {reasons} {used}"


def phase_of(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def client(port: int, key: str, stop: str, phase: str, found: Found, *, stream: bool) -> None:
    end = time.monotonic() + LIMIT_S
    while not os.path.exists(stop) and time.monotonic() < end:
        during = phase_of(phase)
        became = ask(port, key, TOKENS if stream else 2, stream=stream)
        with _lock:
            found[during][f"{'stream' if stream else 'short'} {became}"] += 1
        time.sleep(PAUSE_S)


def main(port: str, stop: str, result: str, phase: str) -> None:
    found: Found = collections.defaultdict(collections.Counter)
    kinds = [True] * STREAMS + [False] * SHORT
    args = (int(port), os.environ["CLIENT_KEY"], stop, phase, found)
    clients = [threading.Thread(target=client, args=args, kwargs={"stream": kind}) for kind in kinds]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    with open(result, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
