#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: log_shipper_info
short_description: Tell for which sinks of the log shipper lines wait
description:
  - Tells of the shipper that the role P(mlops.hosts.log_shipper#role) has set up for which sinks lines wait, and
    about how many.
  - Lines that are on their way, and are sent within some seconds, do not count.
  - Of rsyslog and syslog-ng the journal is counted, and what they say of their sinks. Other programs do not tell how
    many lines wait. Sinks that do not answer are taken for sinks that have some, with an unknown number.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  desired:
    description:
      - What the role is about to write as F(/etc/mlops-log-shipper/plan.json). Then only sinks are looked at whose
        lines that change would lose.
    type: dict
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
notes:
  - It needs root, as the buffers of the shipper do.
seealso:
  - name: Logs
    description: How logs are shipped, and what may be lost.
    link: https://github.com/mlops-hosts/mlops.hosts/blob/main/docs/logs.md
"""

EXAMPLES = r"""
- name: For which sinks do lines wait
  mlops.hosts.log_shipper_info:
  become: true
  register: shipper

- name: Wait until all is sent
  mlops.hosts.log_shipper_info:
  become: true
  register: shipper
  until: shipper.sinks == []
  retries: 60
  delay: 10
"""

RETURN = r"""
provider:
  description: The program that ships. Null where the role has set up none.
  type: str
  returned: success
  sample: rsyslog
sinks:
  description: Sinks for which lines wait.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the sink.
      type: str
      sample: central
    lines:
      description: About so many lines wait. Null where that is not known.
      type: int
      sample: 40
    since:
      description: From when on the sink takes none, in UTC. Null where that is not known.
      type: str
      sample: "2026-12-01T10:00:00Z"
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._log_shipper import backlog, paths
from ..module_utils._log_shipper.arguments import INFO
from ..module_utils._runner import ModuleRunner


def main() -> None:
    module = AnsibleModule(argument_spec=INFO, supports_check_mode=True)
    host = backlog.Host(ModuleRunner(module), backlog.From, Path(paths.SPOOL))
    try:
        found = backlog.collect(Path(paths.PLAN), module.params["desired"], host)
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
