# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The component under test: what is desired in one of its states, and what a host looks like that is wholly in it.

A state is a letter, which every file, user, directory and link depends on, and a version, which the packages depend on.
A change goes from any state to another, so that the outcome of one test is the start of the next.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

ETC = "/etc/faults"
SETTINGS = f"{ETC}/settings.json"
APPLIED = f"{ETC}/applied.conf"
SHARED = "/etc/faults-shared.json"
UNIT_FILE = "/etc/systemd/system/faults.service"
SERVICE, SIDE = "faults.service", "faults-side.service"
REPOSITORY = "/srv/faults"
SHARED_BEFORE = '{\n  "theirs": [1,\n   2]\n}\n'
Component = dict[str, t.Any]

_PROGRAM = """#!/usr/bin/python3 -IS
import json, os, pwd, socket, threading, time
settings = json.load(open("/etc/faults/settings.json"))
if "never_ready" in settings:
    time.sleep(100000)
if "dies_after_s" in settings:
    threading.Timer(settings["dies_after_s"], os._exit, [7]).start()
who = {"settings": settings["letter"], "package": "VERSION", "user": pwd.getpwuid(os.getuid()).pw_name}
server = socket.create_server(("127.0.0.1", 8099))
while True:
    client, _peer = server.accept()
    with client:
        client.settimeout(2)
        try:
            client.recv(4096)
            client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + json.dumps(who).encode())
        except OSError:
            pass
"""
_VALIDATOR = """#!/usr/bin/python3 -IS
import json, sys, time
if "validator_hangs" in json.load(open(sys.argv[1])):
    time.sleep(100000)
"""
_UNIT = """[Unit]
Description=answers with its version
[Service]
User=faults-{letter}
ExecStart=/usr/lib/faults/serve
[Install]
WantedBy=multi-user.target
"""
_SIDE_UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"


def packages() -> list[dict[str, t.Any]]:
    """For fake_repository.py. Their scripts can be stopped at, so that dpkg is in the middle of its work."""
    made: list[dict[str, t.Any]] = []
    for version in ("1", "2"):
        made.append(
            {
                "name": "faults",
                "version": version,
                "executable": ["/usr/lib/faults/serve", "/usr/lib/faults/check"],
                "files": {
                    "/usr/lib/faults/serve": _PROGRAM.replace("VERSION", version),
                    "/usr/lib/faults/check": _VALIDATOR,
                },
                "scripts": {
                    name: f"#!/bin/sh\nset -e\n/usr/local/bin/faults-point {name}\n" for name in ("preinst", "postinst")
                },
            }
        )
        made.append(
            {
                "name": f"faults-extra-{version}",
                "version": version,
                "files": {f"/usr/share/faults-extra-{version}": "extra\n"},
                "scripts": {"prerm": "#!/bin/sh\nset -e\n/usr/local/bin/faults-point prerm\n"},
            }
        )
    return made


@dataclasses.dataclass(frozen=True)
class State:
    letter: str
    version: str

    def other(self, *, packages: bool) -> State:
        """The state that a change goes to from here."""
        flip = {"a": "b", "b": "a", "1": "2", "2": "1"}
        return State(flip[self.letter], flip[self.version] if packages else self.version)


ANOTHER: Component = {"name": "another", "files": [{"path": "/etc/faults-another", "content": "another\n"}]}


def component(
    state: State, key: dict[str, str], *, settle_s: int = 1, ready_s: int = 60, **settings: t.Any
) -> Component:
    """The component in a state. ``key`` holds ``key`` and ``fingerprint``; ``settings`` make the service misbehave."""
    letter, version = dataclasses.astuple(state)
    me = {"owner": f"faults-{letter}", "group": f"faults-{letter}"}
    side = {"a": {"state": "started"}, "b": {"state": "stopped", "enabled": False}}[letter]
    return {
        "name": "faults",
        "settle_s": settle_s,
        "repositories": [{"name": "faults", "uris": [f"file:{REPOSITORY}/{version}"], "suites": ["./"], **key}],
        "packages": [{"name": "faults", "version": version, "hold": True}, {"name": f"faults-extra-{version}"}],
        "users": [{"name": f"faults-{letter}"}],
        "directories": [{"path": ETC}, {"path": f"{ETC}/{letter}.d", **me, "mode": "0750"}],
        "files": [
            {"path": f"{ETC}/{letter}.d/more.conf", "content": f"more of {letter}\n"},
            {
                "path": SETTINGS,
                "content": _settings(letter, settings),
                **me,
                "mode": "0640",
                "validate": ["/usr/lib/faults/check", "{staged}"],
            },
            {
                "path": APPLIED,
                "content": f"{letter}\n",
                "apply_command": ["cp", APPLIED, "/var/lib/faults/applied"],
                "on_change": "none",
            },
            {"path": SHARED, "json_keys": {"faults": {"letter": letter}}},
            {"path": UNIT_FILE, "content": _UNIT.format(letter=letter)},
            {"path": f"/etc/systemd/system/{SIDE}", "content": _SIDE_UNIT, "units": [SIDE]},
        ],
        "links": [{"path": f"{ETC}/current", "target": f"{letter}.d", "on_change": "none"}],
        "absent_paths": [f"/etc/faults-old-{letter}"],
        "units": [{"name": SERVICE}, {"name": SIDE, **side}],
        "ready": [{"unit": SERVICE, "http": "http://127.0.0.1:8099/", "timeout_s": ready_s}],
    }


def _settings(letter: str, more: dict[str, t.Any]) -> str:
    return json.dumps({"letter": letter, **more}) + "\n"


def asked() -> dict[str, t.Any]:
    """What the probe is asked for, the same in every state."""
    per_letter = [path.format(letter) for letter in "ab" for path in (f"{ETC}/{{}}.d", "/etc/faults-old-{}")]
    return {
        "paths": [
            *per_letter,
            *(f"{ETC}/{letter}.d/more.conf" for letter in "ab"),
            ETC,
            SETTINGS,
            APPLIED,
            "/var/lib/faults/applied",
            SHARED,
            UNIT_FILE,
            f"{ETC}/current",
        ],
        "units": [SERVICE, SIDE],
        "packages": ["faults", "faults-extra-1", "faults-extra-2"],
        "users": ["faults-a", "faults-b"],
    }


def expected(state: State) -> dict[str, t.Any]:
    """What the probe says of a host that is wholly in a state, its service included."""
    letter, version = dataclasses.astuple(state)
    gone = {"a": "b", "b": "a"}[letter]
    old_version = {"1": "2", "2": "1"}[version]
    me, root = f"faults-{letter}:faults-{letter}", "root:root"
    shared = SHARED_BEFORE.replace("\n}\n", f',\n  "faults": {{\n    "letter": "{letter}"\n  }}\n}}\n')
    return {
        "paths": {
            f"{ETC}/{letter}.d": ["directory", me, "0750"],
            f"{ETC}/{letter}.d/more.conf": ["file", root, "0644", f"more of {letter}\n"],
            f"/etc/faults-old-{letter}": None,
            f"{ETC}/{gone}.d": None,
            f"{ETC}/{gone}.d/more.conf": None,
            f"/etc/faults-old-{gone}": ["file", root, "0604", f"older {gone}\n"],
            ETC: ["directory", root, "0755"],
            SETTINGS: ["file", me, "0640", _settings(letter, {})],
            APPLIED: ["file", root, "0644", f"{letter}\n"],
            "/var/lib/faults/applied": ["file", root, "0644", f"{letter}\n"],
            SHARED: ["file", root, "0640", shared],
            UNIT_FILE: ["file", root, "0644", _UNIT.format(letter=letter)],
            f"{ETC}/current": ["link", root, f"{letter}.d"],
        },
        "units": {
            SERVICE: "active, enabled",
            SIDE: {"a": "active, enabled", "b": "inactive, disabled"}[letter],
        },
        "packages": {
            "faults": f"{version} hi",
            f"faults-extra-{version}": f"{version} ii",
            f"faults-extra-{old_version}": None,
        },
        "users": {f"faults-{letter}": True, f"faults-{gone}": False},
        "answer": {"settings": letter, "package": version, "user": f"faults-{letter}"},
        "left over": [],
        "dpkg says": "",
        "queued jobs": "",
    }
