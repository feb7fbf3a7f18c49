# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual host itself: what the other tests take for granted."""

from __future__ import annotations


def test_it_has_two_kernels_and_boots_the_one_that_grub_is_told(fresh):
    older, newer = fresh.sh("ls -v /lib/modules").split()
    assert fresh.sh("uname -r") == newer
    assert fresh.sh("cd /lib/modules && ls -d */build").split() == [f"{older}/build", f"{newer}/build"]
    before = fresh.boot_id
    fresh.sh(
        "sed -i s/^GRUB_DEFAULT=.*/GRUB_DEFAULT=saved/ /etc/default/grub && update-grub && grub-set-default"
        f' "$(grep -o "gnulinux-advanced[^\']*" /boot/grub/grub.cfg | head -n 1)'
        f'>$(grep -o "gnulinux-{older}-advanced[^\']*" /boot/grub/grub.cfg | head -n 1)"'
    )
    fresh.reboot()
    assert fresh.sh("uname -r") == older
    assert fresh.boot_id != before
    # Found again at boot, by udev alone.
    assert "nouveau" in fresh.sh("lsmod")
    assert fresh.sh("cat /sys/bus/pci/devices/0001:00:00.0/device") == "0x2330"


def test_the_fake_driver_is_built_loads_and_is_held(installed):
    kernel = installed.sh("uname -r")
    assert f"nvidia/580.95.05, {kernel}, x86_64: installed" in installed.sh("dkms status")
    assert "couldn't communicate with the NVIDIA driver" in installed.refuses("nvidia-smi")
    installed.sh("modprobe -r nouveau && modprobe nvidia-uvm")
    assert "NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  " in installed.sh("cat /proc/driver/nvidia/version")
    assert installed.sh("readlink /sys/bus/pci/devices/0001:00:00.0/driver").endswith("/nvidia")
    assert "<driver_version>580.95.05</driver_version>" in installed.sh("nvidia-smi -q -x")
    assert "in use by: nvidia_uvm" in installed.refuses("rmmod nvidia")
    installed.sh("rmmod nvidia-uvm")
    installed.sh("systemd-run --quiet --unit=held sh -c 'exec 3</dev/nvidiactl; exec sleep infinity'; sleep 2")
    assert "is in use" in installed.refuses("rmmod nvidia")
    installed.sh("systemctl stop held && rmmod nvidia")
    assert installed.sh("ls /dev/nvidia* /proc/driver/nvidia 2>/dev/null || true") == ""
