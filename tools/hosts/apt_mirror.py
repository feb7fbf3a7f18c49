# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian mirror that this machine uses, so that test hosts use it too. No mirror is written down anywhere."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# A frozen mirror is read with these off; a host that reads the same mirror needs the same.
COPIED_SETTINGS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")


@dataclasses.dataclass(frozen=True)
class Source:
    """One line of apt's sources, or one stanza."""

    uri: str
    suites: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Mirror:
    """Where Debian comes from on this machine."""

    main: str
    security: str | None
    settings: tuple[str, ...]

    def stanzas(self, suite: str) -> str:
        """Apt sources (deb822) for a host of this suite, with the pockets that the mirror has."""
        pockets = [suite] + [name for name in (f"{suite}-updates",) if has_suite(self.main, name)]
        text = _stanza(self.main, pockets)
        if self.security and has_suite(self.security, f"{suite}-security"):
            text += "\n" + _stanza(self.security, [f"{suite}-security"])
        return text


@functools.cache
def machine_mirror(etc: Path = Path("/etc")) -> Mirror | None:
    """The mirror in this machine's apt sources; None where the machine is no Debian."""
    codename = _os_release(etc).get("VERSION_CODENAME") if _os_release(etc).get("ID") == "debian" else None
    if not codename:
        return None
    sources = list(_sources(etc / "apt"))
    main = next((s.uri for s in sources if codename in s.suites), None)
    security = next((s.uri for s in sources if f"{codename}-security" in s.suites), None)
    return Mirror(main=main, security=security, settings=_settings()) if main else None


def has_suite(uri: str, suite: str) -> bool:
    """Whether the mirror answers for this suite."""
    try:
        with urllib.request.urlopen(f"{uri}/dists/{suite}/InRelease", timeout=10) as answer:
            return bool(answer.read(64))
    except (urllib.error.URLError, OSError):
        return False


def _stanza(uri: str, suites: list[str]) -> str:
    return f"Types: deb\nURIs: {uri}\nSuites: {' '.join(suites)}\nComponents: main\nSigned-By: {KEYRING}\n"


def _os_release(etc: Path) -> dict[str, str]:
    try:
        lines = (etc / "os-release").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


def _sources(apt: Path) -> Iterator[Source]:
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        if path.exists():
            yield from _one_line(path.read_text())
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _deb822(path.read_text())


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        if len(words) > 1 and words[1].startswith("["):
            closing = next(i for i, word in enumerate(words) if word.endswith("]"))
            words = [words[0], *words[closing + 1 :]]
        if len(words) >= 3:
            yield Source(uri=words[1].rstrip("/"), suites=(words[2],))


def _deb822(text: str) -> Iterator[Source]:
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            for uri in fields.get("uris", "").split():
                yield Source(uri=uri.rstrip("/"), suites=tuple(fields.get("suites", "").split()))


def _settings() -> tuple[str, ...]:
    if not shutil.which("apt-config"):
        return ()
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return tuple(line for line in dump.splitlines() if line.split(" ", 1)[0] in COPIED_SETTINGS)
