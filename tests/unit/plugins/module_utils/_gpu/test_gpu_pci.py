# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import pci
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import pci_device
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("00000000:1A:00.0", "0000:1a:00.0", id="nvidia-smi-has-eight-digits-and-capitals"),
        pytest.param("00000002:81:00.0", "0002:81:00.0", id="second-domain"),
        pytest.param("0000:A3:00.0", "0000:a3:00.0", id="rocm-smi-has-capitals"),
        pytest.param("1a:00.0", "0000:1a:00.0", id="no-domain"),
        pytest.param("10000:e1:00.0", "10000:e1:00.0", id="domain-of-a-volume-management-device"),
        pytest.param("N/A", None, id="not-given"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="no-element"),
    ],
)
def test_addresses_have_one_form(text, expected):
    assert pci.normal_address(text) == expected


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7))
def test_an_address_in_normal_form_stays_as_it_is(domain, bus, device, function):
    address = pci.normal_address(f"{domain:08X}:{bus:02X}:{device:02X}.{function}")
    assert pci.normal_address(address) == address


@pytest.mark.parametrize(
    ("vendor", "device", "pci_class", "expected"),
    [
        pytest.param("10de", "2330", "030200", ("nvidia", "10de:2330"), id="nvidia-data-centre-board"),
        pytest.param("10de", "2216", "030000", ("nvidia", "10de:2216"), id="nvidia-display-board"),
        pytest.param("1002", "74a1", "120000", ("amd", "1002:74a1"), id="amd-processing-accelerator"),
        pytest.param("1002", "738c", "038000", ("amd", "1002:738c"), id="amd-other-display-controller"),
        pytest.param("1002", "740f", "030200", ("amd", "1002:740f"), id="amd-3d-controller"),
        pytest.param("1002", "73df", "030000", ("amd", "1002:73df"), id="amd-display-board"),
        pytest.param("10de", "22a3", "068000", None, id="nvswitch"),
        pytest.param("10de", "1aef", "040300", None, id="nvidia-audio-function"),
        pytest.param("1002", "ab28", "040300", None, id="amd-audio-function"),
        pytest.param("10de", "0001", "120000", None, id="nvidia-makes-no-processing-accelerators"),
        pytest.param("1a03", "2000", "030000", None, id="graphics-of-the-management-controller"),
        pytest.param("8086", "56c0", "038000", None, id="unknown-vendor"),
    ],
)
def test_what_counts_as_a_gpu(tmp_path, vendor, device, pci_class, expected):
    pci_device(tmp_path, "0000:1a:00.0", vendor, device, pci_class)
    assert [(found.vendor, found.pci_id) for found in pci.scan(str(tmp_path))] == ([expected] if expected else [])


def test_addresses_are_sorted_as_numbers_and_links_are_read(tmp_path):
    pci_device(tmp_path, "10000:01:00.0", "10de", "2330", "030200")
    pci_device(tmp_path, "0000:ca:00.0", "10de", "2330", "030200", driver="vfio-pci")
    pci_device(tmp_path, "0000:1a:00.0", "1002", "74a1", "120000", driver="amdgpu")
    pci_device(tmp_path, "0000:1a:02.0", "1002", "74b5", "120000", physfn="0000:1a:00.0")
    assert [(gpu.pci_address, gpu.kernel_driver, gpu.is_virtual_function) for gpu in pci.scan(str(tmp_path))] == [
        ("0000:1a:00.0", "amdgpu", False),
        ("0000:1a:02.0", None, True),
        ("0000:ca:00.0", "vfio-pci", False),
        ("10000:01:00.0", None, False),
    ]


def test_a_host_without_a_pci_bus_has_no_gpus(tmp_path):
    assert pci.scan(str(tmp_path)) == ()


def test_a_device_that_went_away_while_we_looked_is_not_there(tmp_path):
    pci_device(tmp_path, "0000:1a:00.0", "10de", "2330", "030200")
    (tmp_path / "bus/pci/devices/0000:1b:00.0").symlink_to(tmp_path / "gone")
    assert [gpu.pci_address for gpu in pci.scan(str(tmp_path))] == ["0000:1a:00.0"]
