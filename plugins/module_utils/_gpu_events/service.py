# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Follows the kernel log, and writes what it says of GPUs to the journal and for Prometheus.

What survives: the state holds the place up to which all is written. Before events are written they are in the state
as the intent; who starts after a kill finds there what was to be written, and in the journal what has been. So none is
lost and none is written twice. Where the state is lost, the newest event in the journal has the place.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import time
import typing as t

from .. import _text_file
from .._errors import HostError
from .._runner import Runner, Running, must
from . import journal, state, uuids
from .fields import IDENTIFIER, count, exposition, fields
from .fold import MOST, QUIET_US, Batch, Counted
from .parse import Parser

STATE_DIR = "/var/lib/mlops-gpu-events"
STATE_FILE, TEXTFILE = "state.json", "gpu_events.prom"
SAVE_EVERY_S = 60
# A fault of hardware that is new does not wait for the end of a storm.
URGENT_S = 3
# A driver that hangs is not asked again at once.
ASK_EVERY_S = 60
_ASK_S, _BARRIER_S = 8, 30


class Service:
    """``window_s``: that of a batch; ``root``: where /proc is looked for."""

    def __init__(
        self,
        *,
        state_dir: str = STATE_DIR,
        window_s: float,
        run: Runner,
        stream: t.Callable[..., Running] = Running,
        to: journal.Journal | None = None,
        root: str = "",
    ) -> None:
        self._state_file = os.path.join(state_dir, STATE_FILE)
        self._textfile = os.path.join(state_dir, TEXTFILE)
        self._window_s, self._run, self._stream, self._root = window_s, run, stream, root
        self._journal = to or journal.Journal()
        self._state = state.State()
        self._parser = Parser()
        self._batch = Batch(window_s)
        self._begun = self._last = self._saved = 0.0
        self._urgent: float | None = None
        self._told: dict[object, float] = {}
        self._asked: float | None = None
        self._cursor = ""
        self._source: Running | None = None
        self._stopping = False

    def stop(self) -> None:
        """Safe in a signal handler: what is in memory is written, and follow() ends."""
        self._stopping = True
        if self._source is not None:
            self._source.end()

    def follow(self) -> None:
        """Until stop(). HostError when journalctl ends by itself, OSError when something cannot be written."""
        self._begin()
        begin = [f"--cursor={self._state.cursor}"] if self._state.cursor else ["--boot"]
        argv = journal.argv("--follow", "--no-tail", f"--output-fields={journal.FIELDS}", *begin, *journal.matches())
        first = journal.place(self._state.cursor).entry if self._state.cursor and self._state.inclusive else None
        ended = ""
        with self._stream(*argv) as self._source:
            while not self._stopping:
                lines = self._source.read(QUIET_US / 1_000_000 if len(self._batch) else SAVE_EVERY_S)
                if lines is None:
                    ended = "" if self._stopping else self._source.completed().last_words
                    break
                for raw in lines:
                    if first is not None:
                        found, first = journal.place(str(journal.entry(raw)["__CURSOR"])).entry == first, None
                        if found:
                            continue
                    self._take(raw)
                self._write_in_time()
        if not self._stopping:
            raise HostError(f"journalctl must go on while the service runs, and has ended: {ended}")
        self._commit()
        self._save()

    def _begin(self) -> None:
        self._state = self._read_state()
        self._parser = Parser(dict(self._state.uuids))
        self._finish()
        self._parser.uuids.update(uuids.bounded(lambda: uuids.read(self._run, (), root=self._root), timeout_s=_ASK_S))
        self._look_for_gap()
        self._cursor = self._state.cursor
        self._store()
        self._export()

    def _read_state(self) -> state.State:
        lost = ""
        try:
            with open(self._state_file, encoding="utf-8") as file:
                return state.parsed(file.read())
        except FileNotFoundError:
            pass
        except HostError as exc:
            lost = f"{self._state_file} is {exc}: counters begin anew"
        found = self._own("--reverse", "--lines=1", "--output-fields=MLOPS_GPU_EVENTS_CURSOR", "MLOPS_GPU_EVENT=1")
        if lost:
            self._say(4, lost)
        return state.State(cursor=str(found[0]["MLOPS_GPU_EVENTS_CURSOR"]) if found else "")

    def _own(self, *more: str) -> list[dict[str, t.Any]]:
        """Entries that this user has written: anybody can write the other fields."""
        done = self._run(*journal.argv(*more, f"_UID={os.geteuid()}", f"SYSLOG_IDENTIFIER={IDENTIFIER}"))
        if done.rc != 1 or done.stderr:  # with 1 and no words there are no entries
            must(done, "the journal could not be read")
        return [journal.entry(line) for line in done.stdout.splitlines()]

    def _finish(self) -> None:
        """Write what an earlier process was about to write, and had not."""
        if not self._state.intent:
            return
        # journald takes entries in their order: once it has this one, it has all that came before.
        token = secrets.token_hex(16)
        self._say(6, "Stopped while it wrote events: the rest is written now", MLOPS_GPU_EVENTS_BARRIER=token)
        until = time.monotonic() + _BARRIER_S
        while not self._own(f"MLOPS_GPU_EVENTS_BARRIER={token}"):
            if time.monotonic() > until:
                raise HostError(f"journald must store an entry within {_BARRIER_S} s, and has not: is it running?")
            time.sleep(0.2)
        ids = [f"MLOPS_GPU_EVENT_ID={counted.id}" for counted in self._state.intent]
        there = {one.get("MLOPS_GPU_EVENT_ID") for one in self._own("--output-fields=MLOPS_GPU_EVENT_ID", *ids)}
        self._write([counted for counted in self._state.intent if counted.id not in there])

    def _look_for_gap(self) -> None:
        """Say what was removed from the journal before it was read."""
        if not self._state.cursor:
            return
        with self._stream(*journal.argv("--output-fields=_BOOT_ID", f"--cursor={self._state.cursor}")) as source:
            lines: list[bytes] | None = []
            while lines == []:
                lines = source.read(_BARRIER_S)
        last = journal.place(self._state.cursor)
        if lines is None:
            self._say(4, f"The journal no longer has what came {_since(last)}: GPU events in it were not seen")
            return
        there = journal.place(str(journal.entry(lines[0])["__CURSOR"]))
        if there.entry == last.entry:
            return
        lost = there.number - last.number - 1 if there.series == last.series else None
        if lost == 0:
            return
        self._say(
            4,
            f"The journal no longer has {'entries' if lost is None else f'{lost} entries'} (of all programs) from "
            f"{_since(last)} until {_time(there)}: GPU events among them were not seen",
            MLOPS_GPU_EVENTS_SKIPPED="unknown" if lost is None else lost,
        )
        # Once is enough. This entry is not read yet.
        self._state = dataclasses.replace(
            self._state, cursor=there.cursor, inclusive=False, skipped=self._state.skipped + (lost or 0)
        )

    def _take(self, raw: bytes) -> None:
        line = journal.line(raw)
        event = self._parser.read(line.text)
        if event is not None:
            if not self._batch.takes(line.time_us):
                self._commit()
            now = time.monotonic()
            self._begun, self._last = (self._begun if len(self._batch) else now), now
            self._batch.add(event, line)
            if event.is_hardware_fault and self._urgent is None and event.key not in self._told:
                self._urgent = now
        self._cursor = line.cursor

    def _write_in_time(self) -> None:
        now = time.monotonic()
        if len(self._batch):
            is_urgent = self._urgent is not None and now - self._urgent >= URGENT_S
            if is_urgent or now - self._last >= QUIET_US / 1_000_000 or now - self._begun >= self._window_s:
                self._commit()
        elif now - self._saved >= SAVE_EVERY_S:
            self._save()

    def _commit(self) -> None:
        if not len(self._batch):
            return
        events = self._named(self._batch.events)
        self._batch, self._urgent, now = Batch(self._window_s), None, time.monotonic()
        # What is told again within the window is not new; at most that of this batch and of one before are remembered.
        lately = {key: when for key, when in self._told.items() if now - when < self._window_s}
        told: dict[object, float] = {counted.event.key: now for counted in events if counted.event.is_hardware_fault}
        self._told = {**(lately if len(lately) <= MOST else {}), **told}
        self._state = dataclasses.replace(
            self._state, intent=events, intent_cursor=self._cursor, uuids=dict(self._parser.uuids)
        )
        self._store()
        self._write(events)

    def _write(self, events: t.Iterable[Counted]) -> None:
        """Events of the intent, and then all of it is written."""
        for counted in events:
            self._journal.write({**fields(counted), "MLOPS_GPU_EVENTS_CURSOR": self._state.intent_cursor})
        self._state = dataclasses.replace(
            self._state,
            cursor=self._state.intent_cursor,
            inclusive=True,
            intent=(),
            counters=count(self._state.counters, self._state.intent),
        )
        self._store()
        self._export()

    def _named(self, events: tuple[Counted, ...]) -> tuple[Counted, ...]:
        """With the UUIDs of their GPUs, as far as the driver tells them."""
        known = self._parser.uuids
        asked = {
            counted.event.pci_address
            for counted in events
            if counted.event.pci_address and counted.event.source in ("xid", "nvrm")
        }
        missing, now = {address for address in asked if address and address not in known}, time.monotonic()
        if missing and (self._asked is None or now - self._asked >= ASK_EVERY_S):
            self._asked = now
            known.update(uuids.bounded(lambda: uuids.read(self._run, missing, root=self._root), timeout_s=_ASK_S))
        return tuple(
            dataclasses.replace(
                counted,
                event=dataclasses.replace(
                    counted.event, gpu_uuid=counted.event.gpu_uuid or known.get(counted.event.pci_address or "")
                ),
            )
            for counted in events
        )

    def _save(self) -> None:
        """Where the reading is, when there is nothing to write; the file of Prometheus shows that the service runs."""
        if self._cursor != self._state.cursor:
            self._state = dataclasses.replace(
                self._state, cursor=self._cursor, inclusive=True, uuids=dict(self._parser.uuids)
            )
            self._store()
        self._saved = time.monotonic()
        self._export()

    def _store(self) -> None:
        _text_file.write(self._state_file, state.as_text(self._state), mode=0o600, durable=True)

    def _export(self) -> None:
        _text_file.write(self._textfile, exposition(self._state.counters, skipped=self._state.skipped), durable=True)

    def _say(self, priority: int, message: str, **more: object) -> None:
        self._journal.write({"MESSAGE": message, "PRIORITY": priority, "SYSLOG_IDENTIFIER": IDENTIFIER, **more})


def _time(place: journal.Place) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(place.time_us / 1_000_000))


def _since(place: journal.Place) -> str:
    return f"after {_time(place)}"
