# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdicts that only a host with kernels and modules of its own can come to, as driver_info reaches them there."""

from __future__ import annotations

import pytest


def test_a_gpu_that_nouveau_has_and_no_driver(fresh):
    found = fresh.driver()
    assert found["verdict"] == "absent"
    assert [(gpu["pci_id"], gpu["generation"]) for gpu in found["gpus"]] == [("10de:2330", "hopper")]
    assert found["other_drivers"] == ["nouveau"]


def test_an_installed_driver_with_nouveau_loaded_wants_a_reboot(installed):
    found = installed.driver(version="580", flavour="open")
    assert found["verdict"] == "reboot"
    assert "nouveau" in found["reasons"][0]


def test_a_driver_that_is_not_loaded_is_loaded_and_well(installed):
    installed.sh("modprobe -r nouveau")
    assert installed.driver()["verdict"] == "reload"
    installed.sh("modprobe nvidia")
    found = installed.driver(version="580.95.05", flavour="open")
    assert (found["verdict"], found["next_step"]) == ("ok", None)
    assert found["reasons"] == [
        "Driver 580.95.05 (open) is installed and loaded, and its module is there for 2 installed kernels."
    ]
    assert found["loaded"]["version"] == found["installed"]["version"] == "580.95.05"
    assert found["gpus"][0]["kernel_driver"] == "nvidia"


@pytest.mark.parametrize("held", [False, True], ids=["nothing holds it", "a process holds it"])
def test_a_driver_changed_under_a_loaded_module(installed, held):
    installed.sh("modprobe -r nouveau && modprobe nvidia")
    if held:
        installed.sh("systemd-run --quiet --unit=held sh -c 'exec 3</dev/nvidiactl; exec sleep infinity'; sleep 2")
    installed.install("580.178.04")
    assert "Driver/library version mismatch" in installed.refuses("nvidia-smi")
    found = installed.driver()
    assert found["verdict"] == ("reboot" if held else "reload")
    pid = installed.sh("systemctl show --value --property=MainPID held") if held else ""
    assert [(user["pid"], user["name"]) for user in found["users"]] == ([(int(pid), "sleep")] if held else [])


def test_the_kernel_of_the_next_boot_has_no_module(installed):
    older, newer = installed.sh("ls -v /lib/modules").split()
    installed.sh(f"modprobe -r nouveau && modprobe nvidia && dkms remove nvidia/580.95.05 -k {newer}")
    found = installed.driver()
    assert (found["verdict"], found["next_kernel"]) == ("rebuild", newer)
