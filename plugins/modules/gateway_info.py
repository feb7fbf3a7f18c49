#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_info
short_description: Tell what the gateway of a host runs, and how its servers are
description:
  - Asks HAProxy of the gateway on this host what it runs, and compares that with the files on disk.
  - A reload that has failed, or that nobody has done, leaves files that are not the ones that run.
  - Workers that are left from before a reload are listed. They end with their last stream.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
notes:
  - It needs root, as the sockets of the gateway do.
  - Neither keys nor hashes of keys are returned.
seealso:
  - module: mlops.hosts.gateway_server
"""

EXAMPLES = r"""
- name: How is the gateway
  mlops.hosts.gateway_info:
  become: true
  register: gateway

- name: Stop when what is on disk is not what runs
  ansible.builtin.assert:
    that: gateway.running and gateway.matches_disk
    fail_msg: "{{ gateway.reasons | join(' ') }}"
"""

RETURN = r"""
running:
  description: Whether a worker answers.
  type: bool
  returned: success
matches_disk:
  description: Whether what runs is what is on disk. Null when nothing runs.
  type: bool
  returned: success
reasons:
  description: A sentence for each way in which it is not so, or why nothing runs.
  type: list
  elements: str
  returned: success
version:
  description: Version of HAProxy that runs. Null when nothing runs.
  type: str
  returned: success
  sample: 3.0.11-1+deb13u5
workers:
  description: The worker that serves, and those before it that have streams left.
  type: list
  elements: dict
  returned: success
  contains:
    pid:
      description: Process id.
      type: int
    serving:
      description: Whether new connections come to it.
      type: bool
    uptime_s:
      description: Seconds since it was started.
      type: int
    open:
      description: Open connections of clients. Null of one that is overdue and does not answer.
      type: int
    overdue:
      description: Whether it should have ended by now. The next reload ends it.
      type: bool
servers:
  description: The servers of all backends.
  type: list
  elements: dict
  returned: success
  contains:
    backend:
      description: Name of the backend, one for each model.
      type: str
      sample: model.chat
    server:
      description: Name of the server.
      type: str
      sample: gpu1:chat
    host:
      description: The name that its host has in the inventory.
      type: str
    instance:
      description: Name of the instance on that host.
      type: str
    address:
      description: Where requests go.
      type: str
    port:
      description: Where requests go.
      type: int
    state:
      description:
        - V(up), V(starting), V(down) or V(stopping) by its checks, where nobody has taken it out of service.
        - V(drain) or V(maint) where somebody has.
      type: str
    open:
      description: Open streams, of all workers, and requests that wait for this server.
      type: int
    queued:
      description: Those of them that wait.
      type: int
    weight:
      description: Its share of requests.
      type: int
    check_status:
      description: What its last check has found, such as V(L7OK) or V(L4CON). Empty without checks.
      type: str
certificates:
  description: The certificates that the files on disk name.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: The file.
      type: str
    position:
      description: Its place in the file. The first one is that of the gateway, and others have signed it.
      type: int
    not_before:
      description: When it begins.
      type: str
      sample: "2026-11-29T10:00:00Z"
    not_after:
      description: When it ends.
      type: str
    days_left:
      description: Whole days until then. Negative when it has expired.
      type: int
    expires_soon:
      description: Whether these are less than 14.
      type: bool
problems:
  description:
    - A sentence for each certificate that has expired, expires within 14 days or cannot be read, for each address of a
      server that does not resolve, and one when the last reload has failed. That is no difference of its own, as the
      files can be as they were before.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._gateway.arguments import INFO
from ..module_utils._gateway.host import Gateway
from ..module_utils._gateway.info import collect
from ..module_utils._runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=INFO, supports_check_mode=True)
    try:
        found = collect(Gateway(run=ModuleRunner(module)))
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
