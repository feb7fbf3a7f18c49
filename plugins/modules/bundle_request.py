#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_request
short_description: Tell what the roles of a host would install
description:
  - Builds what roles desire of a host on the controller, from the variables of the host, and returns what they would
    install.
  - Delegated to a host of the same distribution and release, that one is asked in its place what the roles ask of a
    host.
  - Nothing is changed.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  roles:
    description: Names of roles of this collection.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: It changes nothing.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
  action:
    description: An action plugin builds the roles' components.
    support: full
  platform:
    description: Linux with systemd.
    platforms: linux
    support: full
seealso:
  - module: mlops.hosts.bundle
"""

EXAMPLES = r"""
- name: Tell what the roles of the host would install
  mlops.hosts.bundle_request:
    roles: [container_runtime, model_runtime]
  delegate_to: a-host-with-access
  become: true
  register: bundle_request
"""

RETURN = r"""
os_family:
  description: Name of the family of distributions of the host that was asked.
  type: str
  returned: success
components:
  description: Those that install packages, each with C(role), C(name), C(repositories), C(packages) and C(preferences).
  type: list
  elements: dict
  returned: success
images:
  description: Container images, each with C(name) and the C(role) that has an engine pull it.
  type: list
  elements: dict
  returned: success
models:
  description: The artefacts of C(model_store) that a bundle can have.
  type: list
  elements: dict
  returned: success
not_mirrored:
  description: Sources of models, and addresses of releases, that a bundle cannot have.
  type: list
  elements: str
  returned: success
refused:
  description: A sentence for each role that cannot be built, such as one that decides by GPUs.
  type: list
  elements: str
  returned: success
environments:
  description: The environments of C(model_runtime).
  type: list
  elements: dict
  returned: success
"""
