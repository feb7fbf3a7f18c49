#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a container through CRI as the kubelet does: a pod, a container in it, and both are removed when it has ended.

    fake_kubelet.py SOCKET RUNTIME IMAGE COMMAND...     (RUNTIME "" is the default one)

Prints what the container printed. Runs on test hosts, for which Debian has no crictl: gRPC by curl, and messages of CRI
v1 (k8s.io/cri-api, api.proto) made by hand. The pod has the network of the host and needs no CNI.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXITED = 2  # ContainerState


def number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def text(field: int, value: str | bytes) -> bytes:
    """A string or a message."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def read(message: bytes) -> dict[int, Any]:
    """The last value of each field."""
    found: dict[int, Any] = {}
    rest = message
    while rest:
        key, rest = _take_varint(rest)
        value, rest = _take_varint(rest)
        if key & 7 == 2:
            found[key >> 3], rest = rest[:value], rest[value:]
        else:
            found[key >> 3] = value
    return found


def _varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + _varint(value >> 7) if value > 127 else bytes([value])


def _take_varint(data: bytes) -> tuple[int, bytes]:
    value = 0
    for place, byte in enumerate(data):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, data[place + 1 :]
    raise ValueError("the message is cut short")


def run(call: Any, runtime: str, image: str, command: list[str], logs: str) -> str:
    network_of_the_host = number(1, 2)
    pod = (
        text(1, text(1, "fake") + text(2, f"{time.time()}") + text(3, "tests"))
        + text(3, logs)
        + text(8, text(2, text(1, network_of_the_host)))
    )
    sandbox = call("RunPodSandbox", text(1, pod) + text(2, runtime))[1]
    try:
        config = text(1, text(1, "fake")) + text(2, text(1, image)) + text(11, "log")
        config += b"".join(text(3, word) for word in command)
        container = call("CreateContainer", text(1, sandbox) + text(2, config) + text(3, pod))[1]
        call("StartContainer", text(1, container))
        end = time.monotonic() + 30
        while (status := read(call("ContainerStatus", text(1, container))[1])).get(3) != EXITED:
            if time.monotonic() > end:
                raise SystemExit("the container does not end")
            time.sleep(0.1)
    finally:
        call("StopPodSandbox", text(1, sandbox))
        call("RemovePodSandbox", text(1, sandbox))
    if status.get(7):
        raise SystemExit(f"the container exited with status {status[7]}")
    return Path(logs, "log").read_text()


def ask(socket: str, name: str, message: bytes) -> dict[int, Any]:
    """A call of gRPC: one message there and one back, each after five bytes of flag and length."""
    with tempfile.NamedTemporaryFile() as headers:
        argv = [
            "curl",
            "--silent",
            "--show-error",
            "--http2-prior-knowledge",
            "--unix-socket",
            socket,
            "--max-time",
            "60",
        ]
        argv += ["--header", "Content-Type: application/grpc", "--header", "TE: trailers", "--data-binary", "@-"]
        argv += ["--dump-header", headers.name, f"http://localhost/runtime.v1.RuntimeService/{name}"]
        sent = b"\0" + len(message).to_bytes(4, "big") + message
        done = subprocess.run(argv, input=sent, capture_output=True, check=False)
        said = headers.read().decode()
    if done.returncode or not re.search("^grpc-status: 0", said, re.MULTILINE):
        raise SystemExit(f"{name} is refused: {done.stderr.decode()}{said}")
    return read(done.stdout[5:])


def main(socket: str, runtime: str, image: str, *command: str) -> None:
    with tempfile.TemporaryDirectory() as logs:
        print(run(lambda name, message: ask(socket, name, message), runtime, image, list(command), logs), end="")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
