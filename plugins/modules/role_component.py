#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: role_component
short_description: Converge the component of a role of this collection
description:
  - Reads the variables of a role with the types of its argument specification, builds M(mlops.hosts.component) options
    of them on the controller, compares the host, and changes it where it differs.
  - What is invalid, and what conflicts with the host, is refused in sentences, all at once, before anything changes.
  - The roles of this collection run it. A playbook runs the role.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  role:
    description: Name of the role, whose variables are read.
    type: str
    required: true
attributes:
  diff_mode:
    details: As that of M(mlops.hosts.component).
  platform:
    details: Linux with systemd.
extends_documentation_fragment:
  - mlops.hosts._attributes.action
  - mlops.hosts._attributes
"""

EXAMPLES = r"""
- name: Converge
  mlops.hosts.role_component:
    role: cuda_toolkit
  become: true
  register: cuda_toolkit_result
"""

RETURN = r"""
component:
  description:
    - Name of the component; null where the role has nothing to do with the host. The other return values of
      M(mlops.hosts.component) are there too where it is not null.
  type: str
  returned: always
state:
  description: The role's option of that name, V(present) or V(absent).
  type: str
  returned: always
drift:
  description: What differed, as M(mlops.hosts.component) returns it.
  type: list
  elements: dict
  returned: always
verify:
  description: What the role's own checks need; null where there is nothing to verify.
  type: dict
  returned: always
"""
