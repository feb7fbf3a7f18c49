#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_events_info
short_description: Tell what the kernel of a host has logged of its GPUs
description:
  - Reads the kernel log for Xids of NVIDIA GPUs, SXids of NVSwitches, errors of amdgpu, and GPUs that fell off the bus,
    and tells of each its severity, what to do about it, and whether that is a fault of hardware.
  - What programs cause, such as Xid 13, 31 and 43, is no fault of hardware. Of Xid 154 the action is what the driver
    asks for.
  - Lines that say the same of the same device are one event with a count.
  - The log is the journal. A host that keeps none is asked by C(dmesg), which has this boot only, as far as it goes
    back.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  boot:
    description: Which boots are read.
    type: str
    choices: [current, previous, all]
    default: current
  since:
    description:
      - Only what was logged since then, as C(journalctl --since) takes it, such as V(-1h) or V(2026-11-29 10:00:00) in
        the time zone of the host.
    type: str
  cursor:
    description: Only what came after RV(cursor) of an earlier answer. With O(boot=all) it spans reboots.
    type: str
  max_events:
    description: How many events are returned at most. These are the newest; RV(devices) counts the others as well.
    type: int
    default: 1000
  storm_window_s:
    description: Seconds for which lines that say the same are one event, as long as no two seconds are without a line.
    type: float
    default: 60.0
  timeout_s:
    description: Seconds that the log may take to be read.
    type: int
    default: 60
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
notes:
  - It needs root, or a user of the group C(systemd-journal).
  - The UUID of a GPU is in the log, or is asked of the driver, which is given some seconds. It is null where neither
    tells it.
seealso:
  - name: What GPUs say in the kernel log
    description: What is done about which code, by whom, and where that is from.
    link: https://github.com/mlops-hosts/mlops.hosts/blob/main/docs/gpu-faults.md
  - module: mlops.hosts.gpu_info
"""

EXAMPLES = r"""
- name: What has happened to GPUs since the boot
  mlops.hosts.gpu_events_info:
  become: true
  register: gpu_events

- name: Stop where a GPU has had a fault of hardware
  ansible.builtin.assert:
    that: not gpu_events.hardware_fault
    fail_msg: "{{ gpu_events.devices | selectattr('hardware_fault') }}"

- name: Read what is new since then, over reboots
  mlops.hosts.gpu_events_info:
    boot: all
    cursor: "{{ gpu_events.cursor }}"
  become: true
"""

RETURN = r"""
events:
  description: The newest events, in the order of their times.
  type: list
  elements: dict
  returned: success
  contains:
    source:
      description: What logged it, V(xid) and V(nvrm) of NVIDIA's driver, V(sxid) of an NVSwitch, or V(amdgpu).
      type: str
    code:
      description: The number of the Xid or SXid. Null for lines without one.
      type: int
      sample: 79
    mnemonic:
      description: Its name in the catalogue. Null where it has none there.
      type: str
      sample: ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS
    kind:
      description: What it is about, V(application), V(driver), V(hardware), V(fabric) or V(unknown).
      type: str
    severity:
      description: V(info), V(warning), V(error) or V(critical).
      type: str
    action:
      description:
        - What to do first, such as V(restart_app), V(reset_gpu), V(reboot_host), V(contact_support) or V(none).
      type: str
    description:
      description: What it means.
      type: str
    hardware_fault:
      description: Whether somebody has to act on the GPU, a link or the host, and not on a program.
      type: bool
    pci_address:
      description: Address of the GPU, or of the NVSwitch. Null where the line has none.
      type: str
      sample: "0000:91:00.0"
    gpu_uuid:
      description: UUID of the GPU. Null where it is not known.
      type: str
    pid:
      description: The process that the driver names. Null where it names none.
      type: int
    process:
      description: Its name, as the kernel has it.
      type: str
    text:
      description: The first line of the event, at most 200 characters of it.
      type: str
    count:
      description: How many lines it stands for.
      type: int
    first:
      description: When the first of them was logged, in UTC.
      type: str
      sample: "2026-11-29T10:00:00.000000Z"
    last:
      description: When the last of them was logged.
      type: str
    boot_id:
      description: The boot. Null where there is no journal.
      type: str
events_left_out:
  description: How many older events there are besides RV(events).
  type: int
  returned: success
devices:
  description: What all events come to, for each device.
  type: list
  elements: dict
  returned: success
  contains:
    pci_address:
      description: Address of the GPU or NVSwitch. Null for lines without one.
      type: str
    gpu_uuid:
      description: UUID of the GPU. Null where it is not known.
      type: str
    lines:
      description: How many lines tell of it.
      type: int
    hardware_fault:
      description: Whether one of its events is a fault of hardware.
      type: bool
    severity:
      description: The worst of its events.
      type: str
    actions:
      description: What its events ask for, in the order in which they came.
      type: list
      elements: str
    xids:
      description: Numbers of lines by Xid.
      type: dict
      sample: {"79": 1}
hardware_fault:
  description: Whether any event is a fault of hardware.
  type: bool
  returned: success
log:
  description: What was read, V(journal) or V(dmesg).
  type: str
  returned: success
cursor:
  description: The place of the last line that was read, for O(cursor). Null where nothing was read of a journal.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._gpu_events.arguments import INFO
from ..module_utils._gpu_events.info import Query, collect
from ..module_utils._runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=INFO, supports_check_mode=True)
    try:
        found = collect(Query(**module.params), ModuleRunner(module))
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
