# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The flags and variables that server programs document, as ``tools/engine_flags.py`` writes them."""

from __future__ import annotations

import dataclasses
import functools
import pathlib


@dataclasses.dataclass(frozen=True)
class Flags:
    """Those of an engine, read when an instance of it is: every task is a fork of what loads this."""

    engine: str

    @functools.cached_property
    def _lines(self) -> list[str]:
        return (pathlib.Path(__file__).parent / f"{self.engine}.txt").read_text().splitlines()

    @property
    def version(self) -> str:
        """The program and its version."""
        return self._lines[0].removeprefix("# ").partition(",")[0]

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Of flags, with their dashes, and of variables."""
        return frozenset(self._lines[1:])

    def meant(self, word: str) -> str:
        """The flag that a word of a command line means, without its value; programs take underscores for dashes."""
        name, _equals, _value = word.partition("=")
        return name.replace("_", "-") if name.startswith("--") else name

    def completed(self, name: str) -> str:
        """The flag that begins so, where it is one alone: so argparse and getopt take them."""
        full = [flag for flag in self.names if flag.startswith(name)] if name.startswith("--") else []
        return full[0] if len(full) == 1 else name
