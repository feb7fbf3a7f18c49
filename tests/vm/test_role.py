# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role gpu_driver on a host that really boots: reboots, reloads, and what it does about kernels."""

from __future__ import annotations

import time

HOLDER = "systemd-run --quiet --unit=held sh -c 'exec 3</dev/nvidiactl; exec sleep infinity'; sleep 2"


def _changed(results):
    return [result for result in results if result.get("changed")]


def test_it_reboots_once_and_only_with_consent(by_role):
    before = by_role.boot_id
    found = by_role.driver(version="580.95.05")
    assert (found["verdict"], found["other_drivers"]) == ("reboot", ["nouveau"])

    by_role.role(gpu_driver_reboot="when_needed").succeeded()
    after = by_role.boot_id
    assert after != before
    found = by_role.driver(version="580.95.05", flavour="open")
    assert (found["verdict"], found["other_drivers"], found["loaded"]["version"]) == ("ok", [], "580.95.05")

    assert _changed(by_role.role(gpu_driver_reboot="when_needed").succeeded()) == []
    assert by_role.boot_id == after


def test_a_run_killed_before_the_reboot_is_gone_on_with(by_role):
    hooks = by_role.hooks(before="ansible.builtin.wait_for", wait={"timeout": 100000})
    run = by_role.role(gpu_driver_reboot="when_needed", **hooks)
    guard = "test -e /var/lib/mlops.hosts/gpu_driver.disruption.json"
    end = time.monotonic() + 600
    while by_role.sh(f"{guard} && echo begun || true") != "begun":
        assert run.process.poll() is None and time.monotonic() < end, run.said()
        time.sleep(2)
    run.kill()
    before = by_role.boot_id

    hooks = by_role.hooks(before="ansible.builtin.command", wait={"cmd": "touch /run/drained"})
    by_role.role(gpu_driver_reboot="when_needed", **hooks).succeeded()
    assert by_role.boot_id != before
    assert by_role.driver()["verdict"] == "ok"
    # The host was put back into service, and that is over.
    assert by_role.sh("ls /var/lib/undrained") == "/var/lib/undrained"
    by_role.refuses(guard)


def test_it_reloads_what_nothing_holds_and_names_what_does(by_role):
    before = by_role.boot_id
    by_role.sh("modprobe -r nouveau")
    by_role.role().succeeded()
    assert by_role.driver()["verdict"] == "ok"

    by_role.role("580.178.04").succeeded()
    found = by_role.driver(version="580.178.04")
    assert (found["verdict"], found["loaded"]["version"]) == ("ok", "580.178.04")

    by_role.sh(HOLDER)
    pid = by_role.sh("systemctl show --value --property=MainPID held")
    by_role.role("580.95.05").succeeded()
    found = by_role.driver(version="580.95.05")
    assert (found["verdict"], found["loaded"]["version"]) == ("reboot", "580.178.04")
    assert f"sleep (pid {pid})" in " ".join(found["reasons"])
    assert by_role.boot_id == before


def test_it_builds_for_a_kernel_that_boots_next(by_role):
    _older, newer = by_role.sh("ls -v /lib/modules").split()
    by_role.sh(f"modprobe -r nouveau && modprobe nvidia && dkms remove nvidia/580.95.05 -k {newer}")
    assert by_role.driver()["verdict"] == "rebuild"
    by_role.role().succeeded()
    assert by_role.driver()["verdict"] == "ok"
    by_role.reboot()
    assert by_role.driver()["verdict"] == "ok"
