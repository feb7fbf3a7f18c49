# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake of nvidia-smi against captures of real hosts: the same elements, and the same texts where nothing moves.

The captures lie next to the repository; without them these tests are skipped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.mlops.hosts.tests.unit.fake_gpu_host import FakeGpuHost
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import (
    capture,
    needs_captures,
    section,
)

# What one host, one board or one moment makes different from the next.
DIFFERS = {
    # the host: where the board is plugged in, and what its slot gives
    "pci/pci_bus", "pci/pci_device", "pci/pci_bus_id", "board_id", "minor_number", "gpu_module_id",
    "platformInfo/module_id", "pci/pci_gpu_link_info/link_widths/current_link_width",
    "pci/pci_gpu_link_info/pcie_gen/max_host_link_gen",
    # the board
    "serial", "uuid", "pdi", "vbios_version", "gpu_part_number",
    # the moment
    "pci/replay_counter", "pci/tx_util", "pci/rx_util", "inforom_bbx_flush/latest_timestamp",
    "inforom_bbx_flush/latest_duration", "clocks_event_reasons/clocks_event_reason_gpu_idle",
    "clocks_event_reasons_counters/clocks_event_reasons_counters_sw_power_cap", "ecc_errors/aggregate/dram_correctable",
    "fb_memory_usage/used", "fb_memory_usage/free", "fb_memory_usage/reserved", "bar1_memory_usage/used",
    "bar1_memory_usage/free", "temperature/gpu_temp", "temperature/gpu_temp_tlimit", "temperature/memory_temp",
    "power_readings/power_draw", "gpu_power_readings/power_draw", "gpu_power_readings/average_power_draw",
    "gpu_power_readings/instant_power_draw", "gpu_memory_power_readings/average_power_draw", "voltage/graphics_volt",
    "clocks/graphics_clock", "clocks/sm_clock", "clocks/mem_clock", "clocks/video_clock",
    # what programs have in a MIG device, and its share of a window that is a little smaller than a power of two
    "mig_devices/mig_device/fb_memory_usage/used", "mig_devices/mig_device/fb_memory_usage/free",
    "mig_devices/mig_device/bar1_memory_usage/total", "mig_devices/mig_device/bar1_memory_usage/free",
    # who runs on it
    "processes/process_info/pid", "processes/process_info/type", "processes/process_info/process_name",
    "processes/process_info/used_memory",
}  # fmt: skip
# A board of 500 W with the name of the one of 400 W.
OTHER_BOARD = {
    f"gpu_power_readings/{name}_power_limit" for name in ("current", "requested", "default", "max")
}  # fmt: skip
# capture, machine, driver, options, commands before
CAPTURES = {
    "t4-515.105": ("t4x1", "515.105.01", ("--virtualization", "Pass-Through"), ()),
    "t4-595.91.07": ("t4x1", "595.91.07", ("--virtualization", "Pass-Through"), (("-pm", "1"),)),
    "a100x4-mig-535.54.03": (
        "a100-80x4",
        "535.54.03",
        (),
        (("-i", "0", "-mig", "1"), ("mig", "-i", "0", "-cgi", "15,15,15,15", "-C")),
    ),
    "a100-sxm4-40-570.148.08": ("a100x1", "570.148.08", ("--virtualization", "Pass-Through"), (("-pm", "1"),)),
    "h100x8-580.105.08": ("h100x8", "580.105.08", ("--virtualization", "Pass-Through"), (("-pm", "1"),)),
}


def texts(element, before=""):
    """The text of the first element of each path."""
    found = {}
    for child in element:
        path = f"{before}{child.tag}"
        for name, text in {path: (child.text or "").strip(), **texts(child, f"{path}/")}.items():
            found.setdefault(name, text)
    return found


@needs_captures
@pytest.mark.parametrize("name", CAPTURES)
def test_the_elements_are_those_of_the_capture(tmp_path, monkeypatch, name):
    machine, driver, options, commands = CAPTURES[name]
    fake = FakeGpuHost(tmp_path, monkeypatch, machine, driver, *options)
    for argv in commands:
        assert fake.smi(*argv).rc == 0
    if "<process_info>" in capture(f"nvidia-smi/{name}.xml"):
        fake.control("hold", "--gpu", "0")
    real = ET.fromstring(capture(f"nvidia-smi/{name}.xml").encode())
    ours = ET.fromstring(fake.smi("-q", "-x").stdout)
    assert [child.tag for child in ours][:4] == [child.tag for child in real][:4]
    for head in ("driver_version", "cuda_version", "attached_gpus"):
        assert ours.findtext(head) == real.findtext(head)
    there, here = texts(real.find("gpu")), texts(ours.find("gpu"))
    assert here.keys() == there.keys()
    allowed = DIFFERS | (OTHER_BOARD if "a100x4" in name else set())
    differing = {path: (there[path], here[path]) for path in there if there[path] != here[path] and path not in allowed}
    assert differing == {}


@needs_captures
@pytest.mark.parametrize("name", CAPTURES)
def test_the_elements_are_in_the_order_of_the_capture(tmp_path, monkeypatch, name):
    machine, driver, options, _commands = CAPTURES[name]
    fake = FakeGpuHost(tmp_path, monkeypatch, machine, driver, *options)
    real = ET.fromstring(capture(f"nvidia-smi/{name}.xml").encode()).find("gpu")
    ours = [child.tag for child in ET.fromstring(fake.smi("-q", "-x").stdout).find("gpu")]
    assert sorted(ours) == sorted(child.tag for child in real)
    # These two changed places with driver 570.
    moved = ("gsp_firmware_version", "gpu_virtualization_mode", "gpu_reset_status")
    order = [child.tag for child in real if child.tag not in moved]
    assert [tag for tag in ours if tag not in moved] == order


@needs_captures
def test_what_an_h200_with_mig_lists_and_tells(tmp_path, monkeypatch):
    name = "nvidia-smi/h200-mig-590.48.01.capture.txt"
    fake = FakeGpuHost(tmp_path, monkeypatch, "h200x1", "590.48.01")
    for argv in (
        ("-pm", "1"),
        ("-mig", "1"),
        ("mig", "-cgi", "9,14,19,19"),
        ("mig", "-cci", "0,1", "-gi", "2"),
        ("mig", "-cci", "-gi", "3,9,10"),
    ):
        assert fake.smi(*argv).rc == 0, argv
    assert masked(fake.smi("-L").stdout) == masked(section(name, "capabilities :: list (-L)"))
    assert fake.smi("--version").stdout == section(name, "capabilities :: version")
    there = section(name, "idle :: query (-q)")
    here = ET.fromstring(fake.smi("-q", "-x").stdout)
    for label, tag in {
        "Index": "index",
        "GPU Instance ID": "gpu_instance_id",
        "Compute Instance ID": "compute_instance_id",
        "Multiprocessor count": "multiprocessor_count",
        "Copy Engine count": "copy_engine_count",
        "Decoder count": "decoder_count",
        "JPG count": "jpg_count",
    }.items():
        told = re.findall(rf"^ +{label} +: (\d+)$", there, re.MULTILINE)
        assert [one.findtext(f".//{tag}") for one in here.iter("mig_device")] == told, label
    totals = re.findall(r"Shared FB Memory Usage\n +Total +: (\d+ MiB)", there)
    assert [one.findtext("fb_memory_usage/total") for one in here.iter("mig_device")] == totals


@needs_captures
def test_driver_610_names_its_versions_anew(tmp_path, monkeypatch):
    name = "nvidia-smi/rtx2080super-610.57.04.capture.txt"
    fake = FakeGpuHost(tmp_path, monkeypatch, "t4x1", "610.57.04")
    assert fake.smi("--version").stdout == section(name, "capabilities :: version")
    frame = [line for line in section(name, "idle :: nvidia-smi (default table)").splitlines() if "MiB" not in line]
    ours = fake.smi().stdout.splitlines()
    assert ours[2] == frame[2]
    for line in frame[4:8]:
        assert line in ours
    root = ET.fromstring(fake.smi("-q", "-x").stdout)
    assert (root.findtext("kmd_version"), root.findtext("cuda_umd_version")) == ("610.57.04", "13.3")
    assert root.findtext("gpu/gpu_power_readings/gpu_ceiling_power_limit/requested_power_limit") == "70.00 W"
    assert root.find("gpu/gpu_power_readings/requested_power_limit") is None


def masked(text):
    return re.sub(r"UUID: [^)]*", "UUID", text)
