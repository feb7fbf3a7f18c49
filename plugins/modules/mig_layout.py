#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: mig_layout
short_description: Apply a MIG geometry to NVIDIA GPUs, and destroy only what differs
description:
  - Partitions GPUs by the names of profiles, which are looked up on the device itself. Their numbers and sizes
    differ by model.
  - A geometry that is right is not touched, whatever order its instances were created in. Instances of profiles
    that are still desired stay, with the programs on them; as few as can be are destroyed to make room.
  - A profile that the device does not have, or a geometry that does not fit on it, is refused before anything
    changes, and says what there is and what fits. Drivers that list profiles only with MIG mode on are asked after
    it was switched on, and it is switched off again if the geometry is not possible.
  - Processes on what has to go are named by pid and program, and nothing changes.
  - Instances do not survive a reboot or a reset. The role P(mlops.hosts.gpu_settings#role) replays them.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  devices:
    suboptions:
      select:
        description: Which GPUs. A UUID, a PCI address, a pattern for names of models such as V(*A100*), or V(all).
        type: str
        required: true
      layout:
        description:
          - Names of profiles, such as V(3g.20gb), one for each GPU instance, in any order. Each gets one compute
            instance.
          - An empty list is MIG mode off.
        type: list
        elements: str
        required: true
  reset:
    description:
      - Whether a GPU that waits for a reset may be reset when no process uses it.
      - The Ampere generation resets a GPU that changes its MIG mode by itself. Where it cannot, the mode waits.
  cdi_refresh:
    description: Whether C(nvidia-cdi-refresh.service), where the host has it, is restarted after a change.
    type: bool
    default: true
attributes:
  check_mode:
    details: >-
      Where the driver lists no profiles as long as MIG mode is off, whether the geometry fits is not known
      before.
extends_documentation_fragment:
  - mlops.hosts._attributes
  - mlops.hosts._commands
  - mlops.hosts._gpu_devices
notes:
  - Ampere keeps MIG mode over a reboot. From Hopper on it lasts as long as the kernel module is loaded.
  - A GPU that changes its mode may lose its other settings; run M(mlops.hosts.gpu_settings) after this module.
seealso:
  - module: mlops.hosts.gpu_settings
"""

EXAMPLES = r"""
- name: Three slices on each H100
  mlops.hosts.mig_layout:
    devices:
      - select: "*H100*"
        layout: [3g.40gb, 2g.20gb, 2g.20gb]

- name: Seven equal slices on one GPU, whole GPUs elsewhere
  mlops.hosts.mig_layout:
    devices:
      - select: "0000:1a:00.0"
        layout: "{{ ['1g.10gb'] * 7 }}"
      - select: "0000:1b:00.0"
        layout: []

- name: Change the geometry of a GPU that is watched
  mlops.hosts.mig_layout:
    devices:
      - select: all
        layout: [7g.80gb]
    services: [nvidia-dcgm.service, nvidia-persistenced.service]
"""

RETURN = r"""
gpus:
  description: The GPUs that are meant, as they are after the run. In check mode, as they would be.
  returned: always
  type: list
  elements: dict
  contains:
    uuid:
      description: UUID of the GPU.
      type: str
    pci_address:
      description: Address on the PCI bus as sysfs writes it.
      type: str
      sample: "0000:1a:00.0"
    name:
      description: Name of the product.
      type: str
    mig_mode:
      description: V(enabled) or V(disabled). V(null) where the device has no MIG mode.
      type: str
    mig_pending:
      description: The mode after the next reset.
      type: str
    layout:
      description: Profiles of the GPU instances, sorted.
      type: list
      elements: str
      sample: [1g.5gb, 3g.20gb]
commands:
  description:
    - The commands that were run to change something, or would be run. Empty where nothing differs.
  returned: always
  type: list
  elements: list
pending:
  description: What the device has taken, and what counts only after a reset or a reboot.
  returned: always
  type: list
  elements: dict
  contains:
    gpu:
      description: UUID of the GPU.
      type: str
    setting:
      description: V(mig_mode).
      type: str
    current:
      description: What counts now, V(enabled) or V(disabled).
      type: str
    pending:
      description: What will count.
      type: str
    ends_with:
      description: V(reset) of the GPU, or V(reboot), where a virtual machine has the GPU and cannot reset it.
      type: str
reset_required:
  description: Whether something waits for a reset.
  returned: always
  type: bool
reboot_required:
  description: Whether something waits for a reboot.
  returned: always
  type: bool
blockers:
  description: Processes that are in the way.
  returned: always
  type: list
  elements: dict
  contains:
    gpu:
      description: UUID of the GPU.
      type: str
    pid:
      description: Process id.
      type: int
    command:
      description: The program, without its arguments. They can hold secrets.
      type: str
services:
  description: The units that were stopped and started again.
  returned: always
  type: list
  elements: str
disruptive:
  description: Whether a mode was changed or an instance destroyed, or would be.
  returned: always
  type: bool
drift:
  description: Each difference between the desired and the host before the run, one entry per attribute.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._gpu_settings.arguments import MIG
from ..module_utils._gpu_settings.fast_check import options
from ..module_utils._gpu_settings.mig_apply import converge
from ..module_utils._gpu_settings.smi import Smi
from ..module_utils._runner import ModuleRunner
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(argument_spec=MIG, supports_check_mode=True)
    params = module.params
    try:
        smi = Smi(ModuleRunner(module), timeout_s=params["timeout_s"])
        result = converge(smi, params["devices"], options(params), dry_run=module.check_mode).must()
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result.as_result())


if __name__ == "__main__":
    main()
