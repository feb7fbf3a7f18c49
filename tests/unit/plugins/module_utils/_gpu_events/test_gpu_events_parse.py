# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real lines of kernel logs say; those in tests/unit/data/kernel-log are from public reports, without serials."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_events.parse import TEXT_LIMIT, XIDS, Parser

DATA = pathlib.Path(__file__).resolve().parents[3] / "data/kernel-log"
FALLEN = "GPU_HAS_FALLEN_OFF_THE_BUS"
UUID = "GPU-b6c3b2be-0000-4000-8000-fa0e00000091"


def recorded(name):
    parser = Parser()
    events = [parser.read(line) for line in (DATA / f"{name}.txt").read_text().splitlines()]
    return [event for event in events if event is not None]


def test_the_lines_of_nvidia():
    found = [
        (event.source, event.code or event.mnemonic, event.pci_address, event.severity, event.action, event.kind)
        for event in recorded("nvidia")
    ]
    assert found == [
        ("xid", 79, "0000:91:00.0", "critical", "reboot_host", "hardware"),
        ("nvrm", FALLEN, "0000:91:00.0", "critical", "reboot_host", "hardware"),
        ("sxid", 20034, "0000:06:00.0", "critical", "reset_fabric", "fabric"),
        ("sxid", 12028, "0000:05:00.0", "info", "none", "fabric"),
        ("xid", 14, "0000:03:00.0", "info", "none", "driver"),
        ("xid", 13, "0000:cb:00.0", "warning", "restart_app", "application"),
        ("xid", 31, "0000:3f:00.0", "warning", "restart_app", "application"),
        ("xid", 43, "0000:0f:00.0", "info", "none", "application"),
        ("xid", 95, "0000:01:00.0", "critical", "reset_gpu", "hardware"),
        ("xid", 149, "0009:01:00.0", "critical", "reset_gpu", "fabric"),
        ("xid", 154, "0009:01:00.0", "critical", "drain_and_reset", "hardware"),
        ("xid", 154, "0019:01:00.0", "critical", "reset_gpu", "hardware"),
        ("xid", 154, "0000:01:00.0", "critical", "reboot_host", "hardware"),
        ("xid", 154, "0000:0d:00.0", "critical", "reset_function", "hardware"),
        ("xid", 51, "0000:0d:00.0", "error", "contact_support", "driver"),
        ("nvrm", FALLEN, "0000:18:00.0", "critical", "reboot_host", "hardware"),
    ]


def test_the_lines_of_amdgpu():
    found = [(event.mnemonic, event.pci_address, event.is_hardware_fault, event.pid) for event in recorded("amdgpu")]
    assert found == [
        ("RING_TIMEOUT", None, False, None),
        ("RING_TIMEOUT", "0000:04:00.0", False, None),
        ("RING_RECOVERED", None, False, None),
        ("GPU_RESET_BEGIN", "0000:87:00.0", False, None),
        ("GPU_RESET_SUCCEEDED", "0000:87:00.0", False, None),
        ("GPU_RESET_FAILED", "0000:03:00.0", True, None),
        ("GPU_RESET_FAILED", "0000:03:00.0", True, None),
        ("VM_FAULT", "0000:07:00.0", False, 1831),
        ("VM_FAULT", "0000:00:07.0", False, 3557),
        ("VM_FAULT", "0000:0b:00.0", False, None),
        ("RAS_UNCORRECTABLE", "0000:c6:00.0", True, None),
    ]


def test_the_log_names_gpus_and_processes():
    first, *_ = recorded("nvidia")
    assert (first.gpu_uuid, first.pid, first.process) == (UUID, None, None)
    fault = next(event for event in recorded("nvidia") if event.code == 31)
    assert (fault.gpu_uuid, fault.pid, fault.process) == (None, 2038, "python")


@pytest.mark.parametrize("code", [8, 11, 13, 31, 43, 45, 69, 94])
def test_what_programs_cause_is_no_fault_of_hardware(code):
    event = Parser().read(f"NVRM: Xid (PCI:0000:91:00): {code}, pid=1, name=python, Ch 00000001")
    assert (event.code, event.kind, event.is_hardware_fault) == (code, "application", False)


@pytest.mark.parametrize("code", [46, 48, 54, 62, 64, 74, 79, 95, 109, 119, 120, 140, 143, 155, 158])
def test_what_asks_for_a_reset_or_a_hand_is_one(code):
    assert Parser().read(f"NVRM: Xid (PCI:0000:91:00): {code}, pid=1").is_hardware_fault


def test_the_label_of_154_counts_and_not_its_number():
    line = "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x{} ({}) to 0x{} ({})"
    read = Parser().read
    over = read(line.format(2, "Node Reboot Required", 0, "None"))
    assert (over.severity, over.action, over.is_hardware_fault) == ("info", "none", False)
    other = read(line.format(0, "None", 1, "Something Newer"))
    assert (other.severity, other.action, other.is_hardware_fault) == ("error", "investigate", True)
    assert other.description == "the recovery that the driver asks for was None and is Something Newer"


def test_a_link_says_itself_whether_it_is_fatal():
    line = "NVRM: Xid (PCI:0009:01:00): 145, RLW_REMAP {} XC1 i0 Link 10 (0x00000082 0x00000040)"
    assert Parser().read(line.format("Fatal")).action == "reset_gpu"
    harmless = Parser().read(line.format("Nonfatal"))
    assert (harmless.severity, harmless.action, harmless.is_hardware_fault) == ("warning", "follow_others", False)
    assert Parser().read(line.format("")).action == "check_nvlink"


@pytest.mark.parametrize(
    ("code", "word", "expected"),
    [
        (12020, "Fatal", ("critical", "reboot_host")),
        (23017, "Fatal", ("critical", "reboot_host")),
        (23018, "Fatal", ("critical", "reset_fabric")),
        (19084, "Non-fatal", ("error", "reset_fabric")),
        (20012, "Non-fatal", ("warning", "check_mechanicals")),
        (19085, "Non-fatal", ("info", "none")),
    ],
)
def test_classes_of_nvswitch_errors(code, word, expected):
    event = Parser().read(f"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): {code}, {word}, Link 30 words")
    assert (event.severity, event.action) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ["NVRM: The NVIDIA GPU 0000:5d:00.0\nNVRM: (PCI ID: 10de:2330) installed in this system has\n"
         "NVRM: fallen off the bus and is not responding to commands."],
        ["NVRM: The NVIDIA GPU 0000:5d:00.0", "NVRM: (PCI ID: 10de:2330) installed in this system has",
         "usb 1-1: new device", "NVRM: fallen off the bus and is not responding to commands."],
        ["NVRM: The NVIDIA GPU 0000:5d:00.0 (PCI ID: 10de:2d04) installed in this system has",
         "NVRM: fallen off the bus and is not responding to commands."],
    ],
    ids=["one record", "three, and another between", "two"],
)  # fmt: skip
def test_one_sentence_over_several_lines(lines):
    parser = Parser()
    found = [event for event in map(parser.read, lines) if event]
    assert [(event.mnemonic, event.pci_address) for event in found] == [(FALLEN, "0000:5d:00.0")]
    # What came before is not remembered for later.
    assert parser.read("NVRM: fallen off the bus and is not responding to commands.") is None


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: Xid error: xyz, invalid data",
        "NVRM: Xid (PCI:0000:91:00): abc, pid=1",
        "NVRM: Xid (): 79",
        "NVRM: The NVIDIA GPU invalid-bdf.0\nNVRM: fallen off the bus and is not responding to commands.",
        "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Data {0x10000000}",
        "usb 1-1: my name is Xid 79",
        "",
    ],
)
def test_what_is_no_event(line):
    assert Parser().read(line) is None


def test_nonsense_is_bounded():
    event = Parser().read("NVRM: Xid (PCI:zz:00): 999999, pid=1, name=a\x1b[31m\nb, " + "x" * 100000)
    assert event is None
    event = Parser().read("NVRM: Xid (PCI:ffff:ffff:1): 999999, pid=1, name=a\x1b[31m\nb, " + "x" * 100000)
    assert (event.code, event.kind, event.severity, event.pci_address) == (999999, "unknown", "error", None)
    assert (event.process, len(event.text)) == ("a [31m b", TEXT_LIMIT)


def test_the_catalogue_has_every_code_once():
    assert sorted(XIDS) == list(range(1, 173))
