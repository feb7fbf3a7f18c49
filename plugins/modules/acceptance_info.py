#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: acceptance_info
short_description: Read in one round trip what tells whether a host may take work
description:
  - Returns what M(mlops.hosts.gpu_info), M(mlops.hosts.driver_info), M(mlops.hosts.gpu_events_info) of this boot,
    M(mlops.hosts.cdi_info) and M(mlops.hosts.container_runtime_info) return. One program on the host asks for all of
    it, where the host can be asked so.
  - What cannot be read has C(failed) and C(msg) in the place of the answer, and is no failure of the task.
  - The role P(mlops.hosts.acceptance#role) runs it, and compares the answers with what is expected.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options: {}
extends_documentation_fragment:
  - mlops.hosts._attributes.action
  - mlops.hosts._attributes.read_only
notes:
  - It needs root, as M(mlops.hosts.driver_info) and M(mlops.hosts.cdi_info) do.
seealso:
  - module: mlops.hosts.host_check
  - module: mlops.hosts.gpu_probe
"""

EXAMPLES = r"""
- name: Read what the host is
  mlops.hosts.acceptance_info:
  become: true
  register: host
"""

RETURN = r"""
gpus:
  description: As M(mlops.hosts.gpu_info).
  type: dict
  returned: success
driver:
  description: As M(mlops.hosts.driver_info).
  type: dict
  returned: success
gpu_events:
  description: As M(mlops.hosts.gpu_events_info) with O(mlops.hosts.gpu_events_info#module:boot=current).
  type: dict
  returned: success
cdi_nvidia:
  description: As M(mlops.hosts.cdi_info) for NVIDIA.
  type: dict
  returned: success
cdi_amd:
  description: As M(mlops.hosts.cdi_info) for AMD.
  type: dict
  returned: success
docker:
  description: As M(mlops.hosts.container_runtime_info) for Docker.
  type: dict
  returned: success
podman:
  description: As M(mlops.hosts.container_runtime_info) for Podman.
  type: dict
  returned: success
"""
