# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the journal and written to it, the numbers for Prometheus, and the UUIDs that the driver tells."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_events import fields, journal, state, uuids
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_events.fold import Batch, Line
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_events.parse import Parser
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed, Running

CURSOR = f"s={'a' * 32};i=1f;b={'b' * 32};m=2;t=6616bf6c57a99;x=4930f06d551599c4"
UUID = "GPU-b6c3b2be-0000-4000-8000-fa0e00000091"


def counted(text="NVRM: Xid (PCI:0000:91:00): 79, pid=4711, name=python, words", times=1):
    batch, line = Batch(10), Line(text, 1_000_000, CURSOR, "b" * 32)
    event = Parser().read(text)
    for _ in range(times):
        batch.add(event, line)
    return batch.events[0]


def test_a_line_of_journalctl():
    raw = {"__CURSOR": CURSOR, "__REALTIME_TIMESTAMP": "12", "MESSAGE": "words", "_BOOT_ID": "b"}
    assert journal.line(json.dumps(raw)) == Line("words", 12, CURSOR, "b")
    assert journal.line(json.dumps({**raw, "MESSAGE": [78, 86, 255, "x", 300]})).text == "NV\ufffd"
    assert journal.line(json.dumps({**raw, "MESSAGE": None})).text == ""
    for wrong in ("", "{", "[]", "{}"):
        with pytest.raises(HostError, match="journalctl must print"):
            journal.line(wrong)


def test_a_place_in_the_journal():
    place = journal.place(CURSOR)
    assert (place.series, place.number, place.time_us) == ("a" * 32, 31, 0x6616BF6C57A99)
    # journald gives entries other numbers when it moves them from /run to /var.
    assert place.entry == journal.place(CURSOR.replace("i=1f", "i=2a").replace("a" * 32, "c" * 32)).entry
    for wrong in ("", "x", CURSOR + ";", CURSOR.replace("i=1f", "i=zz")):
        with pytest.raises(HostError, match="is no cursor of the journal"):
            journal.place(wrong)


def test_an_entry_on_its_way_to_journald(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(path)
        journal.Journal(path).write({"MESSAGE": "a\nb=c", "COUNT": 3, "XID": None})
        assert journald.recv(4096) == b"MESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00a\nb=c\nCOUNT=3\n"
    os.unlink(path)
    with pytest.raises(OSError, match="No such file"):
        journal.Journal(path).write({"MESSAGE": "a"})


def test_the_fields_of_an_event_are_a_contract():
    assert fields.fields(counted(times=2)) == {
        "MESSAGE": "Xid 79 of 0000:91:00.0: the GPU does not answer on the PCI bus "
        "(critical, action: reboot_host, 2 times)",
        "PRIORITY": 2,
        "SYSLOG_IDENTIFIER": "mlops-gpu-events",
        "MLOPS_GPU_EVENT": 1,
        "MLOPS_GPU_EVENT_ID": counted().id,
        "SOURCE": "xid",
        "XID": 79,
        "SXID": None,
        "MNEMONIC": "ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS",
        "KIND": "hardware",
        "SEVERITY": "critical",
        "ACTION": "reboot_host",
        "HARDWARE_FAULT": 1,
        "GPU_UUID": None,
        "PCI_ADDRESS": "0000:91:00.0",
        "EVENT_PID": 4711,
        "EVENT_PROCESS": "python",
        "COUNT": 2,
        "FIRST_USEC": 1_000_000,
        "LAST_USEC": 1_000_000,
        "EVENT_BOOT_ID": "b" * 32,
        "KERNEL_LINE": "NVRM: Xid (PCI:0000:91:00): 79, pid=4711, name=python, words",
    }


def test_series_are_bounded():
    many = [counted(f"NVRM: Xid (PCI:0000:91:00): {code}, words") for code in range(1000, 2100)]
    numbers = fields.count({}, many)
    assert len(numbers) == 1001 and numbers[()] == 100
    text = fields.exposition(numbers, skipped=7)
    assert text.count("mlops_gpu_events_total{") == 1000
    assert "mlops_gpu_events_without_series_total 100\n" in text and text.endswith("entries_total 7\n")
    assert fields.count(numbers, many[:1])[fields.series(many[0])] == 2


def test_the_state_is_what_was_written():
    one = state.State(CURSOR, False, (counted(),), CURSOR, fields.count({}, [counted()]), 3, {"0000:91:00.0": UUID})
    assert state.parsed(state.as_text(one)) == one


def test_uuids_of_the_driver(tmp_path):
    folder = tmp_path / "proc/driver/nvidia/gpus"
    for address, uuid in (("0000:91:00.0", UUID), ("0000:92:00.0", "GPU-????????-????-????-????-????????????")):
        (folder / address).mkdir(parents=True)
        (folder / address / "information").write_text(f"Model: \t\t A100\nGPU UUID: \t {uuid}\nBus Location: \t x\n")
    asked = []

    def run(*argv, timeout_s):
        asked.append(argv)
        return Completed(argv, 0, f'<gpu id="00000000:92:00.0"><uuid>{UUID[:-1]}2</uuid></gpu>', "")

    assert uuids.read(run, ["0000:91:00.0"], root=str(tmp_path)) == {"0000:91:00.0": UUID}
    assert not asked
    found = uuids.read(run, ["0000:92:00.0"], root=str(tmp_path))
    assert found == {"0000:91:00.0": UUID, "0000:92:00.0": f"{UUID[:-1]}2"} and len(asked) == 1


def test_a_driver_that_hangs_is_left_behind():
    never = threading.Event()

    def ask():
        never.wait(60)
        return {"0000:91:00.0": UUID}

    assert uuids.bounded(ask, timeout_s=0.05) == {}
    never.set()
    assert uuids.bounded(lambda: {"0000:91:00.0": UUID}, timeout_s=60) == {"0000:91:00.0": UUID}


def test_a_stream_gives_whole_lines_and_ends_with_its_program():
    with Running("sh", "-c", "printf 'a\\nb'; printf 'c\\n'; echo words >&2; exit 3") as source:
        found = []
        while (lines := source.read(10)) is not None:
            found += lines
        assert found == [b"a", b"bc"]
        assert dataclasses.astuple(source.completed())[1:4] == (3, "", "words\n")
    with Running("sleep", "1000") as source:
        assert source.read(0) == []
        source.end()
        assert source.read(60) is None
    with pytest.raises(HostError, match="no-such-program must be installed, and is not"), Running("no-such-program"):
        pass
