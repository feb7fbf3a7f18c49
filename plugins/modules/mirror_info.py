#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: mirror_info
short_description: Tell whether a host reaches all that it needs of a mirror of a bundle
description:
  - Asks the mirror, from the host, for each file that the manifest names for these components and the release of the
    host. The sizes of all files are compared, and the contents of indexes.
  - Contents of packages, models, wheels and images are verified when they are installed.
  - M(mlops.hosts.host_check) runs it where C(mlops_hosts_mirror) is set, before a role changes the host.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  url:
    description: Address of the mirror, where C(bundle.json) is.
    type: str
    required: true
  manifest:
    description: The manifest of the bundle, as text or as data, from a place that is trusted.
    type: raw
    required: true
  components:
    description: Names of components.
    type: list
    elements: str
    required: true
  suite:
    description: The release of the host, such as V(trixie) or V(el9). Without it, it is read.
    type: str
  arch:
    description: The architecture of the host, as dpkg and images call it. Without it, it is read.
    type: str
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
seealso:
  - module: mlops.hosts.bundle
"""

EXAMPLES = r"""
- name: Ask the mirror
  mlops.hosts.mirror_info:
    url: https://mirror.example.org/bundle
    manifest: "{{ lookup('ansible.builtin.file', 'bundle.json') }}"
    components: [container_runtime, model_store]
  register: mirror
"""

RETURN = r"""
asked:
  description: How many files the mirror was asked for.
  type: int
  returned: success
problems:
  description: A sentence for each that is missing, or is not what the manifest says.
  type: list
  elements: str
  returned: success
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bundle.arguments import MIRROR_INFO
from ..module_utils._bundle.host import architecture, suite
from ..module_utils._bundle.manifest import parse
from ..module_utils._bundle.reach import problems
from ..module_utils._errors import HostError
from ..module_utils._http_module import ModuleFetch
from ..module_utils._runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=MIRROR_INFO, supports_check_mode=True)
    params = module.params
    text = params["manifest"] if isinstance(params["manifest"], str) else json.dumps(params["manifest"])
    try:
        release = params["suite"] or suite()
        arch = params["arch"] or architecture(ModuleRunner(module))
        needed = parse(text, "the manifest").needed(params["components"], release, arch)
        found = problems(params["url"], needed, ModuleFetch())
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, asked=len(needed), problems=found)


if __name__ == "__main__":
    main()
