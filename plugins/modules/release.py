#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Keep a vendor's release in a folder of its own, by the sha256 of its archive
description:
  - Fetches an archive, compares its sha256, and unpacks it as C(BASE/NAME-VERSION-SHA256), with the first 12 digits
    of the sha256. Where the archive has one folder with all else in it, that folder is left out.
  - A release never changes its content. Another version is another folder, and the one before stays, so that a service
    can go back to it; earlier ones are removed.
  - A release is unpacked beside its place and gets a marker there, and then appears in one step. A folder without the
    marker is never taken for a release; one that was still beside its place is removed by the next run that changes
    something.
  - On a host that is right nobody is asked for the archive, and no file of the release is read.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  name:
    description: Name of the release, such as V(node_exporter).
    type: str
    required: true
  state:
    description:
      - V(present) makes the release complete.
      - V(absent) removes all versions of the release.
    type: str
    choices: [present, absent]
    default: present
  version:
    description: Its version, which is part of its path. Required when O(state=present).
    type: str
  url:
    description:
      - Address of the archive, of tar, plain or compressed with gzip, bzip2 or xz. It must not hold a login.
      - Required when O(state=present).
    type: str
  sha256:
    description: The sha256 of the archive, as the vendor lists it. Required when O(state=present).
    type: str
  programs:
    description:
      - Programs that must be in the release, by their paths in it. When one is lost on the host, the release is
        fetched again.
    type: list
    elements: str
    default: []
  base:
    description: Folder of all releases.
    type: path
    default: /opt/mlops.hosts/releases
  ca_path:
    description: File of certificates (PEM) to trust, instead of the host's own.
    type: path
  timeout_s:
    description: Seconds for a connection, and for each read.
    type: float
    default: 60
  retries:
    description: Attempts after the first, where no whole answer came.
    type: int
    default: 3
attributes:
  check_mode:
    details:
      - Says what would change, and asks nobody for the archive.
  diff_mode:
    support: none
    details:
      - What differs is in RV(drift).
extends_documentation_fragment:
  - mlops.hosts._attributes
seealso:
  - module: mlops.hosts.model_artifact
  - module: mlops.hosts.python_environment
"""

EXAMPLES = r"""
- name: Keep a release of node_exporter
  mlops.hosts.release:
    name: node_exporter
    version: 1.10.2
    url: https://github.com/prometheus/node_exporter/releases/download/v1.10.2/node_exporter-1.10.2.linux-amd64.tar.gz
    sha256: "{{ node_exporter_sha256 }}"
    programs: [node_exporter]
  register: node_exporter

- name: Show where it is
  ansible.builtin.debug:
    msg: "{{ node_exporter.path }}/node_exporter"
"""

RETURN = r"""
path:
  description: Folder of the release, which is there when the module has ended. Null with O(state=absent).
  returned: success
  type: str
  sample: /opt/mlops.hosts/releases/node_exporter-1.10.2-0123456789ab
removed:
  description: Folders of the release that were removed, or would be.
  returned: success
  type: list
  elements: str
drift:
  description: Every difference that was found, before anything was changed.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Always V(release).
      type: str
    item:
      description: Name and version of the release.
      type: str
    attribute:
      description: V(version) for one that is not there, V(content) for one without a program, or V(state).
      type: str
    want:
      description: What is desired.
      type: raw
    have:
      description: What was found.
      type: raw
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._http_module import ModuleFetch
from ..module_utils._release.arguments import REQUIRED_IF, SPEC
from ..module_utils._release.plan import desired, make
from ..module_utils._release.release import RunEnvironment, ensure
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    given = module.params
    host = RunEnvironment(
        fetch=ModuleFetch(ca_path=given["ca_path"]),
        clock=time.monotonic,
        sleep=time.sleep,
        timeout_s=given["timeout_s"],
        retries=given["retries"],
    )
    try:
        release = desired(given)
        result = make(release).result if module.check_mode else ensure(release, host)
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
