#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_server
short_description: Take servers of the gateway out of service, and put them back
description:
  - Sets servers of the gateway on this host to drain, to maintenance or back to ready, and reads back what became of
    it. HAProxy answers errors as words, with success.
  - Waits for the streams that are open on them, also those of workers from before a reload.
  - What is set survives reloads and restarts of the gateway.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  host:
    description:
      - All servers on this host of the inventory. That there is none is no error.
    type: str
  server:
    description:
      - The server of this name, as C(host:instance).
    type: str
  backend:
    description:
      - Servers of this backend, as V(model.chat) or V(chat).
    type: str
  state:
    description:
      - V(drain) lets streams end, and gives no new ones. Checks go on.
      - V(maint) does the same, without checks. Streams are not cut.
      - A server that is in maintenance stays there with V(drain).
      - V(ready) ends both.
    type: str
    choices: [ready, drain, maint]
    required: true
  timeout_s:
    description:
      - Seconds to wait until no stream is open on the servers. With O(state=ready), until their checks pass. With 0,
        nothing is waited for.
    type: int
    default: 0
  confirm_s:
    description:
      - With O(state=ready), seconds to wait for an answer of each server to a client, after its checks pass. What a
        check has found can be older than what was done to the host.
      - It ends with the first answer. A server that nobody asks must pass its checks all that time, which should be
        longer than the interval between them.
      - It is part of O(timeout_s).
    type: int
    default: 0
    version_added: 0.1.0
  on_timeout:
    description:
      - What becomes of the run after that. The state that was set stays in any case.
    type: str
    choices: [fail, continue]
    default: fail
  allow_last:
    description:
      - Whether the last server that a model has may be taken. Its clients get 503 at once, and do not wait.
    type: bool
    default: false
  keep_maint:
    description:
      - Whether O(state=ready) leaves servers alone that are in maintenance, and ends a drain only.
    type: bool
    default: false
extends_documentation_fragment:
  - mlops.hosts._attributes
notes:
  - It needs root, as the sockets of the gateway do.
seealso:
  - module: mlops.hosts.gateway_info
"""

EXAMPLES = r"""
- name: Take a host out of service, and wait for its streams
  mlops.hosts.gateway_server:
    host: gpu1
    state: drain
    timeout_s: 600
  become: true
  delegate_to: gateway

- name: Put it back, and wait until its checks pass
  mlops.hosts.gateway_server:
    host: gpu1
    state: ready
    timeout_s: 60
  become: true
  delegate_to: gateway

- name: Take one instance out of one model
  mlops.hosts.gateway_server:
    server: gpu1:chat
    backend: chat
    state: maint
  become: true
"""

RETURN = r"""
servers:
  description: The servers that are meant, as they are after the run. In check mode, as they would be.
  type: list
  elements: dict
  returned: always
  contains:
    backend:
      description: Name of the backend.
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
    state_before:
      description: What it was before, as RV(servers[].state).
      type: str
    state:
      description: V(up), V(starting), V(down) or V(stopping) by its checks, or V(drain) or V(maint).
      type: str
    open:
      description: Streams that are left, and requests that wait for this server.
      type: int
    queued:
      description: Those of them that wait.
      type: int
    weight:
      description: Its share of requests.
      type: int
    check_status:
      description: What its last check has found.
      type: str
    answered:
      description: Whether a client had an answer of it with status 2xx, since the module waits.
      type: bool
open:
  description: Streams that are left on all of them.
  type: int
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._gateway.arguments import ONE_OF, SERVER
from ..module_utils._gateway.host import Gateway
from ..module_utils._gateway.servers import Options, converge
from ..module_utils._runner import ModuleRunner
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(argument_spec=SERVER, required_one_of=ONE_OF, supports_check_mode=True)
    try:
        gateway = Gateway(run=ModuleRunner(module))
        result = converge(gateway, Options(**module.params), dry_run=module.check_mode)
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
