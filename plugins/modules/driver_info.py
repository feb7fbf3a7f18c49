#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: driver_info
short_description: Tell which GPU driver a host has, and whether it will work after the next boot
description:
  - Compares the driver that is desired, the one that is installed, the one that is loaded, and the one that is built
    for each installed kernel, and gives one verdict with its reasons and the next step.
  - It needs no driver and no GPU, and changes nothing. A host without either is not an error.
  - NVIDIA's driver, and AMD's C(amdgpu-dkms).
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  vendor:
    description:
      - Whose driver.
      - V(auto) is what the PCI bus shows, or else what is installed. NVIDIA's on a host with both.
    type: str
    choices: [auto, nvidia, amd]
    default: auto
  version:
    description: The version that is desired, a branch such as V(580) or exact such as V(580.178.04).
    type: str
  flavour:
    description: The kernel module that is desired, NVIDIA only.
    type: str
    choices: [open, proprietary]
  timeout_s:
    default: 30
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
  - mlops.hosts._commands
notes:
  - Without root RV(users) is null. Where the configuration of the boot loader, the data of InfiniBand devices or
    another file that counts is for root only, the module fails without root, and names it.
  - >-
    It starts at most six processes, of those that are there of C(dpkg-query) or C(rpm), C(modinfo), C(mokutil),
    C(apt-config) and C(systemctl). What DKMS did is read from C(/var/lib/dkms), as C(dkms status) takes seconds.
seealso:
  - module: mlops.hosts.gpu_info
"""

EXAMPLES = r"""
- name: Read the state of the driver
  mlops.hosts.driver_info:
  become: true
  register: driver_info

- name: Stop when it is not right
  ansible.builtin.assert:
    that: driver_info.verdict == "ok"
    fail_msg: "{{ driver_info.reasons | join(' ') }} {{ driver_info.next_step }}"

- name: Compare it with what is desired
  mlops.hosts.driver_info:
    version: "580"
    flavour: open
  become: true
"""

RETURN = r"""
verdict:
  description:
    - V(broken) when the driver cannot work as it is. A package is half installed, packages are of different versions
      or sources, DKMS fails for the kernel that runs or boots next, Secure Boot will refuse the module, a fabric
      manager is missing or stopped, or the driver does not serve the GPUs.
    - V(absent) when no driver is installed, or another one than O(version) and O(flavour) ask for. Libraries and tools
      without a kernel module are no driver, on a host without a GPU.
    - V(rebuild) when an installed kernel lacks the module, or has another version of it, or when no kernel is installed
      and none has loaded it.
    - V(reboot) when the running kernel must give way. The loaded module is not the installed one and something holds
      it, nouveau or nova has the GPUs, or only the next kernel has the module.
    - V(reload) when the module is not loaded, or is not the installed one and nothing holds it.
    - V(ok) when none of this is so.
    - With several, the first of them in this order.
  returned: success
  type: str
  sample: reload
reasons:
  description: A sentence for each finding, the most urgent first. With V(ok) what is there, and what is worth knowing.
  returned: success
  type: list
  elements: str
next_step:
  description: What to do about the verdict. V(null) where nothing is to be done.
  returned: success
  type: str
desired:
  description: What is desired.
  returned: success
  type: dict
  contains:
    version:
      description: As in O(version).
      type: str
    flavour:
      description: As in O(flavour).
      type: str
vendor:
  description: V(nvidia) or V(amd). V(null) where there is nothing of either.
  returned: success
  type: str
gpus:
  description: The GPUs of RV(vendor) in the order of their PCI addresses.
  returned: success
  type: list
  elements: dict
  contains:
    pci_address:
      description: Address on the PCI bus as sysfs writes it.
      type: str
      sample: "0000:1a:00.0"
    pci_id:
      description: Vendor and device number.
      type: str
      sample: "10de:2330"
    generation:
      description: Such as V(ampere). V(null) for an id that the table does not have, and for AMD.
      type: str
    kernel_driver:
      description: The kernel driver that is bound to it.
      type: str
    is_virtual_function:
      description: Whether it is an SR-IOV function of another GPU of the host.
      type: bool
nvswitches:
  description: Number of NVSwitches on the PCI bus.
  returned: success
  type: int
installed:
  description: What the package manager has.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the libraries in user space, without what packaging adds. AMD, version of C(amdgpu-dkms).
      type: str
      sample: 535.309.01
    flavour:
      description: V(open) or V(proprietary), of the package with the kernel module. V(null) with none or with both.
      type: str
    source:
      description: V(vendor) or V(distribution), by the maker that the packages name. V(null) with none or with both.
      type: str
    packages:
      description: The packages of the driver. The container toolkit and the CUDA toolkit are not of it.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        version:
          description: Its whole version.
          type: str
        state:
          description: The package manager's word, such as V(installed), V(half_configured) or V(config_files).
          type: str
        held:
          description: Whether it is on hold, or locked.
          type: bool
        source:
          description: V(vendor) or V(distribution).
          type: str
loaded:
  description: The driver in the running kernel.
  returned: success
  type: dict
  contains:
    module:
      description: V(nvidia) or V(amdgpu). V(null) where it is not loaded.
      type: str
    version:
      description: Its version.
      type: str
    flavour:
      description: V(open) or V(proprietary).
      type: str
    dependents:
      description: Modules that need it, in the order in which they can be unloaded.
      type: list
      elements: str
    refcount:
      description: References to it and to its dependents that come from no module, but from open devices or a console.
      type: int
kernels:
  description: The installed kernels, the newest last. The running one is not among them where it is not installed.
  returned: success
  type: list
  elements: dict
  contains:
    release:
      description: As C(uname -r) says it.
      type: str
      sample: 6.1.0-56-amd64
    running:
      description: Whether it runs.
      type: bool
    next_boot:
      description: Whether it boots next.
      type: bool
    headers:
      description: Whether modules can be built for it.
      type: bool
    module:
      description: The driver's module that C(modprobe) would load. V(null) where there is none.
      type: dict
      contains:
        version:
          description: Its version.
          type: str
        flavour:
          description: V(open) or V(proprietary).
          type: str
        signer:
          description: Who has signed it. V(null) when nobody has.
          type: str
        origin:
          description: V(dkms), V(prebuilt), or V(kernel) for the one that the kernel came with.
          type: str
        path:
          description: Where it is.
          type: str
    dkms:
      description: What DKMS did with the newest version of the driver that it has. V(null) where it has none.
      type: dict
      contains:
        version:
          description: The version.
          type: str
        state:
          description: V(added), V(built), V(installed) or V(failed).
          type: str
        last_words:
          description: The end of the log of a build that failed.
          type: str
kernel_packages:
  description: Packages of Debian or Ubuntu that bring the next kernel by an upgrade.
  returned: success
  type: list
  elements: str
  sample: [linux-image-generic]
running_kernel:
  description: The release of the running kernel.
  returned: success
  type: str
next_kernel:
  description: The release that boots next. V(null) where nothing tells.
  returned: success
  type: str
next_kernel_rule:
  description: How that is known, V(grub), V(loader) of systemd-boot, or V(newest) of the images in C(/boot).
  returned: success
  type: str
secure_boot:
  description: V(enabled), V(disabled), V(unsupported), or V(null) where nobody tells.
  returned: success
  type: str
mok:
  description: The machine owner's key that modules are signed with.
  returned: success
  type: dict
  contains:
    enrolled:
      description: Whether the firmware trusts it.
      type: bool
    import_pending:
      description: Whether its enrolment waits for somebody at the console of the next boot.
      type: bool
    key:
      description: The path of its public half.
      type: str
other_drivers:
  description: Loaded modules that take the GPUs, such as nouveau.
  returned: success
  type: list
  elements: str
users:
  description: Processes that have a device of the driver open. V(null) without root, who alone sees all of them.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Process id.
      type: int
    name:
      description: Its name, without arguments.
      type: str
excluded_from_unattended:
  description:
    - Whether unattended-upgrades or dnf-automatic leave every part of the driver alone.
    - V(null) where there is no such tool, or no driver.
  returned: success
  type: bool
fabric_manager:
  description: The fabric manager.
  returned: success
  type: dict
  contains:
    needed:
      description: Whether the host has NVSwitches, on the PCI bus or behind InfiniBand devices.
      type: bool
    version:
      description: Its version. V(null) where it is not installed.
      type: str
    active:
      description: Whether its unit runs. V(null) where it is not installed.
      type: bool
mismatches:
  description: Packages whose version must be that of RV(installed.version), and is not.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    version:
      description: Its version.
      type: str
boot_id:
  description: Changes with every boot.
  returned: success
  type: str
architecture:
  description: The machine's architecture, as C(uname -m) says it.
  returned: success
  type: str
  sample: x86_64
disruption:
  description: What the role P(mlops.hosts.gpu_driver#role) noted before it disturbed the host, else null.
  returned: success
  type: dict
  contains:
    boot_id:
      description: RV(boot_id) at that time. Null when the note is not whole.
      type: str
    reasons:
      description: RV(reasons) at that time.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._driver.arguments import INFO
from ..module_utils._driver.info import collect
from ..module_utils._driver.types import Desired, as_result
from ..module_utils._driver.verdict import diagnose
from ..module_utils._errors import HostError
from ..module_utils._runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=INFO, supports_check_mode=True)
    desired = Desired(module.params["version"], module.params["flavour"])
    try:
        state = collect(ModuleRunner(module), vendor=module.params["vendor"], timeout_s=module.params["timeout_s"])
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **as_result(state, desired, diagnose(state, desired)))


if __name__ == "__main__":
    main()
