#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cdi_info
short_description: Tell whether containers would get the GPUs that a host has now
description:
  - Compares the CDI specifications of a host, in C(/etc/cdi) and C(/var/run/cdi), with the driver that is loaded, and
    with the GPUs and MIG devices that it gives.
  - A specification that was written before the driver or the MIG layout changed is stale, and containers fail to start
    with it, or get libraries of the wrong driver.
  - Running containers keep what they were given when they began. Those that have libraries of another driver, or asked
    for devices that are gone, are listed.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  vendor:
    description: Whose GPUs.
    type: str
    choices: [nvidia, amd]
    default: nvidia
  _paths:
    description: Filled in by the action plugin with more paths that it asks about. Not for use.
    type: list
    elements: str
    default: []
attributes:
  async:
    description: Supports being used with the C(async) keyword.
    support: none
extends_documentation_fragment:
  - mlops.hosts._attributes.action
  - mlops.hosts._attributes.read_only
  - mlops.hosts._commands
notes:
  - The specifications are YAML, which is parsed on the controller as container engines parse it. The host needs no
    parser.
  - Containers are those of Docker and of root's Podman. It needs root, as they do.
seealso:
  - module: mlops.hosts.gpu_info
  - module: mlops.hosts.container_runtime_info
"""

EXAMPLES = r"""
- name: Would containers get the GPUs
  mlops.hosts.cdi_info:
  become: true
  register: cdi

- name: Stop when they would not
  ansible.builtin.assert:
    that: cdi.verdict in ['fresh', 'not_needed']
    fail_msg: "{{ cdi.verdict }}: {{ cdi.reasons | join(' ') }}"
"""

RETURN = r"""
verdict:
  description:
    - V(fresh) when a specification fits the host.
    - V(stale) when one names another driver, files that are not there, or other GPUs or MIG devices than the host has.
    - V(missing) when there are GPUs and no specification.
    - V(conflicting) when two files offer one device.
    - V(not_needed) when there are neither GPUs nor a specification.
  type: str
  returned: success
reasons:
  description: A sentence for each thing that is wrong, and for each file that cannot be read, of other kinds as well.
  type: list
  elements: str
  returned: success
refreshable:
  description: Whether the driver gives its GPUs, so that the specification can be written anew.
  type: bool
  returned: success
refresh_command:
  description: What writes it anew.
  type: str
  returned: success
specs:
  description: The specifications of this vendor.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: Where it lies.
      type: str
      sample: /var/run/cdi/nvidia.yaml
    kind:
      description: What it offers.
      type: str
      sample: nvidia.com/gpu
    devices:
      description: The devices that it offers, by name.
      type: list
      elements: str
    drivers:
      description: Versions of the driver in the names of the libraries that it names. More than one is a mixture.
      type: list
      elements: str
      sample: ["580.95.05"]
unreadable:
  description:
    - Files in C(/etc/cdi) and C(/var/run/cdi) that container engines pass over, since they cannot be opened, are not
      valid YAML or have another shape than CDI's.
    - They do not change the verdict, which is about what engines do read.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: Where it is.
      type: str
    reason:
      description: Why it cannot be read.
      type: str
      sample: "it is not valid YAML: line 3: kind is there twice"
driver_version:
  description: Version of the driver that is loaded. Null where nothing tells.
  type: str
  returned: success
containers_to_recreate:
  description: Running containers that hold on to what the host does not have any more.
  type: list
  elements: dict
  returned: success
  contains:
    engine:
      description: V(docker) or V(podman).
      type: str
    name:
      description: Its name.
      type: str
    id:
      description: The beginning of its id.
      type: str
    devices:
      description: CDI devices that it asked for.
      type: list
      elements: str
    drivers:
      description: Versions of the driver's libraries in it.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._cdi.arguments import INFO
from ..module_utils._cdi.fast_check import host
from ..module_utils._errors import HostError
from ..module_utils._privileges import require_root
from ..module_utils._runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=INFO, supports_check_mode=True)
    try:
        require_root("cdi_info", "to ask Docker and root's Podman for their containers")
        # The action plugin makes the return values of it.
        found = host(module.params, ModuleRunner(module))
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, host=found)


if __name__ == "__main__":
    main()
