#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring_info
short_description: Tell whether the monitoring of a host runs what is on disk, and which targets are down
description:
  - Asks what the role P(mlops.hosts.monitoring#role) has put on this host (Prometheus, Alertmanager and node_exporter)
    what it runs, and compares that with the files on disk.
  - A reload that has failed, or that nobody has done, leaves files that are not the ones that run.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
seealso:
  - module: mlops.hosts.gateway_info
"""

EXAMPLES = r"""
- name: How is the monitoring
  mlops.hosts.monitoring_info:
  register: monitoring

- name: Stop when a target is down
  ansible.builtin.assert:
    that: monitoring.problems + monitoring.notes == []
    fail_msg: "{{ (monitoring.problems + monitoring.notes) | join(' ') }}"
"""

RETURN = r"""
parts:
  description: What the role has put on the host, C(node_exporter), C(prometheus) and C(alertmanager).
  type: list
  elements: str
  returned: success
stale:
  description: Units that run files which are not those on disk.
  type: list
  elements: str
  returned: success
  sample: [mlops-prometheus.service]
problems:
  description:
    - A sentence for each way in which they do not run what is on disk, such as a rule that cannot be evaluated, or a
      target that is not known.
  type: list
  elements: str
  returned: success
notes:
  description:
    - Sentences about others, such as targets that are down and text files that node_exporter cannot read. With
      problems nothing is said of these.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._http_plain import PlainFetch
from ..module_utils._monitoring.arguments import INFO
from ..module_utils._monitoring.info import collect


def main() -> None:
    module = AnsibleModule(argument_spec=INFO, supports_check_mode=True)
    try:
        found = collect(PlainFetch())
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
