# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service on a simulated journal: what it writes, and what becomes of that when it is killed at any step."""

from __future__ import annotations

import collections
import contextlib
import json
import os

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils import _text_file
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_events import journal, service
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

UUID = "GPU-b6c3b2be-0000-4000-8000-fa0e00000091"
SMI = f'<nvidia_smi_log><gpu id="00000000:91:00.0"><uuid>{UUID}</uuid></gpu></nvidia_smi_log>'


class Killed(BaseException):
    """As kill -9: nothing of the process runs after it."""


class SimulatedJournal:
    """Entries by number. What is written is there after the next question only, as journald is another process."""

    def __init__(self):
        self.entries, self.written, self.first, self.asked = [], [], 0, []
        self.in_parts = False
        self.smi = Completed(("nvidia-smi",), 0, SMI, "")

    def add(self, text, time_us, **fields):
        number = len(self.entries)
        cursor = f"s={'a' * 32};i={number + 1:x};b={'b' * 32};m=1;t={time_us:x};x={number:x}"
        at = {"__CURSOR": cursor, "__REALTIME_TIMESTAMP": str(time_us), "MESSAGE": text, "_BOOT_ID": "b" * 32}
        self.entries.append({**at, **fields})

    def write(self, fields):
        self.written.append({name: str(value) for name, value in fields.items() if value is not None})

    def arrive(self):
        written, self.written = self.written, []
        for fields in written:
            self.add(fields["MESSAGE"], 9_000_000_000_000_000, **{**fields, "_UID": str(os.geteuid())})

    def run(self, *argv, timeout_s=None, stdin=None):
        self.asked.append(argv)
        if argv[0] == "nvidia-smi":
            return self.smi
        found = self.select(argv)
        self.arrive()
        return Completed(argv, 0, "".join(json.dumps(entry) + "\n" for entry in found), "")

    def select(self, argv):
        matches = collections.defaultdict(set)
        for one in argv[1:]:
            if not one.startswith("-"):
                name, _, value = one.partition("=")
                matches[name].add(value)
        kernel = matches.pop("_TRANSPORT", None)
        at = [one.partition("=")[2] for one in argv if one.startswith("--cursor=")]
        begin = journal.place(at[0]).number - 1 if at else 0
        found = [
            entry
            for number, entry in enumerate(self.entries)
            if number >= max(begin, self.first)
            and (not kernel or "SYSLOG_IDENTIFIER" not in entry)
            and all(entry.get(name) in values for name, values in matches.items())
        ]
        if "--reverse" in argv:
            found.reverse()
        return found[:1] if "--lines=1" in argv else found

    def events(self):
        self.arrive()
        return [entry for entry in self.entries if entry.get("MLOPS_GPU_EVENT") == "1"]

    def counts(self):
        found = collections.Counter()
        for event in self.events():
            found[event.get("XID")] += int(event["COUNT"])
        return found


class SimulatedStream:
    """``at_end`` is what happens when all has been read."""

    def __init__(self, of, argv, at_end):
        self.argv, self._of, self._at_end, self._done = argv, of, at_end, False
        self._rest = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def end(self):
        pass

    def read(self, _timeout_s):
        if self._done:
            return None
        if self._of.in_parts and "--follow" in self.argv:
            self._rest = self._rest if self._rest is not None else self._of.select(self.argv)
            if self._rest:
                return [json.dumps(self._rest.pop(0)).encode()]
        self._done = True
        lines = [json.dumps(entry).encode() for entry in self._of.select(self.argv)]
        if "--follow" in self.argv:
            self._at_end()
        return lines or None

    def completed(self):
        return Completed(self.argv, 1, "", "Failed to open the journal")


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(service.time, "sleep", lambda _s: None)
    found = SimulatedJournal()

    def follow(*, stop=True):
        made = service.Service(
            state_dir=str(tmp_path),
            window_s=10,
            run=found.run,
            stream=lambda *argv: SimulatedStream(found, argv, made.stop if stop else lambda: None),
            to=found,
            root=str(tmp_path / "none"),
        )
        made.follow()

    found.follow = follow
    found.state = tmp_path / "state.json"
    found.counters = tmp_path / "gpu_events.prom"
    return found


def xid(code, bus="91"):
    return f"NVRM: Xid (PCI:0000:{bus}:00): {code}, pid=4711, name=python, Ch 00000010"


def fill(found):
    for number in range(60):
        found.add(xid((13, 31, 79)[number % 3]), 1_000_000 + number * 500_000)
        found.add("usb 1-1: new device", 1_000_100 + number * 500_000)


EXPECTED = {"13": 20, "31": 20, "79": 20}


def test_lines_become_events_and_counters(host):
    fill(host)
    host.follow()
    assert host.counts() == EXPECTED
    events = host.events()
    # 30 s of lines, in windows of 10 s.
    assert len(events) == 9
    fallen = next(event for event in events if event["XID"] == "79")
    assert fallen["GPU_UUID"] == UUID and fallen["PCI_ADDRESS"] == "0000:91:00.0" and fallen["HARDWARE_FAULT"] == "1"
    assert fallen["MESSAGE"] == (
        f"Xid 79 of {UUID}: the GPU does not answer on the PCI bus (critical, action: reboot_host, 7 times)"
    )
    text = host.counters.read_text()
    assert 'code="79",mnemonic="ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS",kind="hardware"' in text
    assert text.count("} 20\n") == 3 and host.counters.stat().st_mode & 0o777 == 0o644
    host.follow()
    assert host.counts() == EXPECTED and host.counters.read_text() == text


def kill(monkeypatch, found, at, *, after):
    """The process is killed at its effect of this number, before or after it took place."""
    done = iter(range(10_000))

    def wrap(effect):
        def killed(*args, **more):
            number = next(done)
            if number == at and not after:
                raise Killed
            effect(*args, **more)
            if number == at:
                raise Killed

        return killed

    monkeypatch.setattr(_text_file, "write", wrap(_text_file.write))
    monkeypatch.setattr(found, "write", wrap(found.write))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(24))
def test_killed_at_any_step_no_line_is_lost_or_counted_twice(host, monkeypatch, at, after):
    fill(host)
    with monkeypatch.context() as patch:
        kill(patch, host, at, after=after)
        with contextlib.suppress(Killed):
            host.follow()
    # And once more, while it makes up for that.
    with monkeypatch.context() as patch:
        kill(patch, host, 1, after=after)
        with contextlib.suppress(Killed):
            host.follow()
    host.follow()
    assert host.counts() == EXPECTED
    ids = [event["MLOPS_GPU_EVENT_ID"] for event in host.events()]
    assert len(ids) == len(set(ids))
    assert host.counters.read_text().count("} 20\n") == 3


def test_a_new_fault_of_hardware_does_not_wait_for_the_end_of_a_storm(host, monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr(service.time, "monotonic", lambda: next(now) / 10)
    for number in range(200):
        host.add(xid(95 if number in (20, 60) else 31), 1_000_000 + number * 10_000)
    host.in_parts = True
    host.follow()
    # The first one ends its batch 3 s later, the second is no news: it waits for the end of the window.
    told = [(event["XID"], event["COUNT"]) for event in host.events()]
    assert told[:2] == [("31", "35"), ("95", "1")]
    assert told[2:4] == [("31", "50"), ("95", "1")]


def test_a_storm_is_one_event(host):
    for number in range(10_000):
        host.add(xid(31), 1_000_000 + number * 500)
    host.follow()
    assert [event["COUNT"] for event in host.events()] == ["10000"]


def test_different_events_are_bounded_too(host):
    for number in range(1000):
        host.add(xid(200 + number), 1_000_000)
    host.follow()
    assert len(host.events()) == 1000 and len(json.loads(host.state.read_text())["intent"]) == 0


def test_what_was_vacuumed_is_said_once(host):
    fill(host)
    host.follow()
    for _ in range(5):
        host.add(xid(94), 100_000_000)
    host.arrive()
    host.first = len(host.entries)
    host.add(xid(95), 101_000_000)
    host.follow()
    host.follow()
    host.arrive()
    notices = [entry for entry in host.entries if "MLOPS_GPU_EVENTS_SKIPPED" in entry]
    # The lines, and the events that this service itself had written.
    assert [entry["MLOPS_GPU_EVENTS_SKIPPED"] for entry in notices] == ["14"]
    assert "no longer has 14 entries (of all programs) from after 1970-01-01T00:00:30Z until" in notices[0]["MESSAGE"]
    assert host.counts() == {**EXPECTED, "95": 1}
    assert "skipped_journal_entries_total 14\n" in host.counters.read_text()


def test_a_journal_of_another_series_has_no_number(host):
    host.add(xid(13), 1_000_000)
    host.follow()
    host.arrive()
    host.first = len(host.entries)
    host.add(xid(95), 101_000_000)
    host.entries[-1]["__CURSOR"] = host.entries[-1]["__CURSOR"].replace("a" * 32, "c" * 32)
    host.follow()
    host.arrive()
    assert [entry.get("MLOPS_GPU_EVENTS_SKIPPED") for entry in host.entries if "longer" in entry["MESSAGE"]] == [
        "unknown"
    ]
    assert host.counts() == {"13": 1, "95": 1}


def test_an_empty_journal_is_said(host):
    host.add(xid(13), 1_000_000)
    host.follow()
    host.arrive()
    host.first = len(host.entries)
    host.follow()
    host.arrive()
    assert "The journal no longer has what came after" in host.entries[-1]["MESSAGE"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 0}', '{"version": 1, "cursor": "x", "intent_cursor": ""}']
)
def test_a_damaged_state_costs_the_counters_and_no_event(host, text):
    fill(host)
    host.follow()
    host.arrive()
    host.state.write_text(text)
    host.add(xid(95), 101_000_000)
    host.follow()
    assert host.counts() == {**EXPECTED, "95": 1}
    assert any("is not the state that this program writes" in entry["MESSAGE"] for entry in host.entries)


def test_events_of_others_are_not_believed(host):
    fill(host)
    host.arrive()
    forged = {
        "MLOPS_GPU_EVENT": "1",
        "SYSLOG_IDENTIFIER": "mlops-gpu-events",
        "MLOPS_GPU_EVENTS_CURSOR": "x",
        "_UID": "4",
    }
    host.add("forged", 2, **forged, COUNT="0")
    host.follow()
    assert host.counts() == {**EXPECTED, None: 0}


def test_a_driver_that_does_not_answer_is_not_asked_again_and_again(host):
    host.smi = Completed(("nvidia-smi",), 124, "", "", timed_out=True)
    fill(host)
    host.follow()
    assert host.counts() == EXPECTED and not any("GPU_UUID" in event for event in host.events())
    assert [argv for argv in host.asked if argv[0] == "nvidia-smi"] == [("nvidia-smi", "-q", "-x")]


def test_a_journalctl_that_ends_is_an_error(host):
    fill(host)
    with pytest.raises(HostError, match="must go on while the service runs, and has ended: Failed to open"):
        host.follow(stop=False)


def test_a_journald_that_stores_nothing_is_an_error(host, monkeypatch):
    fill(host)
    with monkeypatch.context() as patch:
        kill(patch, host, 3, after=False)
        with pytest.raises(Killed):
            host.follow()
    monkeypatch.setattr(host, "arrive", lambda: None)
    ticks = iter(range(0, 10_000, 20))
    monkeypatch.setattr(service.time, "monotonic", lambda: next(ticks))
    with pytest.raises(HostError, match="must store an entry within 30 s"):
        host.follow()
