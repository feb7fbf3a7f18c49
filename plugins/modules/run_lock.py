#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let one run at a time change a host
description:
  - Locks a host for the C(ansible-playbook) that runs, over all its tasks, and unlocks it. Another run that locks the
    host meanwhile fails, and its message says who has it.
  - A run that was killed leaves its lock. The next one from the same controller sees that its process is gone, and
    takes the host over. Of a run from elsewhere, or from before the controller booted, that cannot be seen; set
    O(take_over) when it has ended.
  - It binds those that ask for it, as the playbooks C(model_rollout), C(model_rollback) and C(driver_upgrade) do.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  purpose:
    description: What the run does, for the message that others get.
    type: str
    required: true
  state:
    description:
      - V(locked) for the run that this task is part of, or V(unlocked). What another run has locked stays so.
    type: str
    choices: [locked, unlocked]
    required: true
  take_over:
    description: Whether the host is taken from another run. It is not told.
    type: bool
    default: false
  _run:
    description: Filled in by the action plugin. Not for use.
    type: dict
    suboptions:
      controller:
        description: Name of the controller.
        type: str
        required: true
      kernel:
        description: What tells two controllers of one name from each other.
        type: str
        default: ""
      pid:
        description: Process id of C(ansible-playbook) there.
        type: int
        required: true
      process_start:
        description: What tells two processes of one id from each other.
        type: str
        default: ""
      since:
        description: The time there.
        type: str
        required: true
  _instead_of:
    description: Filled in by the action plugin, a run that has ended. Not for use.
    type: dict
extends_documentation_fragment:
  - mlops.hosts._attributes
  - mlops.hosts._attributes.action
notes:
  - It needs root.
"""

EXAMPLES = r"""
- name: Lock the host
  mlops.hosts.run_lock:
    purpose: firmware_upgrade
    state: locked
  become: true

- name: Unlock it
  mlops.hosts.run_lock:
    purpose: firmware_upgrade
    state: unlocked
  become: true
"""

RETURN = r"""
holder:
  description: Who has locked the host. Null when nobody has.
  returned: always
  type: dict
  contains:
    purpose:
      description: What the run does.
      type: str
      sample: model_rollout
    controller:
      description: Name of the controller.
      type: str
    kernel:
      description: What tells two controllers of one name from each other. Empty where the controller does not say.
      type: str
    pid:
      description: Process id of C(ansible-playbook) there.
      type: int
    process_start:
      description: What tells two processes of one id from each other. Empty where the controller does not say.
      type: str
    since:
      description: When it locked the host, by the clock of the controller.
      type: str
      sample: "2026-11-30T10:00:00Z"
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._run_lock import ARGUMENTS, holder, lock, unlock
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if not given["_run"]:
        module.fail_json(
            msg="run_lock needs its action plugin, which says whose run this is; call it as mlops.hosts.run_lock"
        )
    try:
        me = holder({**given["_run"], "purpose": given["purpose"]})
        if given["state"] == "locked":
            gone = holder(given["_instead_of"]) if given["_instead_of"] else None
            found = lock(me, instead_of=gone, dry_run=module.check_mode)
        else:
            found = unlock(me, dry_run=module.check_mode)
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=found.changed, holder=dataclasses.asdict(found.holder) if found.holder else None)


if __name__ == "__main__":
    main()
