# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""How pip is run, and what it means by what it says."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._errors import CommandError, HostError
from .._runner import Completed

# How pip reaches an index, whichever it is.
_CONNECTION = {"PIP_CERT", "PIP_CLIENT_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_PROXY", "PIP_TIMEOUT", "PIP_TRUSTED_HOST"}
# Which indexes the host itself has.
_SOURCES = {"PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_NO_INDEX"}
_CONFLICT = re.compile(r"^The conflict is caused by:\n((?:    .*\n)+)", re.MULTILINE)
_INDEXES = re.compile(r"^Looking in (?:indexes|links): (.+)$", re.MULTILINE)
# What pip says, in the order in which it counts, and what it means.
_MEANINGS = (
    (r"No space left on device|Disk quota exceeded", "the disk is full; make room, and run again"),
    (
        r"DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE(?:.*\n)+?    (?P<name>\S+) from (?:.*\n)+?"
        r" +Expected sha256 (?P<expected>\w+)(?:.*\n)+? +Got +(?P<got>\w+)",
        "{name} has the sha256 {got}, and none that the set has, such as {expected}; find out who changed it before "
        "the new hash is taken",
    ),
    (
        r"In --require-hashes mode, all requirements must.*\n    (?P<name>\S+) from .*\(from (?P<by>.+?)(?:->|\))",
        "the set is not complete: {by} needs {name}, which is not in it",
    ),
    (
        r"Hashes are required in --require-hashes mode(?:.*\n)+?    (?P<name>\S+?)(?: --hash|\s)",
        "the set is not complete: something in it needs {name}, which is not in it",
    ),
    (r"have conflicting dependencies", "its packages are in conflict: {conflict}"),
    (r"40[13] (?:Client )?Error|Credentials not correct", "{indexes} does not take the login, or needs one"),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "{indexes} shows a certificate that this host does not trust; add its authority to the host's, or name it by "
        "PIP_CERT",
    ),
    (
        r"(?P<host>\S+) is not a trusted or secure host",
        "{host} has no TLS, which pip takes from this host itself alone; give it some",
    ),
    (
        r"(?:Connection|NameResolution|Protocol|Proxy|Timeout)Error|Read timed out|Network is unreachable",
        "{indexes} cannot be reached",
    ),
    (
        r"Package '(?P<name>[^']+)' requires a different Python: (?P<have>\S+) not in '(?P<needs>[^']+)'",
        "{name} needs Python {needs}, and this is {have}",
    ),
    # A login that is missing looks like this, too.
    (
        r"satisfies the requirement (?P<name>[^\s;]+).* \(from versions: none\)",
        "{indexes} has no {name}, or does not show it to this host, its Python and its login",
    ),
    (
        r"No matching distribution found for (?P<name>[^\s;]+)",
        "{indexes} has no {name} for this Python and machine; versions that it has: {versions}",
    ),
    (r"Wheel '(?P<name>[^']+)' located at \S+ is invalid", "the wheel of {name} is broken"),
)


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where packages come from. Nothing: from where the host's own configuration of pip says."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    wheels: str | None = None

    def check(self) -> None:
        """HostError for what cannot be a source."""
        if self.extra_index_urls and not self.index_url:
            raise HostError("extra_index_urls are taken beside an index_url only; name that, too")
        for name, url in (("index_url", self.index_url), *(("extra_index_urls", one) for one in self.extra_index_urls)):
            if url is not None and not re.fullmatch(r"(?:https?|file)://\S+", url):
                raise HostError(f"{name} must be an address that begins with https://, without blanks")

    @property
    def configuration(self) -> str | None:
        """Text of a configuration file for pip, which counts before those of the host. None where these count alone.

        The addresses are not given as arguments, since everybody can read those, and they may hold a password.
        """
        if not self.index_url and not self.wheels:
            return None
        index = f"index-url = {self.index_url}\n" if self.index_url else ""
        # An empty value is how the host's own is taken back.
        return f"[global]\n{index}extra-index-url = {' '.join(self.extra_index_urls)}\nfind-links =\nno-index = false\n"


@dataclasses.dataclass(frozen=True)
class Work:
    """The folder of an environment in which it is built, which goes before the environment is complete."""

    path: str

    @property
    def tool(self) -> str:
        """An environment that has a pip: the one that is built has none, so that it holds its set and nothing else."""
        return f"{self.path}/tool"

    @property
    def temporary(self) -> str:
        return f"{self.path}/tmp"

    @property
    def home(self) -> str:
        return f"{self.path}/home"

    @property
    def configuration(self) -> str:
        return f"{self.path}/pip.conf"

    @property
    def requirements(self) -> str:
        return f"{self.path}/requirements.txt"

    def environment(self, sources: Sources, variables: t.Mapping[str, str]) -> tuple[str, ...]:
        """What env(1) starts pip with. Of the variables that pip reads, those stay that say how to reach an index."""
        own = sources.configuration is not None
        kept = _CONNECTION if own else {*_CONNECTION, *_SOURCES}
        dropped = sorted(name for name in variables if name.startswith("PIP_") and name not in kept)
        given = {"TMPDIR": self.temporary, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        if own:
            given |= {"HOME": self.home, "PIP_CONFIG_FILE": self.configuration}
        return (
            "env",
            *(word for name in dropped for word in ("-u", name)),
            *(f"{name}={value}" for name, value in given.items()),
        )

    def install(self, sources: Sources, *, only_binary: bool, complete: bool, retries: int) -> tuple[str, ...]:
        """Arguments of pip."""
        return (
            "install",
            "--require-hashes",
            "--no-cache-dir",
            "--progress-bar=off",
            f"--retries={retries}",
            *(["--only-binary=:all:"] if only_binary else []),
            *([] if complete else ["--no-deps"]),
            *(["--no-index", f"--find-links={sources.wheels}"] if sources.wheels else []),
            f"--requirement={self.requirements}",
        )


def failure(name: str, done: Completed, *, timeout_s: float) -> CommandError:
    """What pip meant, in one sentence."""
    text = f"{done.stderr}\n{done.stdout}"
    what = f"the packages of the environment {name} cannot be installed"
    if done.timed_out:
        return CommandError(f"{what}: that was not done within {timeout_s:g} s; raise timeout_s", done)
    indexes = _INDEXES.search(text)
    conflict = _CONFLICT.search(text)
    versions = re.search(r"\(from versions: (.*)\)", text)
    words = {
        "indexes": indexes[1] if indexes else "the index",
        "conflict": "; ".join(line.strip() for line in conflict[1].splitlines())
        if conflict
        else "pip does not say how",
        "versions": versions[1] if versions else "none",
    }
    for pattern, meaning in _MEANINGS:
        found = re.search(pattern, text)
        if found:
            return CommandError(f"{what}: {meaning.format(**words, **found.groupdict())}", done)
    return CommandError(f"{what}: pip exited with status {done.rc}: {done.last_words}", done)


def program(tool: str, version: str) -> str:
    """The folder of pip in an environment, which any Python runs as a program."""
    return os.path.join(tool, "lib", f"python{version}", "site-packages", "pip")
