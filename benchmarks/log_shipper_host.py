#!/usr/bin/python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks/log_shipper.py runs on a host: lines of a model server, and a sink that only counts.

log_shipper_host.py lines KIND NUMBER            writes lines to standard output, KIND is text or json
log_shipper_host.py drain UNIT STATE             ships what is in the journal, and keeps a copy of STATE, a directory
log_shipper_host.py measure UNIT STATE NUMBER    from that copy on, until so many lines have arrived
log_shipper_host.py full UNIT STATE              the same without a sink, until the unit reads no more
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import typing as t

PORT, TLS = 6514, "/etc/bench/localhost"
# In each line once.
MARK = b"req-bench-"
QUIET_S = 4
_TICK = os.sysconf("SC_CLK_TCK")
# As llama-server and vLLM log them. A tenth of the JSON lines has a prompt.
TEXT = (
    "slot print_timing: id  {i} | task 4711 | req-bench-{n} prompt eval time = 31.19 ms / 25 tokens (1.25 ms each)",
    "srv  log_server_r: req-bench-{n} POST /v1/chat/completions 127.0.0.1 200",
    'INFO 11-25 10:24:{i}0 [loggers.py:236] req-bench-{n} "GET /metrics HTTP/1.1" 200 OK',
    "INFO 11-25 10:24:{i}1 [metrics.py:386] req-bench-{n} Avg generation throughput: 812.3 tokens/s, Running: 17 reqs",
    "slot launch_slot_: id  {i} | task {n} | processing task, is_child = 0, req-bench-{n}",
)
JSON = '{{"level":"info","logger":"engine","request_id":"req-bench-{n}","msg":"finished","prompt_tokens":{i},"ms":3.2}}'
PROMPT = '{{"level":"debug","request_id":"req-bench-{n}","prompt":"Tell me of Paris, \\"in short\\".","max_tokens":6}}'


def lines(kind: str, number: str) -> None:
    for n in range(int(number)):
        form = (PROMPT if n % 10 == 0 else JSON) if kind == "json" else TEXT[n % len(TEXT)]
        print(form.format(n=n, i=n % 6))


class Sink:
    """Takes connections over TLS and counts marks, which may lie across two reads. It acknowledges nothing."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{TLS}.pem", f"{TLS}.key")
        # syslog-ng says nothing before it has a line.
        self._server = context.wrap_socket(
            socket.create_server(("127.0.0.1", PORT)), server_side=True, do_handshake_on_connect=False
        )
        self._server.settimeout(15)

    def counts(self) -> t.Iterator[int]:
        """How many have come so far, each time that something came, until nothing does for QUIET_S."""
        count, rest = 0, b""
        try:
            connection, _peer = self._server.accept()
            connection.settimeout(QUIET_S)
            connection.do_handshake()
            while data := connection.recv(1 << 16):
                data = rest + data
                count += data.count(MARK)
                rest = data[-len(MARK) + 1 :]
                yield count
        except TimeoutError:
            return


def start(unit: str, state: str, *, anew: bool) -> int:
    """The process id of the unit that runs."""
    if anew:
        shutil.rmtree(state)
        shutil.copytree(f"{state}.begin", state)
    subprocess.run(["systemctl", "start", unit], check=True)
    shown = subprocess.run(["systemctl", "show", "-PMainPID", unit], check=True, capture_output=True, text=True)
    return int(shown.stdout)


def stop(unit: str) -> None:
    subprocess.run(["systemctl", "stop", unit], check=True)


def cpu_s(pid: int) -> float:
    """User and system time of all threads."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_mib(pid: int) -> float:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


def drain(unit: str, state: str) -> None:
    sink = Sink()
    start(unit, state, anew=False)
    for _count in sink.counts():
        pass
    stop(unit)
    shutil.rmtree(f"{state}.begin", ignore_errors=True)
    shutil.copytree(state, f"{state}.begin")


def measure(unit: str, state: str, number: str) -> None:
    sink = Sink()
    pid = start(unit, state, anew=True)
    begun = cpu_begun = first = 0.0
    for count in sink.counts():
        if count and not begun:
            # Its start is no part of it: the TLS of rsyslog seeks a large prime then, which takes as long as it takes.
            begun, cpu_begun, first = time.monotonic(), cpu_s(pid), count
        if count >= int(number):
            seconds, cpu = time.monotonic() - begun, cpu_s(pid) - cpu_begun
            print(json.dumps({"rate": (count - first) / seconds, "cpu_s": cpu / (count - first) * 100_000}))
            break
    else:
        raise SystemExit(f"{unit}: {count} of {number} lines have arrived, and no more for {QUIET_S} s")
    stop(unit)


def full(unit: str, state: str) -> None:
    pid = start(unit, state, anew=True)
    before = -1.0
    while (now := cpu_s(pid)) - before > 0.1:
        before = now
        time.sleep(QUIET_S)
    print(json.dumps({"rss_mib": rss_mib(pid)}))
    stop(unit)


if __name__ == "__main__":
    {"lines": lines, "drain": drain, "measure": measure, "full": full}[sys.argv[1]](*sys.argv[2:])
