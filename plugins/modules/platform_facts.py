#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: platform_facts
short_description: Say which distribution a host runs, and nothing else
description:
  - Sets the facts about the distribution and the machine that a role needs to choose its variables, for a fraction of
    what gathering facts costs.
  - On Debian and Ubuntu C(/etc/os-release) is read, without Python. On all others M(ansible.builtin.setup) is run, and
    gathers the same facts and more about the distribution.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
extends_documentation_fragment:
  - mlops.hosts._attributes.action
  - mlops.hosts._attributes.read_only
"""

EXAMPLES = r"""
- name: Gather what is missing of the platform's facts
  mlops.hosts.platform_facts:
  when: "'distribution_release' not in ansible_facts"
"""

RETURN = r"""
ansible_facts:
  description: The facts, named as M(ansible.builtin.setup) names them.
  returned: always
  type: dict
  contains:
    architecture:
      description: The machine, as C(uname -m) names it.
      returned: always
      type: str
      sample: x86_64
    distribution:
      description: Name of the distribution.
      returned: always
      type: str
      sample: Debian
    distribution_release:
      description: Code name of its release.
      returned: always
      type: str
      sample: trixie
    os_family:
      description: Name of the family of distributions.
      returned: always
      type: str
      sample: Debian
"""
