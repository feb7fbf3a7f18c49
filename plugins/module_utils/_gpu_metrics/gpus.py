# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The GPUs, read again and again: one nvidia-smi that goes on, and amd-smi once per interval."""

from __future__ import annotations

import collections
import dataclasses
import time
import typing as t

from .._errors import CommandError, HostError
from .._gpu import info
from .._gpu.report import Report
from .._gpu.types import Gpu
from .._runner import NOT_FOUND, Completed, Runner, Running
from . import amd, nvidia
from .reading import Reading

QUERY = ("nvidia-smi", "-q", "-x")
_END = b"</nvidia_smi_log>"
# A tenth of a document; nobody reads it here.
_SKIPPED = b"supported_clocks>"
_AMD = tuple(("amd-smi", part, "--json") for part in ("list", "static", "metric"))
# What does not change with each interval is asked again after so many.
_KEPT = 20
# nvidia-smi is begun anew once a day: what it says on standard error is kept in a file meanwhile.
_RENEW_S = 86400
_TIMEOUT_S = 30


@dataclasses.dataclass(frozen=True)
class Gpus:
    """``listed`` is how many of them a driver offers; ``readings`` are by PCI address."""

    report: Report
    listed: int
    readings: t.Mapping[str, Reading]


class NvidiaSmi:
    """``nvidia-smi -q -x -l SECONDS``, document by document."""

    def __init__(self, interval_s: int, stream: t.Callable[..., Running] = Running) -> None:
        self._argv = (*QUERY, "-l", str(interval_s))
        self._patience_s = 2 * interval_s + 5
        self._stream = stream
        self._running: Running | None = None
        self._begun = 0.0
        self._lines: collections.deque[bytes] = collections.deque()

    @property
    def is_running(self) -> bool:
        return self._running is not None

    def next(self) -> Completed:
        """What a call without ``-l`` would have printed. It is begun anew after it has ended, or was silent for two
        intervals, which is a call that did not end in time."""
        if self._running is None or time.monotonic() - self._begun > _RENEW_S:
            self.end()
            try:
                self._running = self._stream(*self._argv).__enter__()
            except HostError:
                return Completed(QUERY, NOT_FOUND, "", f"{QUERY[0]}: command not found")
            self._begun = time.monotonic()
        document, is_skipped, until = [], False, time.monotonic() + self._patience_s
        while True:
            while self._lines:
                line = self._lines.popleft()
                if line.strip() in (b"<" + _SKIPPED, b"</" + _SKIPPED):
                    is_skipped = not line.strip().startswith(b"</")
                elif not is_skipped:
                    document.append(line)
                if _END in line:
                    return Completed(QUERY, 0, _text(document), "")
            left_s = until - time.monotonic()
            lines = self._running.read(left_s) if left_s > 0 else []
            if lines is None:
                done = self._running.completed()
                self.end()
                return Completed(QUERY, done.rc, _text(document), done.stderr)
            if not lines and time.monotonic() >= until:
                self.end()
                return Completed(QUERY, 124, "", "", timed_out=True)
            self._lines.extend(lines)

    def end(self) -> None:
        """It may wait for a driver that hangs, as long as the driver does."""
        running, self._running = self._running, None
        self._lines.clear()
        if running is not None:
            running.__exit__(None, None, None)


class Source:
    """``run`` starts what is no nvidia-smi that goes on. ``wait`` sleeps, or ends early when the service does."""

    def __init__(
        self,
        interval_s: int,
        *,
        run: Runner,
        wait: t.Callable[[float], object],
        stream: t.Callable[..., Running] = Running,
        sysfs_root: str = "/sys",
    ) -> None:
        self._interval_s, self._run, self._wait, self._sysfs = interval_s, run, wait, sysfs_root
        self._smi = NvidiaSmi(interval_s, stream)
        self._pause_s = 0.0
        self._kept: dict[tuple[str, ...], tuple[int, Completed]] = {}
        self._round = 0
        self._seen: dict[str, Gpu] = {}

    def read(self) -> Gpus:
        """The next answer, for which it waits. CommandError when a tool hangs or does not tell everything."""
        self._wait(self._pause_s)
        document = self._smi.next()
        # Never more than a call per interval, which is what others make.
        grown = min(max(1.0, 2 * self._pause_s), self._interval_s)
        self._pause_s = 0 if self._smi.is_running else self._interval_s if _is_missing(document) else grown
        self._round += 1
        try:
            report = self._collect(document)
        except CommandError:
            # What was kept may be of a MIG layout that is gone.
            self._kept.clear()
            if document.rc or document.timed_out:
                raise
            report = self._collect(document)
        return self._named(report, {**_nvidia(document), **self._amd()})

    def _collect(self, document: Completed) -> Report:
        def answer(*argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
            if argv == QUERY:
                return document
            asked_in, kept = self._kept.get(argv, (0, None))
            if kept is None or argv == _AMD[-1] or self._round - asked_in >= _KEPT:
                kept = self._run(*argv, timeout_s=timeout_s, stdin=stdin)
                self._kept[argv] = self._round, kept
            return kept

        return info.collect(answer, sysfs_root=self._sysfs, timeout_s=_TIMEOUT_S)

    def _amd(self) -> dict[str, Reading]:
        told = [self._kept[argv][1] for argv in _AMD if argv in self._kept]
        return amd.readings(*told) if len(told) == len(_AMD) else {}

    def _named(self, report: Report, readings: t.Mapping[str, Reading]) -> Gpus:
        """A GPU that is lost keeps the UUID by which it is known."""
        listed = [gpu for gpu in report.gpus if gpu.uuid or gpu.name]
        self._seen.update({gpu.pci_address: gpu for gpu in listed if gpu.pci_address})
        named = []
        for gpu in report.gpus:
            before = None if gpu in listed else self._seen.get(gpu.pci_address or "")
            named.append(dataclasses.replace(gpu, uuid=before.uuid, name=before.name) if before else gpu)
        return Gpus(dataclasses.replace(report, gpus=tuple(named)), len(listed), readings)


def _nvidia(document: Completed) -> dict[str, Reading]:
    """Of a GPU that was asked for alone, beside one that is lost, there is no document."""
    return nvidia.readings(document.stdout) if _END.decode() in document.stdout else {}


def _is_missing(document: Completed) -> bool:
    return document.rc == NOT_FOUND


def _text(lines: t.Iterable[bytes]) -> str:
    return "".join(f"{line.decode('utf-8', 'replace')}\n" for line in lines)
