# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Options that a unit gives to dockerd, and the keys of daemon.json that they stand for."""

from __future__ import annotations

import dataclasses
import glob
import os.path
import re
import shlex
import typing as t

# Flags whose key is not their own name; dockerd refuses both at once.
_KEYS = {
    "H": "hosts",
    "host": "hosts",
    "D": "debug",
    "g": "data-root",
    "graph": "data-root",
    "G": "group",
    "l": "log-level",
    "s": "storage-driver",
    "b": "bridge",
    "p": "pidfile",
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "default-address-pool": "default-address-pools",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
# The first one that has a file of a name counts.
_PLACES = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?\Z")


@dataclasses.dataclass(frozen=True)
class Flag:
    """``key`` is the key of daemon.json, ``source`` the file that has the flag, None when no file was found to."""

    key: str
    flag: str
    source: str | None


def unit_files(unit: str, root: str = "/") -> list[str]:
    """The files that make the unit what it will be after a restart, in their order.

    systemd itself tells of drop-ins as of the last daemon-reload only.
    """
    places = [os.path.join(root, place) for place in _PLACES]
    fragment = next((f"{place}/{unit}" for place in places if os.path.exists(f"{place}/{unit}")), None)
    drop_ins: dict[str, str] = {}
    for place in reversed(places):
        drop_ins.update({os.path.basename(path): path for path in glob.glob(f"{place}/{unit}.d/*.conf")})
    return [*([fragment] if fragment else []), *(drop_ins[name] for name in sorted(drop_ins))]


def read(files: t.Iterable[str], text_of: t.Callable[[str], str]) -> list[Flag]:
    """The options that the unit made of these files gives."""
    command: list[str] = []
    environment: dict[str, str] = {}
    sources: list[tuple[str, str]] = []
    for path in files:
        text = re.sub(r"^\s*[#;].*$", "", text_of(path).replace("\\\n", " "), flags=re.MULTILINE)
        sources.append((path, text))
        for name, value in re.findall(r"^\s*(ExecStart|Environment|EnvironmentFile)\s*=(.*)$", text, re.MULTILINE):
            value = value.strip()
            if name == "ExecStart":
                command = _split(value) or []
            elif name == "Environment":
                environment.update(word.partition("=")[::2] for word in _split(value))
            elif value:
                told = text_of(value.lstrip("-"))
                sources.append((value.lstrip("-"), told))
                environment.update(_variables(told))
    words: list[str] = []
    for word in command:
        variable = _VARIABLE.match(word)
        words += _split(environment.get(variable.group(1), "")) if variable else [word]
    found = []
    for word in words[1:]:
        name = word.partition("=")[0]
        if re.match(r"--\w|-\w", name):
            name = name if name.startswith("--") else name[:2]
            key = _KEYS.get(name.lstrip("-"), name.lstrip("-"))
            # The last file that has it is the one that counts.
            holders = [path for path, text in sources if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]
            found.append(Flag(key, name, holders[-1] if holders else None))
    return found


def _variables(text: str) -> dict[str, str]:
    """Of an environment file."""
    found = re.findall(r"^\s*(\w+)=(.*?)\s*$", text, re.MULTILINE)
    return {name: value.strip("\"'") for name, value in found}


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
