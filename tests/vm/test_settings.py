# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role gpu_settings on a host that really boots. The GPUs are fakes, with their state on the disk."""

from __future__ import annotations

import json

from tools.hosts.docker_engine import ROOT

TOOLS = ROOT / "tools/fakes/fake_gpu_tools"
INSTALL = ROOT / "molecule/shared/fakes/fake_gpu_install.py"
SEEN = "/var/lib/fake-gpu-seen"
# What a boot does to real GPUs, and a look at them before and after the unit of the role.
UNITS = {
    "fake-gpu-boot.service": f"""[Unit]
Before=mlops-gpu-settings.service
[Service]
Type=oneshot
ExecStart=/usr/local/bin/fake-gpu boot
ExecStartPost=sh -c 'nvidia-smi -L >{SEEN}/after-boot'
[Install]
WantedBy=multi-user.target
""",
    "docker.service": f"""[Service]
Type=oneshot
ExecStart=sh -c 'nvidia-smi -L >{SEEN}/by-docker'
[Install]
WantedBy=multi-user.target
""",
    # The real nvidia-smi has its state in the kernel, where the unit may write.
    "mlops-gpu-settings.service.d/fake.conf": "[Service]\nReadWritePaths=/var/lib/fake-gpu\n",
}


def _fake_gpus(machine):
    files = {path.name: path.read_text() for pattern in ("*.py", "*.tree") for path in TOOLS.glob(pattern)}
    machine.write("/root/install.py", INSTALL.read_text())
    machine.write("/root/desired.json", json.dumps({"files": files, "machine": "a100x2", "driver": "580.95.05"}))
    machine.sh("python3 /root/install.py </root/desired.json")
    machine.sh(f"mkdir -p {SEEN} /etc/systemd/system/mlops-gpu-settings.service.d")
    for name, text in UNITS.items():
        machine.write(f"/etc/systemd/system/{name}", text)
    machine.sh("systemctl daemon-reload && systemctl enable --quiet fake-gpu-boot.service docker.service")


def _settings(machine):
    # Not all: the host has a GPU of its own, which these tools do not know.
    role = {"name": "role", "ansible.builtin.include_role": {"name": "mlops.hosts.gpu_settings"}}
    devices = [{"select": "*A100*", "persistence": True, "power_limit_w": 300, "mig": ["3g.20gb", "2g.10gb"]}]
    return machine.start([role], gpu_settings_devices=devices).succeeded()


def test_a_boot_gives_back_what_it_takes_before_anything_uses_a_gpu(fresh):
    _fake_gpus(fresh)
    _settings(fresh)
    listed = fresh.sh("nvidia-smi -L")
    assert listed.count("MIG 3g.20gb") == listed.count("MIG 2g.10gb") == 2

    fresh.reboot()
    taken = fresh.sh(f"cat {SEEN}/after-boot")
    assert (taken.count("A100"), taken.count("MIG")) == (2, 0)
    given = fresh.sh(f"cat {SEEN}/by-docker")
    assert [given.count(profile) for profile in ("MIG 3g.20gb", "MIG 2g.10gb")] == [2, 2]
    assert fresh.sh("systemctl show --value --property=Result mlops-gpu-settings.service") == "success"
    assert fresh.sh("mlops-gpu-settings --check") == ""
    assert [result for result in _settings(fresh) if result.get("changed")] == []
