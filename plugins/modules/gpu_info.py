#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Tell which GPUs a host has, and how they are
description:
  - Lists the NVIDIA and AMD GPUs of a host with their settings, partitions, processes and health.
  - GPUs come from the PCI bus, so they are listed with no driver installed too. What a driver knows comes from
    C(nvidia-smi), and from C(amd-smi) or else C(rocm-smi).
  - A host without a GPU is not an error, and neither is a driver that is not installed, not loaded, or loaded in a
    version other than the installed one. The GPUs are then listed as failed, with the reason.
  - A tool that hangs, crashes or prints half of its answer is an error. What it left out is never read as "no GPU".
    Only where the PCI bus has no NVIDIA GPU and the kernel no NVIDIA driver, C(nvidia-smi) may fail to start.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  sysfs_root:
    description: Where sysfs is mounted. For containers that see the host's at another place.
    type: path
    default: /sys
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
  - mlops.hosts._commands
notes:
  - SR-IOV virtual functions are counted only where a driver lists them, and in guests, to which they are the GPU.
  - NVSwitches and the audio functions of graphics boards are not GPUs.
  - The module wants no more rights than the tools do. Values that a driver gives to root only are V(null) without them.
"""

EXAMPLES = r"""
- name: Read the GPUs
  mlops.hosts.gpu_info:
  register: gpu_info

- name: Stop when a GPU is missing or broken
  ansible.builtin.assert:
    that:
      - gpu_info.gpus | rejectattr('health', 'equalto', 'ok') | length == 0
    fail_msg: "{{ gpu_info.gpus | map(attribute='health_reasons') | flatten | join(' ') }}"

- name: Give a driver in trouble less time
  mlops.hosts.gpu_info:
    timeout_s: 15
"""

RETURN = r"""
gpus:
  description:
    - The GPUs in the order of their PCI addresses.
    - A value that the device does not give is V(null), never a guess. Words are in lower case with underscores.
  returned: success
  type: list
  elements: dict
  contains:
    vendor:
      description: V(nvidia) or V(amd).
      type: str
    index:
      description: Number of the GPU as its tool counts. V(null) where the tool does not list the GPU.
      type: int
    uuid:
      description: UUID from C(nvidia-smi) or C(amd-smi). With C(rocm-smi) the unique id of the chip.
      type: str
    pci_address:
      description: Address on the PCI bus as sysfs writes it.
      type: str
      sample: "0000:1a:00.0"
    pci_id:
      description: Vendor and device number.
      type: str
      sample: "10de:2330"
    name:
      description: Name of the product.
      type: str
      sample: NVIDIA H100 80GB HBM3
    architecture:
      description: Name of the generation, as the tool writes it.
      type: str
      sample: Hopper
    memory_total_mib:
      description: Memory of the GPU in MiB.
      type: int
    persistence_mode:
      description: V(enabled) or V(disabled).
      type: str
    power_limit_w:
      description: The power limit that is asked for, in watts. The one in force can be lower for a while.
      type: float
    power_limit_min_w:
      description: The lowest power limit that the device accepts, in watts.
      type: float
    power_limit_max_w:
      description: The highest power limit that the device accepts, in watts.
      type: float
    clock_max_mhz:
      description: The highest clock of the multiprocessors in MHz. NVIDIA only.
      type: int
    memory_clock_max_mhz:
      description: The highest clock of the memory in MHz. NVIDIA only.
      type: int
    compute_mode:
      description: V(default), V(exclusive_process) or V(prohibited).
      type: str
    ecc_mode:
      description: Whether the memory corrects errors, V(enabled) or V(disabled).
      type: str
    ecc_pending:
      description: The ECC mode after the next reset or reboot.
      type: str
    ecc_uncorrected:
      description: Uncorrectable memory errors since the driver was loaded.
      type: int
    remapped_rows_pending:
      description: Whether memory rows wait for a reset to be remapped.
      type: bool
    pcie_width:
      description: Lanes of the PCI Express link now. NVIDIA only.
      type: int
    pcie_width_max:
      description: Lanes that the link of the GPU can have in this host. NVIDIA only.
      type: int
    pcie_generation:
      description: Generation of the PCI Express link now, which is lower while the GPU is idle. NVIDIA only.
      type: int
    pcie_generation_max:
      description: Generation that the link of the GPU can have in this host. NVIDIA only.
      type: int
    temperature_c:
      description: Temperature of the GPU in degrees Celsius. On AMD that of the edge, or of the hotspot without it.
      type: int
    utilization_percent:
      description: How busy the GPU has been just now. V(null) in MIG mode.
      type: int
    mig_mode:
      description: Whether the GPU is partitioned, V(enabled) or V(disabled).
      type: str
    mig_pending:
      description: The MIG mode after the next reset.
      type: str
    mig_devices:
      description: The MIG devices of the GPU. Empty where there are none.
      type: list
      elements: dict
      contains:
        profile:
          description: Name of the profile.
          type: str
          sample: 3g.71gb
        uuid:
          description: UUID of the MIG device.
          type: str
        gpu_instance_id:
          description: Number of the GPU instance.
          type: int
        compute_instance_id:
          description: Number of the compute instance in the GPU instance.
          type: int
        memory_mib:
          description: Memory of the GPU instance in MiB. Its compute instances share it.
          type: int
    virtualization_mode:
      description: How a virtual machine has the GPU, such as V(pass_through). V(none) on a bare machine. NVIDIA only.
      type: str
    recovery_action:
      description:
        - What the driver asks for to bring the GPU back to work, such as V(none), V(reset), V(reboot), V(drain_p2p) or
          V(drain_and_reset).
        - NVIDIA drivers before 560 give two flags in its place. A reset that is required is V(reset), one that is
          recommended V(drain_and_reset).
      type: str
    processes:
      description: The processes that use the GPU. Empty where there are none.
      type: list
      elements: dict
      contains:
        pid:
          description: Process id.
          type: int
        name:
          description: The program, without its arguments. They can hold secrets.
          type: str
        memory_mib:
          description: Memory of the GPU that the process uses, in MiB.
          type: int
        gpu_instance_id:
          description: Number of the GPU instance that the process uses. V(null) without MIG.
          type: int
    health:
      description:
        - V(failed) when the GPU must not be used. Its driver does not offer it, it is lost or requires a reset, the
          driver asks for a recovery action other than draining, row remapping has failed, or its on-chip memory is past
          the number of errors that the vendor allows.
        - V(degraded) when it works and wants attention. It has had uncorrectable errors since the driver was loaded,
          memory repairs, ECC or MIG wait for a reset, the driver asks for draining, reading a value gives an unknown
          error, the tool warns about the GPU, or no tool is installed to ask its driver.
        - V(ok) when there is nothing of this.
      type: str
    health_reasons:
      description: A sentence for each thing that is wrong.
      type: list
      elements: str
    memory_reasons:
      description: Those of RV(gpus[].health_reasons) that are about its memory.
      type: list
      elements: str
driver:
  description: The driver that is loaded. NVIDIA's on a host with GPUs of both vendors.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the driver, V(null) where none is loaded or no tool tells.
      type: str
      sample: 580.105.08
    cuda_version:
      description: The newest CUDA version that the driver serves.
      type: str
      sample: "13.0"
count:
  description: Number of GPUs in RV(gpus), failed ones included.
  returned: success
  type: int
expected_from_pci:
  description: Number of GPUs on the PCI bus, without virtual functions.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._gpu.arguments import INFO
from ..module_utils._gpu.info import collect
from ..module_utils._runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=INFO, supports_check_mode=True)
    try:
        report = collect(
            ModuleRunner(module), sysfs_root=module.params["sysfs_root"], timeout_s=module.params["timeout_s"]
        )
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **report.as_result())


if __name__ == "__main__":
    main()
