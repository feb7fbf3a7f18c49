# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""main() with the real AnsibleModule, and programs on PATH that print what a simulated journal has."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_events import info
from ansible_collections.mlops.hosts.plugins.modules import gpu_events_info

UUID = "GPU-b6c3b2be-0000-4000-8000-fa0e00000091"
LINES = [
    f"NVRM: GPU at PCI:0000:91:00: {UUID}",
    *["NVRM: Xid (PCI:0000:91:00): 31, pid=4711, name=python, Ch 00000010, MMU Fault"] * 3,
    "NVRM: Xid (PCI:0000:91:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
    "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
]


def cursor(number):
    return f"s={'a' * 32};i={number:x};b={'b' * 32};m=1;t={number:x};x={number:x}"


@pytest.fixture
def run_module(tmp_path, monkeypatch, capsys):
    """Runs main(); ``run.program`` writes a program, and ``run.calls`` are the arguments that programs got."""
    calls = tmp_path / "calls"
    calls.write_text("")

    def program(name, text="", *, rc=0, stderr=""):
        (tmp_path / f"{name}.out").write_text(text)
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        script = (
            f'#!/bin/sh\necho "{name} $*" >>{calls}\ncat {tmp_path}/{name}.out\nprintf "%s" "{stderr}" >&2\nexit {rc}\n'
        )
        path.write_text(script)
        path.chmod(0o755)

    def run(**options):
        with patch_module_args({"_ansible_check_mode": True, **options}), pytest.raises(SystemExit):
            gpu_events_info.main()
        return json.loads(capsys.readouterr().out)

    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    journals = tmp_path / "journal"
    journals.mkdir()
    (journals / "system.journal").write_text("")
    monkeypatch.setattr(info, "_JOURNALS", (str(journals / "*.journal"),))
    run.program, run.journals = program, journals
    run.calls = lambda: calls.read_text().splitlines()
    return run


def printed(lines):
    at = [
        {"__CURSOR": cursor(n), "__REALTIME_TIMESTAMP": str(1_000_000 + n), "_BOOT_ID": "b"} for n in range(len(lines))
    ]
    return "".join(json.dumps({**entry, "MESSAGE": line}) + "\n" for entry, line in zip(at, lines))


def test_what_the_journal_has(run_module):
    run_module.program("journalctl", printed(LINES))
    told = run_module()
    assert (told["changed"], told["hardware_fault"], told["log"], told["cursor"]) == (False, True, "journal", cursor(5))
    assert [(one["code"], one["count"], one["gpu_uuid"], one["hardware_fault"]) for one in told["events"]] == [
        (31, 3, UUID, False),
        (79, 1, UUID, True),
        (12028, 1, None, False),
    ]
    assert told["events"][0]["first"] == "1970-01-01T00:00:01.000001Z"
    switch, gpu = told["devices"]
    assert (switch["pci_address"], switch["severity"], switch["hardware_fault"]) == ("0000:05:00.0", "info", False)
    assert gpu == {
        "pci_address": "0000:91:00.0",
        "gpu_uuid": UUID,
        "lines": 4,
        "hardware_fault": True,
        "severity": "critical",
        "actions": ["restart_app", "reboot_host"],
        "xids": {"31": 3, "79": 1},
    }
    # One process, and the driver is not asked for what the log says.
    (call,) = run_module.calls()
    assert "--boot=0" in call and call.endswith("--case-sensitive=yes _TRANSPORT=kernel")


def test_what_was_asked_reaches_journalctl(run_module):
    run_module.program("journalctl")
    told = run_module(boot="previous", since="-1h", cursor=cursor(3))
    assert (told["events"], told["hardware_fault"], told["cursor"]) == ([], False, cursor(3))
    (call,) = run_module.calls()
    assert "--boot=-1 --since=-1h --after-cursor=s=" in call


def test_only_the_newest_events_are_returned_and_all_are_counted(run_module):
    run_module.program("journalctl", printed(LINES))
    told = run_module(max_events=1)
    assert [one["code"] for one in told["events"]] == [12028]
    assert told["events_left_out"] == 2 and told["hardware_fault"]


def test_a_journalctl_without_grep_is_asked_without(run_module):
    error = "Compiled without pattern matching support"
    run_module.program("journalctl", rc=1, stderr=error)
    told = run_module()
    assert told["failed"] and error in told["msg"]
    assert ["--grep" in call for call in run_module.calls()] == [True, False]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cursor": "x"}, "'x' is no cursor of the journal"),
        ({"max_events": 0}, "max_events must be more than 0, and is 0"),
        ({"timeout_s": -1}, "timeout_s must be more than 0, and is -1"),
    ],
)
def test_what_is_refused(run_module, options, says):
    run_module.program("journalctl")
    told = run_module(**options)
    assert told["failed"] and says in told["msg"] and run_module.calls() == []


def test_a_journal_that_cannot_be_read_is_an_error(run_module):
    run_module.program("journalctl", rc=1, stderr="Failed to parse timestamp: yesterdy")
    told = run_module(since="yesterdy")
    assert told["failed"] and "Failed to parse timestamp: yesterdy" in told["msg"]


def test_a_host_without_a_journal_is_asked_by_dmesg(run_module):
    (run_module.journals / "system.journal").unlink()
    run_module.program(
        "dmesg",
        "2026-11-29T10:00:00,000001+00:00 NVRM: The NVIDIA GPU 0000:5d:00.0\n"
        "               NVRM: (PCI ID: 10de:2330) installed in this system has\n"
        "               NVRM: fallen off the bus and is not responding to commands.\n"
        "2026-11-29T10:00:00,000002+00:00 NVRM: Xid (PCI:0000:91:00): 48, pid=1, name=python, words\n",
    )
    run_module.program("nvidia-smi", f'<gpu id="00000000:91:00.0"><uuid>{UUID}</uuid></gpu>')
    told = run_module()
    assert (told["log"], told["cursor"]) == ("dmesg", None)
    fallen, event = told["events"]
    assert (fallen["pci_address"], fallen["first"]) == ("0000:5d:00.0", "2026-11-29T10:00:00.000001Z")
    assert (event["code"], event["gpu_uuid"], event["first"]) == (48, UUID, "2026-11-29T10:00:00.000002Z")
    assert run_module.calls() == ["dmesg --kernel --time-format=iso", "nvidia-smi -q -x"]
    assert "need a journal" in run_module(boot="previous")["msg"]
    run_module.program("dmesg", rc=1, stderr="Operation not permitted")
    assert "Operation not permitted" in run_module()["msg"]
