# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated HAProxy: a master and its workers, at real sockets below a folder.

It reads the configuration and the state file there, and answers as versions 2.6, 3.0 and 3.2 were seen to. What it does
wrong is what they do wrong: it forgets drains without a state file, takes ports from one, and closes a connection
without a word.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import socket
import threading
import typing as t

CONFIG = "etc/mlops.hosts/model_gateway/haproxy.cfg"
STATE = "var/lib/mlops-gateway/servers.state"
MASTER = 100
STATE_HEAD = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port\n"
)
STAT_HEAD = "# pxname,svname,qcur,scur,status,weight,type,check_status,hrsp_2xx,\n"
ADMIN = {"ready": 0, "maint": 1, "drain": 8}


@dataclasses.dataclass
class Server:
    backend: str
    name: str
    address: str
    port: str
    admin: int = 0
    up: bool = True
    open: int = 0
    answers: int = 0


@dataclasses.dataclass
class Worker:
    pid: int
    servers: dict[tuple[str, str], Server]
    maps: dict[str, list[tuple[str, str]]]
    reloads: int = 0
    ending: bool = False  # it is listed, and its command line is closed
    prepared: dict[str, list[tuple[str, str]]] = dataclasses.field(default_factory=dict)


class FakeHaproxy:
    """``version``: 2.6, 3.0 or 3.2. ``broken``: what a new worker fails for."""

    def __init__(self, root: pathlib.Path, version: str = "3.0") -> None:
        self.root, self.version = root, version
        self.broken = ""
        self.failed = self.reloads = 0
        self.busy = 0  # so many reloads are refused, as another is in progress
        self.uptime_s = 5  # of workers
        self.asked: list[str] = []
        for name in ("run/mlops-gateway", "var/lib/mlops-gateway", f"proc/{MASTER}", "proc/net"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / f"proc/{MASTER}/cmdline").write_text(f"haproxy\0-Ws\0-f\0/{CONFIG}\0")
        (root / "proc/net/tcp").write_text("head\n")
        self.workers = [self._loaded()]
        self._sockets: list[socket.socket] = []

    @property
    def serving(self) -> Worker:
        return self.workers[0]

    def server(self, name: str) -> Server:
        return next(one for one in self.serving.servers.values() if one.name == name)

    def __enter__(self) -> FakeHaproxy:
        for name, answer in (("api", lambda command: self._worker(self.serving, command)), ("master", self._master)):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.root / f"run/mlops-gateway/{name}.sock"))
            listener.listen(16)
            self._sockets.append(listener)
            threading.Thread(target=self._serve, args=(listener, answer), daemon=True).start()
        return self

    def __exit__(self, *_args: object) -> None:
        for listener in self._sockets:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _serve(self, listener: socket.socket, answer: t.Callable[[str], str]) -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                asked = bytearray()
                while part := connection.recv(65536):
                    asked += part
                if not asked:  # only a look whether somebody is here
                    continue
                command = asked.decode().rstrip("\n")
                self.asked.append(command)
                connection.sendall(answer(command).encode())

    def _loaded(self) -> Worker:
        text = (self.root / CONFIG).read_text()
        servers: dict[tuple[str, str], Server] = {}
        backend = ""
        for line in text.splitlines():
            if match := re.match(r"backend (\S+)", line):
                backend = match[1]
            elif match := re.match(r"\s+server (\S+) (\S+):(\d+)", line):
                servers[backend, match[1]] = Server(backend, *match.groups())
        state = self.root / STATE
        for line in state.read_text().splitlines()[2:] if state.exists() else ():
            fields = line.split(" ")
            if server := servers.get((fields[1], fields[3])):
                server.up, server.admin, server.port = fields[5] == "2", int(fields[6]), fields[18]
        maps = {path: self._entries(path) for path in re.findall(r"map\((/[^),]+)", text)}
        return Worker(MASTER + 1 + getattr(self, "reloads", 0), servers, maps)

    def _entries(self, path: str) -> list[tuple[str, str]]:
        lines = (self.root / path.lstrip("/")).read_text().splitlines()
        return [(key, value) for key, _blank, value in (line.partition(" ") for line in lines)]

    def _master(self, command: str) -> str:
        if match := re.match(r"@!(\d+) (.*)", command, re.DOTALL):
            workers = {one.pid: one for one in self.workers}
            if int(match[1]) not in workers:
                return f"Can't find the target PID matching the prefix '@!{match[1]}'\n"
            if workers[int(match[1])].ending:
                return "Can't connect to the target CLI!\n"
            return self._worker(workers[int(match[1])], match[2])
        return self._reload() if command == "reload" else self._processes()

    def _reload(self) -> str:
        if self.busy:
            self.busy -= 1
            return "Success=0\n--\nAnother reload is still in progress.\n"
        self.reloads += 1
        for one in self.workers:
            one.reloads += 1
        if self.broken:
            self.failed += 1
            said = f"Success=0\n--\n[ALERT]    ({MASTER}) : {self.broken}\n"
        else:
            self.failed = 0
            old = [one for one in self.workers if any(server.open for server in one.servers.values())]
            self.workers = [self._loaded(), *old]
            said = f"Success=1\n--\n[NOTICE]   ({MASTER}) : Loading success.\n"
        return "" if self.version == "2.6" else said

    def _processes(self) -> str:
        begin = f"#<PID> <type> <reloads> <uptime> <version>\n{MASTER} master {self.reloads} [failed: {self.failed}] "
        rows = [f"{one.pid} worker {one.reloads} 0d00h01m05s {self.version}\n" for one in self.workers]
        among_old = 0 if self.failed and self.version == "3.2" else 1
        middle = "".join(rows[:among_old]) + ("# old workers\n" if rows[among_old:] else "")
        return f"{begin}0d00h02m00s {self.version}\n# workers\n{middle}{''.join(rows[among_old:])}\n"

    def _worker(self, worker: Worker, command: str) -> str:
        first, _end, payload = command.partition("\n")
        words = first.removesuffix(" <<").split()
        if first == "show info":
            return f"Version: {self.version}\nPid: {worker.pid}\nUptime_sec: {self.uptime_s}\nStopping: 0\n\n"
        if first == "show servers state":
            return STATE_HEAD + "".join(map(_state_row, worker.servers.values())) + "\n"
        if first == "show stat":
            opened = sum(one.open for one in worker.servers.values())
            rows = "".join(map(_stat_row, worker.servers.values()))
            return f"{STAT_HEAD}clients,FRONTEND,,{opened},OPEN,,0,,,\n{rows}\n"
        if first == "show map":
            rows = "".join(f"0 ({path}) pattern loaded from file\n" for path in worker.maps)
            return f"# id (file) description\n{rows}\n"
        if words[:2] == ["show", "map"]:
            return "".join(f"0x1 {key} {value}\n" for key, value in worker.maps[words[2]]) + "\n"
        if words[:2] == ["prepare", "map"]:
            worker.prepared[words[2]] = []
            return "New version created: 7\n\n"
        if words[:3] == ["add", "map", "@7"]:
            pairs = (line.partition(" ") for line in payload.splitlines())
            worker.prepared[words[3]] += [(key, value) for key, _blank, value in pairs]
            return "\n"
        if words[:3] == ["commit", "map", "@7"]:
            worker.maps[words[3]] = worker.prepared.pop(words[3])
            return "\n"
        if words[:2] == ["set", "server"]:
            server = worker.servers.get(tuple(words[2].split("/", 1)))
            if server is None:
                return "No such server.\n\n"
            server.admin = ADMIN[words[4]]
            return "\n"
        return "Unknown command\n"


def _state_row(one: Server) -> str:
    state = f"{2 if one.up else 0} {one.admin}"
    return f"3 {one.backend} 1 {one.name} {one.address} {state} 1 1 9 15 3 2 6 0 0 0 - {one.port} - 0 0 - - 0\n"


def _stat_row(one: Server) -> str:
    status = {0: "UP" if one.up else "DOWN", 1: "MAINT", 8: "DRAIN"}[one.admin]
    return f"{one.backend},{one.name},0,{one.open},{status},1,2,{'L7OK' if one.up else 'L4CON'},{one.answers},\n"
