#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Pull container images before they are needed
description:
  - Pulls images that are named by digest and are not there yet. The registry is not asked for images that are there.
  - When a registry does not give one, the message says why, such as an authority that the host does
    not know.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  images:
    description: Images, each as C(registry/name@sha256:...).
    type: list
    elements: str
    required: true
  provider:
    description:
      - The engine that has them.
      - For V(containerd) they lie in the namespace C(k8s.io), and registries are looked up in
        C(/etc/containerd/certs.d).
      - V(crio) is asked by C(crictl), which Kubernetes has in its package C(cri-tools).
  mirrors:
    description:
      - Images that a bundle of M(mlops.hosts.bundle) has, each with the address of the mirror where its C(bundle.json)
        is. Docker, Podman and containerd pull them from a registry that this module has on 127.0.0.1 meanwhile.
      - Docker knows such an image by its name there, as C(127.0.0.1:5098/registry/name@sha256:...), with C(_) for the
        colon in C(registry). Name it so, in O(images) too.
    type: dict
    default: {}
  timeout_s:
    description: How long one image may take, in seconds.
    type: int
    default: 3600
attributes:
  check_mode:
    details: Tells what would be pulled. The registry is not asked whether it has it.
  diff_mode:
    support: none
    details: RV(pulled) says it all.
extends_documentation_fragment:
  - mlops.hosts._attributes
  - mlops.hosts._container_engine
notes:
  - Logins and certificates are the engine's own. The role P(mlops.hosts.container_runtime#role) writes them.
seealso:
  - module: mlops.hosts.component
"""

EXAMPLES = r"""
- name: Pull the image before the change
  mlops.hosts.container_image:
    images:
      - registry.example.org/vllm@sha256:0ffdcbd0c2ad9e2ea1bf4a4bb1bd2a7b8a1f4f8e6b1f7c9e6a3a5f0e4c2d1b90
  become: true
"""

RETURN = r"""
pulled:
  description: Images that were pulled, or would be.
  type: list
  elements: str
  returned: success
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._container_runtime.arguments import IMAGE
from ..module_utils._container_runtime.images import missing, pull
from ..module_utils._errors import HostError
from ..module_utils._runner import ModuleRunner
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(argument_spec=IMAGE, supports_check_mode=True)
    run, provider = ModuleRunner(module), module.params["provider"]
    for image in module.params["images"]:
        if not re.fullmatch(r"[^\s@]+@sha256:[0-9a-f]{64}", image):
            module.fail_json(msg=f"image {image} has no digest; name it as registry/name@sha256:...")
    lacking = missing(module.params["images"], provider, run)
    try:
        for image in [] if module.check_mode else lacking:
            mirror = module.params["mirrors"].get(image)
            pull(image, provider, run, timeout_s=module.params["timeout_s"], mirror=mirror)
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=bool(lacking), pulled=lacking)


if __name__ == "__main__":
    main()
