# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Runs programs that load the GPUs, and reads the PCI Express links meanwhile: an idle GPU lowers its speed."""

from __future__ import annotations

import math
import time
import typing as t

from .._errors import HostError
from .._gpu.info import collect
from .._gpu.report import Report
from .._runner import Completed, Runner, Running

# A program that is interrupted stops what it has begun in a daemon; one that does not end then is killed.
_KILL_AFTER_S = 30
_TIMED_OUT = (124, 137)
_FIRST_READING_S = 1.0
_BETWEEN_READINGS_S = 5.0


class Load:
    """``generations`` are the highest that were seen, by PCI address; ``readings`` is how often it was read."""

    def __init__(
        self,
        run: Runner,
        *,
        stream: t.Callable[..., Running] = Running,
        read: t.Callable[[Runner], Report] = collect,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._stream, self._read, self.clock = run, stream, read, clock
        self.generations: dict[str, int] = {}
        self.readings = 0

    def __call__(self, *argv: str, timeout_s: float, is_load: bool = True) -> Completed:
        """As a Runner; the program is there. ``is_load``: it puts work on the links, so that they are read."""
        bound = ("timeout", "--signal=INT", f"--kill-after={_KILL_AFTER_S}", str(timeout_s))
        lines: list[bytes] = []
        reading_at = self.clock() + _FIRST_READING_S if is_load else math.inf
        with self._stream(*bound, *argv) as source:
            while (found := source.read(min(_BETWEEN_READINGS_S, max(0.0, reading_at - self.clock())))) is not None:
                lines += found
                if self.clock() >= reading_at:
                    self._read_links()
                    reading_at = self.clock() + _BETWEEN_READINGS_S
            done = source.completed()
        text = b"\n".join([*lines, source.rest]).decode("utf-8", "replace")
        return Completed(argv, done.rc, text, done.stderr, timed_out=done.rc in _TIMED_OUT)

    def _read_links(self) -> None:
        try:
            gpus = self._read(self._run).gpus
        except HostError:  # the test that runs says what is wrong
            return
        self.readings += 1
        for gpu in gpus:
            if gpu.pci_address and gpu.pcie_generation:
                known = self.generations.get(gpu.pci_address, 0)
                self.generations[gpu.pci_address] = max(known, gpu.pcie_generation)
