#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: acceptance_report
short_description: Write on the controller which hosts were accepted
description:
  - Writes C(acceptance.json) and C(junit.xml), with a suite for each host and a case for each check. Earlier ones are
    replaced, each as a whole.
  - The role P(mlops.hosts.acceptance#role) runs it, once for all hosts of a batch.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  dir:
    description: The directory on the controller. It is created.
    type: str
    required: true
  results:
    description: What P(mlops.hosts.acceptance_result#filter) returns, by the name of the host.
    type: dict
    required: true
  not_tested:
    description: Names of hosts that have no result yet.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: The files are written in check mode too. Nothing on a host changes.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Any controller.
    platforms: posix
    support: full
extends_documentation_fragment:
  - mlops.hosts._attributes.action
"""

EXAMPLES = r"""
- name: Write what two hosts were found to be
  mlops.hosts.acceptance_report:
    dir: ./acceptance
    results:
      gpu1: "{{ hostvars.gpu1.acceptance_result }}"
      gpu2: "{{ hostvars.gpu2.acceptance_result }}"
  run_once: true
"""

RETURN = r"""
paths:
  description: The files.
  type: list
  elements: str
  returned: success
"""
