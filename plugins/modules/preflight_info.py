#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Read the state of paths, TCP ports and models
description:
  - Tells whether paths exist, with owner and mode, which process and unit listens on which TCP port, and how large the
    weights of models are.
  - It is for playbooks that look before they act. M(mlops.hosts.component) has an option for what it needs of a host,
    O(mlops.hosts.component#module:requires).
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  paths:
    description: Paths to inspect. Links are followed. The content of files is not read.
    type: list
    elements: path
    default: []
  ports:
    description: TCP ports to look for.
    type: list
    elements: int
    default: []
  models:
    description: Directories with models in safetensors. Of each file the head is read, which says what is in it.
    type: list
    elements: path
    default: []
attributes:
  platform:
    details: It reads C(/proc).
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
notes:
  - Without root, the processes of other users are not seen; then RV(listeners[].pid), RV(listeners[].process) and
    RV(listeners[].unit) are null. A path in a folder that is for root only makes the module fail.
seealso:
  - module: mlops.hosts.component
"""

EXAMPLES = r"""
- name: Who has port 8001
  mlops.hosts.preflight_info:
    ports: [8001]
  become: true
  register: preflight

- name: Read the modes of a model and a key
  mlops.hosts.preflight_info:
    paths:
      - /var/lib/mlops-models/chat.gguf
      - /etc/chat/api-key
"""

RETURN = r"""
paths:
  description: The paths, in the order asked for.
  type: list
  elements: dict
  returned: always
  contains:
    path:
      description: The path.
      type: str
      sample: /etc/chat/api-key
    kind:
      description: C(file), C(directory), C(other) or C(absent). With C(absent) the rest is null.
      type: str
      sample: file
    mode:
      description: Permission bits, four octal digits.
      type: str
      sample: "0600"
    owner:
      description: Owner, as a number when it has no name.
      type: str
      sample: root
    group:
      description: Group, as a number when it has no name.
      type: str
      sample: root
    size_bytes:
      description: Size in bytes.
      type: int
      sample: 33
listeners:
  description: TCP sockets that listen on one of the ports.
  type: list
  elements: dict
  returned: always
  contains:
    port:
      description: The port.
      type: int
      sample: 8001
    address:
      description: The address that it listens on. C(0.0.0.0) and C(::) mean all.
      type: str
      sample: 127.0.0.1
    pid:
      description: Number of the process. Null when it cannot be seen.
      type: int
      sample: 812
    process:
      description: Name of the process.
      type: str
      sample: nginx
    unit:
      description: The systemd unit that the process belongs to.
      type: str
      sample: nginx.service
models:
  description: The models, in the order asked for.
  type: list
  elements: dict
  returned: always
  contains:
    path:
      description: The path.
      type: str
      sample: /srv/models/chat
    size_bytes:
      description: Size of the weights as they lie in the files. Null where there are none that can be read.
      type: int
      sample: 16060522496
    narrow_bytes:
      description:
        - The same with 16 bits for each number of 32 and 64, as servers load them unless they are told otherwise.
      type: int
      sample: 16060522496
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._preflight import inspect, listeners
from ..module_utils._privileges import denied
from ..module_utils._weights import weights


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "models": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        paths = [dataclasses.asdict(inspect(path)) for path in module.params["paths"]]
        found = [dataclasses.asdict(item) for item in listeners(module.params["ports"])]
        models = [dataclasses.asdict(weights(path)) for path in module.params["models"]]
    except PermissionError as exc:
        module.fail_json(msg=str(denied(str(exc.filename))))
    except OSError as exc:
        module.fail_json(msg=f"the host could not be read: {exc}")
    module.exit_json(changed=False, paths=paths, listeners=found, models=models)


if __name__ == "__main__":
    main()
