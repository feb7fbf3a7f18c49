# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes a gateway in every way while clients use it, on its own host, and prints what became of them, as JSON.

No request may fail, and no stream be cut: streams are counted by what they said, not by their status.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import typing as t

PROGRAM = "/usr/local/sbin/mlops-gateway"
CONFIG = pathlib.Path("/etc/mlops.hosts/model_gateway/haproxy.cfg")
KEYS = pathlib.Path("/etc/mlops.hosts/model_gateway/keys.map")
RUNNING = pathlib.Path("/run/mlops-gateway/running.json")
STREAM_S = 3
RELOADS = int(sys.argv[1])


class Load:
    """Clients that ask one after another, each over a connection of its own: what a paused port would refuse."""

    def __init__(self) -> None:
        self.requests = self.streams = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        paths = ["/v1/models"] * 3 + [f"/stream/{STREAM_S}"] * 3
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in paths]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, path: str) -> None:
        expected = "".join(f"data: {n}\n\n" for n in range(STREAM_S)) + "data: [DONE]\n\n"
        while not self._stop.is_set():
            streams = path.startswith("/stream/")
            try:
                status, text = get(path)
                problem = "" if status == 200 and text == (expected if streams else "ok") else f"{status} {text!r}"
            except (OSError, http.client.HTTPException) as exc:
                problem = repr(exc)
            with self._lock:
                self.requests += not streams
                self.streams += streams
                if problem:
                    self.failures.append(f"{path}: {problem}")
            if not streams:
                time.sleep(0.02)


def get(path: str, key: str = "alice") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def program(verb: str) -> tuple[int, str]:
    done = subprocess.run([PROGRAM, verb], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip()


def worker() -> int:
    return int(json.loads(RUNNING.read_text())["worker"])


def must(found: tuple[int, str], code: int = 0, words: str = "") -> None:
    assert found[0] == code and re.search(words, found[1]), found


@contextlib.contextmanager
def changed(path: pathlib.Path, edit: t.Callable[[str], str]) -> t.Iterator[None]:
    before = path.read_text()
    path.write_text(edit(before))
    try:
        yield
    finally:
        path.write_text(before)


def reloads() -> None:
    for number in range(RELOADS):
        with changed(CONFIG, lambda text, number=number: f"{text}# {number}\n"):
            must(program("reload"))
    must(program("reload"))
    must(program("check"))


def a_port_that_is_taken() -> None:
    serving = worker()
    with socket.create_server(("127.0.0.1", 7777)):
        edit = {"taken": "127.0.0.1:7777", "foreign": "192.0.2.77:7777"}
        for name, address in edit.items():
            with changed(CONFIG, lambda text, address=address: text.replace(":8080", f":8080,{address}")):
                words = "in use by python3, process" if name == "taken" else "no address of this host"
                must(program("reload"), 1, words)
                must(program("check"), 1, "haproxy.cfg is not what runs")
                done = subprocess.run(["systemctl", "reload", "mlops-gateway"], capture_output=True, check=False)
                assert done.returncode == 1, done
    must(program("check"))
    assert worker() == serving


def a_file_that_haproxy_refuses() -> None:
    with changed(CONFIG, lambda text: f"{text}nonsense\n"):
        must(program("reload"), 1, "unknown keyword 'nonsense'")


def a_key_that_is_revoked() -> None:
    serving = worker()
    assert get("/", "bob")[0] == 200
    with changed(KEYS, lambda text: text.replace("bob of-sales\n", "")):
        must(program("reload"))
        assert get("/", "bob")[0] == 401
    must(program("reload"))
    assert get("/", "bob")[0] == 200
    assert worker() == serving, "a change of keys needs no new worker"


def killed() -> int:
    """Killed at every tenth of the time that it takes, it leaves nothing that the next one cannot go on from."""
    begun = time.monotonic()
    must(program("reload"))
    took = time.monotonic() - begun
    for tenth in range(10):
        with subprocess.Popen([PROGRAM, "reload"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            time.sleep(took * tenth / 10)
            process.kill()
        if tenth % 3 == 2:
            must(program("reload"))
            must(program("check"))
    must(program("reload"))
    must(program("check"))
    return 10


def two_at_once() -> None:
    both = [subprocess.Popen([PROGRAM, "reload"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == [b"", b""]
    assert [process.returncode for process in both] == [0, 0]
    must(program("check"))


def main() -> int:
    told: dict[str, t.Any] = {}
    with Load() as load:
        for step in (
            a_port_that_is_taken,
            a_file_that_haproxy_refuses,
            a_key_that_is_revoked,
            two_at_once,
            killed,
            reloads,
        ):
            begun = time.monotonic()
            before = len(load.failures)
            step()
            told[step.__name__] = {"seconds": round(time.monotonic() - begun, 1), "failed": len(load.failures) - before}
    told |= {"requests": load.requests, "streams": load.streams, "failures": load.failures[:5]}
    print(json.dumps(told))
    return 1 if load.failures else 0


sys.exit(main())
