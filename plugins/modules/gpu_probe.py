#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_probe
short_description: Put work on the GPUs of a host and measure it
description:
  - Lists the GPUs in a container, measures how fast they copy by C(nvbandwidth), and runs the diagnostics of NVIDIA's
    DCGM by C(dcgmi), as far as these are there. Meanwhile it reads the links of the GPUs to the host, whose speed is
    lower while a GPU is idle.
  - It tells what was found, and fails for none of it. The role P(mlops.hosts.acceptance#role) compares it with what is
    expected.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  tests:
    description:
      - What is tested. V(container) needs O(container_image), and takes nothing of a GPU.
      - V(bandwidth) and V(dcgm) take whole GPUs, seconds to hours.
    type: list
    elements: str
    choices: [container, bandwidth, dcgm]
    default: [container, bandwidth, dcgm]
  load:
    description:
      - Whether V(bandwidth) and V(dcgm) may run. V(when_idle) is when no process uses a GPU, V(when_needed) in any
        case, which slows down or ends what uses them.
    type: str
    choices: [never, when_idle, when_needed]
    default: when_idle
  dcgm_level:
    description:
      - Which diagnostics of DCGM. By its makers V(1) takes seconds, V(2) two minutes, V(3) a quarter of an hour, and
        V(4) longer.
    type: int
    choices: [1, 2, 3, 4]
    default: 2
  dcgm_for_s:
    description: Seconds for which the diagnostics are run again and again. V(0) is once.
    type: float
    default: 0
  timeout_s:
    description: Seconds that the diagnostics may take, all runs together. One that has not ended then is stopped.
    type: float
    default: 7200
  container_image:
    description: An image that is on the host, and can run C(nvidia-smi) of the driver. It is not fetched.
    type: str
  nvbandwidth:
    description: The program, by its name or its path.
    type: str
    default: nvbandwidth
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
notes:
  - In check mode nothing is started.
  - AMD's GPUs have no such test here.
seealso:
  - module: mlops.hosts.gpu_info
  - module: mlops.hosts.model_probe
"""

EXAMPLES = r"""
- name: Measure the GPUs of a host that nobody uses
  mlops.hosts.gpu_probe:
    tests: [bandwidth]
  become: true
  register: probe

- name: Burn them in for two hours, and show that it goes on
  mlops.hosts.gpu_probe:
    tests: [dcgm]
    dcgm_level: 3
    dcgm_for_s: 7200
    timeout_s: 10800
  become: true
  async: 11000
  poll: 30
"""

RETURN = r"""
in_use:
  description: Processes that use a GPU. Empty where only V(container) of O(tests) is asked for.
  type: list
  elements: dict
  returned: success
  contains:
    pid:
      description: Process id.
      type: int
    name:
      description: The program, without its arguments.
      type: str
    pci_address:
      description: The GPU.
      type: str
container:
  description: What containers see. Null where it was not asked for.
  type: dict
  returned: success
  contains:
    skipped:
      description: Why it was not tested. Null where it was.
      type: str
    seconds:
      description: How long it took.
      type: float
    engines:
      description: A container of each engine that is there, with its C(engine), C(gpus) that it lists, and C(problem).
      type: list
      elements: dict
bandwidth:
  description: What nvbandwidth measured, in GB/s. Null where it was not asked for.
  type: dict
  returned: success
  contains:
    skipped:
      description: Why it was not tested. Null where it was.
      type: str
    seconds:
      description: How long it took.
      type: float
    to_gpu:
      description: From the host to each GPU, in the order of their PCI addresses.
      type: list
      elements: float
    from_gpu:
      description: From each GPU to the host.
      type: list
      elements: float
    peer:
      description: The lowest of a GPU that reads from another. Null where none can.
      type: float
    problem:
      description: Why there are no numbers. Null where there are.
      type: str
dcgm:
  description: What DCGM found. Null where it was not asked for.
  type: dict
  returned: success
  contains:
    skipped:
      description: Why it was not tested. Null where it was.
      type: str
    seconds:
      description: How long it took.
      type: float
    level:
      description: As O(dcgm_level).
      type: int
    rounds:
      description: How often the diagnostics ran.
      type: int
    problem:
      description: Why they are not whole. Null where they are.
      type: str
    tests:
      description: The tests of the last round, with C(name), C(status) and C(messages).
      type: list
      elements: dict
links:
  description: The links of the GPUs under load.
  type: dict
  returned: success
  contains:
    readings:
      description: How often they were read.
      type: int
    gpus:
      description: The highest C(generation) that was seen of the GPU at C(pci_address).
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._gpu_probe.probe import Request, probe
from ..module_utils._runner import ModuleRunner

_NOTHING = {"in_use": [], "container": None, "bandwidth": None, "dcgm": None, "links": {"readings": 0, "gpus": []}}


def main() -> None:
    tests = ["container", "bandwidth", "dcgm"]
    module = AnsibleModule(
        argument_spec={
            "tests": {"type": "list", "elements": "str", "choices": tests, "default": tests},
            "load": {"type": "str", "choices": ["never", "when_idle", "when_needed"], "default": "when_idle"},
            "dcgm_level": {"type": "int", "choices": [1, 2, 3, 4], "default": 2},
            "dcgm_for_s": {"type": "float", "default": 0},
            "timeout_s": {"type": "float", "default": 7200},
            "container_image": {"type": "str"},
            "nvbandwidth": {"type": "str", "default": "nvbandwidth"},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        skipped = {name: {"skipped": "Check mode starts nothing.", "seconds": 0.0} for name in module.params["tests"]}
        module.exit_json(changed=False, **{**_NOTHING, **skipped})
    try:
        found = probe(Request(**module.params), ModuleRunner(module))
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
