# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Requirement sets in which every version is pinned and every file has its hash."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._errors import HostError
from . import markers

_MAKE = "make the set with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes`"
_COMMENT = re.compile(r"(^|\s+)#.*$")
_HASH = re.compile(r"\s--hash(?:=|\s+)(\S+)")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_PINNED = re.compile(
    r"(?P<name>[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?)\s*(?:\[(?P<extras>[A-Z0-9._,\s-]*)\])?"
    r"\s*==\s*(?P<version>[A-Z0-9.!+_-]+)\s*(?:;\s*(?P<marker>.+))?",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, order=True)
class Requirement:
    """One package: its canonical name, its version, and the files that may be it, each as ``sha256:HEX``."""

    name: str
    extras: tuple[str, ...]
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """As a requirements file has it. Two sets that mean the same have the same lines."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}=={self.version}{marker}{''.join(f' --hash={one}' for one in self.hashes)}"


def canonical(name: str) -> str:
    """The name of a package as all spellings of it have in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str) -> tuple[Requirement, ...]:
    """The requirements of a set, in order of their names. HostError, with the number of the line, for any other line.

    A line is not shown, since it may hold a password.
    """
    found = {_requirement(line, f"requirements, line {number}:") for number, line in _lines(text)}
    if not found:
        raise HostError(f"requirements name no package; {_MAKE}")
    return tuple(sorted(found))


def render(requirements: t.Iterable[Requirement]) -> str:
    """The text of a requirements file."""
    return "".join(f"{one.line}\n" for one in requirements)


def _lines(text: str) -> t.Iterator[tuple[int, str]]:
    """Logical lines without comments, with the number of their first line."""
    joined, start = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start if joined else number
        line = _COMMENT.sub("", line).rstrip()
        goes_on = line.endswith("\\")
        joined += f"{line[:-1] if goes_on else line} "
        if not goes_on:
            if joined.strip():
                yield start, joined.strip()
            joined = ""


def _requirement(line: str, where: str) -> Requirement:
    rest = _HASH.sub("", line).strip()
    option = re.search(r"(?:^|\s)(--?[A-Za-z][A-Za-z-]*)", rest)
    if option:
        raise HostError(f"{where} {option[1]} is an option of pip, and only packages are taken; {_advice(option[1])}")
    if "://" in rest or "@" in rest or rest.startswith((".", "/")):
        raise HostError(f"{where} a package by its address or path is not taken; name it as name==version")
    pinned = _PINNED.fullmatch(rest)
    if pinned is None:
        raise HostError(f"{where} {re.split('[^A-Za-z0-9._-]', rest)[0]} is not pinned as name==version; {_MAKE}")
    name, marker = canonical(pinned["name"]), " ".join((pinned["marker"] or "").split())
    hashes = {one.lower() for one in _HASH.findall(line)}
    if not hashes:
        raise HostError(f"{where} {name} has no --hash=sha256:...; {_MAKE}")
    if other := [one for one in sorted(hashes) if not _SHA256.fullmatch(one)]:
        raise HostError(f"{where} {name} has the hash {other[0]}, which is not sha256: and 64 hexadecimal digits")
    if marker:
        try:
            markers.check(marker)
        except HostError as exc:
            raise HostError(f"{where} {exc}") from None
    extras = {canonical(one.strip()) for one in (pinned["extras"] or "").split(",")} - {""}
    return Requirement(name, tuple(sorted(extras)), pinned["version"], marker, tuple(sorted(hashes)))


def _advice(option: str) -> str:
    if option in ("-i", "--index-url", "--extra-index-url"):
        return "give it as index_url or extra_index_urls, and make the set with --no-emit-index-url"
    if option in ("-f", "--find-links", "--no-index"):
        return "give the folder as wheels"
    if option in ("-r", "--requirement", "-c", "--constraint"):
        return "give one set that is complete"
    return "leave it out"
