#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Tell which roles of this collection differ on a host
description:
  - Reads the variables of roles, builds what they desire on the controller, and compares the host with all of it in one
    program. A host where nothing differs costs two round trips, or one where its platform is known.
  - Nothing is changed, and the answer is not trusted for a change. A role that differs has to run.
  - Without pipelining, under Mitogen, and where the task is delegated or has an environment, a host cannot be asked so.
    Then every role counts as one that differs.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  roles:
    description:
      - Names of roles of this collection, in the order in which they run.
      - With C(--tags) and C(--skip-tags), those count whose name is a tag that runs.
    type: list
    elements: str
    required: true
  gpus:
    description: Return what M(mlops.hosts.gpu_info) returns as well.
    type: bool
    default: false
  gpu_events:
    description:
      - Return what M(mlops.hosts.gpu_events_info) returns of the last seven days as well, with the newest five events.
    type: bool
    default: false
  details:
    description:
      - Return the result of each role, as its registered variable has it in check mode.
      - Costs more round trips for roles that differ.
    type: bool
    default: false
attributes:
  check_mode:
    description: It changes nothing.
    support: full
  diff_mode:
    description: With O(details), shows what roles that differ would change.
    support: full
  action:
    description: An action plugin builds the roles' components, and asks the host.
    support: full
  platform:
    description: Linux with systemd.
    platforms: linux
    support: full
seealso:
  - module: mlops.hosts.role_component
"""

EXAMPLES = r"""
- name: Compare the host with two roles
  mlops.hosts.host_check:
    roles: [model_store, model_server]
  become: true
  register: host_check_result

- name: Nothing differs
  ansible.builtin.meta: end_host
  when: (host_check_result.differing + host_check_result.removing) | length == 0
"""

RETURN = r"""
compared:
  description: The roles that were compared. With tags, those that they select.
  type: list
  elements: str
  returned: success
differing:
  description:
    - Roles to run, in order. Those that differ, those of which only the role itself can tell, and those that stand on
      one of them.
  type: list
  elements: str
  returned: success
removing:
  description: Roles whose state is V(absent) and that have something to remove, in reverse order.
  type: list
  elements: str
  returned: success
roles:
  description: The result of each role by its name, those that failed with C(failed) and C(msg).
  type: dict
  returned: when O(details) is true
gpus:
  description: What M(mlops.hosts.gpu_info) returns, or C(failed) and C(msg).
  type: dict
  returned: when O(gpus) is true
gpu_events:
  description: What M(mlops.hosts.gpu_events_info) returns, or C(failed) and C(msg).
  type: dict
  returned: when O(gpu_events) is true
"""
