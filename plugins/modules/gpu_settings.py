#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_settings
short_description: Apply settings to NVIDIA GPUs, and read each back
description:
  - Sets persistence mode, power limit, compute mode, ECC and locked clocks of GPUs that are selected by what does
    not change.
  - What the device cannot have, such as a power limit out of its bounds, is refused for all GPUs before anything
    changes.
  - Each change is read back. C(nvidia-smi) exits with status 0 when a device does not support a setting, prints a
    warning and changes nothing. That is an error here, and quotes it.
  - No driver keeps these settings over a reboot, except ECC. The role P(mlops.hosts.gpu_settings#role) replays them.
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
      persistence:
        description:
          - Whether the driver keeps the GPU initialised while nobody uses it.
          - Without it, the GPU loses power limit and clocks when its last user goes. So they need it.
        type: bool
      power_limit_w:
        description: Power limit in watts, within the bounds that the device tells.
        type: float
      compute_mode:
        description: How many processes may compute on the GPU.
        type: str
        choices: [default, exclusive_process, prohibited]
      ecc:
        description:
          - Whether the memory corrects errors. It changes with a reset of the GPU or a reboot; until then
            RV(pending) says so.
        type: bool
      locked_clocks_mhz:
        description:
          - The lowest and the highest clock of the multiprocessors in MHz. An empty list lets them go.
          - Needs persistence mode. See the notes about what is known of locked clocks.
        type: list
        elements: int
      locked_memory_clocks_mhz:
        description: The same for the clock of the memory.
        type: list
        elements: int
  reset:
    description:
      - Whether a GPU that waits for a reset may be reset when no process uses it.
      - A reset ends everything that uses the GPU, and destroys MIG instances. A GPU that has some is not reset.
extends_documentation_fragment:
  - mlops.hosts._attributes
  - mlops.hosts._commands
  - mlops.hosts._gpu_devices
notes:
  - No driver tells which clocks are locked. What was locked is kept in C(/run/mlops.hosts/gpu_clocks.json), and
    counts for the same boot, the same load of the kernel module, and as long as persistence mode is on. Clocks that
    somebody else locks or lets go are not seen, and neither is a reset by somebody else.
seealso:
  - module: mlops.hosts.mig_layout
"""

EXAMPLES = r"""
- name: Cap the power of every A100
  mlops.hosts.gpu_settings:
    devices:
      - select: "*A100*"
        persistence: true
        power_limit_w: 250

- name: One GPU for one process at a time, at steady clocks
  mlops.hosts.gpu_settings:
    devices:
      - select: GPU-8f5c3a5e-1c0b-4c62-9d0e-6f1f2a3b4c5d
        persistence: true
        compute_mode: exclusive_process
        locked_clocks_mhz: [1200, 1410]

- name: Switch ECC on, and reset GPUs that nobody uses
  mlops.hosts.gpu_settings:
    devices:
      - select: all
        ecc: true
    reset: when_idle
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
    persistence:
      description: Whether persistence mode is on.
      type: bool
    power_limit_w:
      description: The power limit in watts.
      type: float
    compute_mode:
      description: The compute mode.
      type: str
    ecc:
      description: Whether the memory corrects errors now.
      type: bool
    ecc_pending:
      description: Whether it will after the next reset.
      type: bool
    locked_clocks_mhz:
      description: Clocks that were locked from here. Empty for none.
      type: list
      elements: int
    locked_memory_clocks_mhz:
      description: Clocks of the memory that were locked from here. Empty for none.
      type: list
      elements: int
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
      description: V(ecc).
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
  description: Whether a GPU was reset, or would be.
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
from ..module_utils._gpu_settings.arguments import SETTINGS
from ..module_utils._gpu_settings.fast_check import options
from ..module_utils._gpu_settings.settings_apply import converge
from ..module_utils._gpu_settings.smi import Smi
from ..module_utils._runner import ModuleRunner
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(argument_spec=SETTINGS, supports_check_mode=True)
    params = module.params
    try:
        smi = Smi(ModuleRunner(module), timeout_s=params["timeout_s"])
        result = converge(smi, params["devices"], options(params), dry_run=module.check_mode).must()
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result.as_result())


if __name__ == "__main__":
    main()
