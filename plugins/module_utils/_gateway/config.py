# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is read of HAProxy's files before HAProxy reads them: what ``haproxy -c`` does not look at."""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t

_PATH = re.compile(r"(?<![\w./-])/(?:[\w.@+-]+/)*[\w.@+-]+")
_PORTS = re.compile(r"(\d+)(?:-(\d+))?")
_BOUND = re.compile(r"(\d+)s")
# Sockets that are no addresses of the host.
_OTHER = ("unix@", "abns@", "abnsz@", "fd@", "sockpair@", "/")
_SECTIONS = ("frontend", "listen", "backend")


@dataclasses.dataclass(frozen=True)
class Bind:
    """One address and port that a frontend binds. An empty address is every one, of IPv4; ``::`` that of IPv6."""

    address: str
    port: int
    where: str

    @property
    def text(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address or '*'}:{self.port}"


@dataclasses.dataclass(frozen=True)
class Config:
    """``unknown``: sentences about binds that are not understood. ``servers``: (address, port) by (backend, name).
    ``paths``: absolute ones, of whatever. ``certificates``: files or folders. ``hard_stop_s``: when a worker that stops
    has ended at the latest, None where that is not said in seconds."""

    binds: tuple[Bind, ...]
    unknown: tuple[str, ...]
    servers: t.Mapping[tuple[str, str], tuple[str, str]]
    paths: tuple[str, ...]
    certificates: tuple[str, ...]
    hard_stop_s: int | None = None


def parse(texts: t.Mapping[str, str]) -> Config:
    """Of files by path, in the order in which HAProxy reads them."""
    binds: list[Bind] = []
    unknown: list[str] = []
    servers: dict[tuple[str, str], tuple[str, str]] = {}
    paths: list[str] = []
    certificates: list[str] = []
    hard_stop_s = None
    for path, text in texts.items():
        section = ""
        for number, line in enumerate(text.splitlines(), start=1):
            words = _words(line)
            if not words:
                continue
            paths += _PATH.findall(line)
            if not line[:1].isspace():
                section = words[1] if words[0] in _SECTIONS and len(words) > 1 else ""
            elif words[0] == "bind" and section and len(words) > 1:
                for address in words[1].split(","):
                    try:
                        binds += _bind(address, f"{path}, line {number}")
                    except ValueError as exc:
                        unknown.append(str(exc))
                certificates += [value for name, value in zip(words, words[1:]) if name == "crt"]
            elif words[0] == "server" and section and len(words) > 2:
                servers[section, words[1]] = _split(words[2])
            elif words[0] == "hard-stop-after" and len(words) > 1:
                bound = _BOUND.fullmatch(words[1])
                hard_stop_s = int(bound[1]) if bound else None
    return Config(
        tuple(binds),
        tuple(unknown),
        servers,
        tuple(dict.fromkeys(paths)),
        tuple(dict.fromkeys(certificates)),
        hard_stop_s,
    )


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        # Quotes that span more than is known here; HAProxy says what it thinks of them.
        return line.split()


def _bind(text: str, where: str) -> t.Iterator[Bind]:
    if text.startswith(_OTHER):
        return
    family, at, rest = text.rpartition("@")
    address, port = _split(rest)
    ports = _PORTS.fullmatch(port)
    if not ports or family not in ("", "ipv4", "ipv6"):
        raise ValueError(f"{text} ({where}) cannot be checked before: write an address and a port")
    if address in ("", "*"):
        address = "::" if family == "ipv6" else ""
    for one in range(int(ports[1]), int(ports[2] or ports[1]) + 1):
        yield Bind(address, one, where)


def _split(text: str) -> tuple[str, str]:
    """Address and port, without the brackets of IPv6."""
    address, _colon, port = text.rpartition(":")
    return address.removeprefix("[").removesuffix("]"), port
