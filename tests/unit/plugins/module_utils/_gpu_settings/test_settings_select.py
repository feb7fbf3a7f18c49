# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._gpu.types import Gpu
from ansible_collections.mlops.hosts.plugins.module_utils._gpu_settings import select

A100 = Gpu("nvidia", uuid="GPU-aa", pci_address="0000:07:00.0", name="NVIDIA A100-SXM4-40GB")
H100 = Gpu("nvidia", uuid="GPU-bb", pci_address="0000:1a:00.0", name="NVIDIA H100 80GB HBM3")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        pytest.param("all", ["GPU-aa", "GPU-bb"], id="all"),
        pytest.param("GPU-BB", ["GPU-bb"], id="uuid"),
        pytest.param("00000000:1A:00.0", ["GPU-bb"], id="address-as-nvidia-smi-writes-it"),
        pytest.param("1a:00.0", ["GPU-bb"], id="address-without-domain"),
        pytest.param("*a100*", ["GPU-aa"], id="model-pattern"),
        pytest.param("NVIDIA H100 80GB HBM3", ["GPU-bb"], id="whole-name"),
    ],
)
def test_a_selector_means(text, meant):
    desired, problems = select.resolve([A100, H100], [{"select": text, "ecc": True}])
    assert (sorted(desired), problems) == (meant, [])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("0", "an index is not an identity", id="index"),
        pytest.param("0,1", "an index is not an identity", id="indexes"),
        pytest.param("MIG-1", "give the UUID of its GPU", id="mig-device"),
        pytest.param(" ", "is empty", id="nothing"),
    ],
)
def test_a_selector_that_is_no_identity_is_refused(text, why):
    with pytest.raises(HostError, match=why):
        select.check(text)


def test_a_selector_that_matches_nothing_lists_what_there_is():
    _desired, problems = select.resolve([A100, H100], [{"select": "*H200*"}])
    assert len(problems) == 1
    for word in ("*H200*", "GPU-aa", "0000:1a:00.0", "NVIDIA H100 80GB HBM3"):
        assert word in problems[0]


def test_two_entries_add_up_as_long_as_they_agree():
    entries = [
        {"select": "all", "ecc": True, "persistence": True},
        {"select": "GPU-aa", "ecc": True, "power_limit_w": 1.0},
    ]
    desired, problems = select.resolve([A100, H100], entries)
    assert problems == []
    assert desired["GPU-aa"] == {"ecc": True, "persistence": True, "power_limit_w": 1.0}
    _desired, problems = select.resolve([A100, H100], [*entries, {"select": "*A100*", "ecc": False}])
    assert len(problems) == 1
    assert "'GPU-aa'" in problems[0] or "'all'" in problems[0]
    assert "'*A100*' with ecc False" in problems[0]
