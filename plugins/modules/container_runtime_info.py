#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: container_runtime_info
short_description: Read the state of a container engine
description:
  - Tells how many containers run, whether they would outlive a restart of the engine, and which options its unit gives
    to the engine, which must not be in its configuration file as well.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  provider:
    description:
      - The container engine.
      - Podman has no daemon, and containers of containerd and CRI-O go on without it, so of these only RV(mounts) is
        told, of Podman RV(version) as well, and of containerd RV(configuration).
  mounts:
    description: Paths of which RV(mounts) tells whether they are mount points.
    type: list
    elements: path
    default: []
  containerd_settings:
    description:
      - Text of C(/etc/containerd/mlops-hosts/settings.toml). RV(configuration.effective) tells what containerd would
        run with if that were the file. Nothing is written to C(/etc/containerd).
    type: str
extends_documentation_fragment:
  - mlops.hosts._attributes.read_only
  - mlops.hosts._container_engine
notes:
  - It needs root, and fails without it. Other users are told nothing by the engine, and less than there is by files.
seealso:
  - module: mlops.hosts.cdi_info
  - module: mlops.hosts.component
"""

EXAMPLES = r"""
- name: Read whether containers outlive a restart of Docker
  mlops.hosts.container_runtime_info:
  become: true
  register: engine

- name: Check that the disk for images is mounted
  mlops.hosts.container_runtime_info:
    provider: podman
    mounts: [/srv/containers]
  become: true
"""

RETURN = r"""
active:
  description: Whether the unit of the engine is active.
  type: bool
  returned: success
version:
  description: Version of the Docker that runs, or of the Podman that is installed. Null without one.
  type: str
  returned: success
running:
  description: Number of running containers. Null when the engine does not tell.
  type: int
  returned: success
live_restore:
  description: Whether containers outlive the engine, as it runs now. Null when it does not tell.
  type: bool
  returned: success
flags:
  description:
    - Options that the unit of the engine gives to it, as of the next C(daemon-reload).
    - A shell's C(-c) is read, and what a script of its own does is not.
  type: list
  elements: dict
  returned: success
  contains:
    key:
      description: The key of C(daemon.json) that the option stands for.
      type: str
      sample: log-driver
    flag:
      description: The option.
      type: str
      sample: --log-driver
    source:
      description: The file that has it, which is one of the unit's or one of environment variables.
      type: str
      sample: /etc/systemd/system/docker.service.d/override.conf
config_keys:
  description: Keys of C(/etc/docker/daemon.json).
  type: list
  elements: str
  returned: success
mounts:
  description: Of each path that was asked for, whether it is a mount point.
  type: dict
  returned: success
docker_group:
  description: Users in the group that can talk to Docker, which is as good as root. Null where there is no such group.
  type: list
  elements: str
  returned: success
cdi_enabled:
  description: Whether Docker gives devices to containers by CDI. Null where it does not tell, and of other engines.
  type: bool
  returned: success
configuration:
  description:
    - What containerd runs with. Null for other engines. There may be passwords of registries in it.
  type: dict
  returned: success
  contains:
    files:
      description: Texts of the TOML files of others below C(/etc/containerd), and of those that they import, by path.
      type: dict
    defaults:
      description: What is built in, as C(containerd config default) prints it. Null where containerd is not installed.
      type: str
    site:
      description: What C(/etc/containerd/config.toml) makes of that, as C(containerd config dump) prints it.
      type: str
    effective:
      description: The same with the files of the role. Null where there are none.
      type: str
    problem:
      description: Why containerd does not print it, a sentence. Empty where it does.
      type: str
    cri:
      description: The status of the plugin for Kubernetes. Null where there is none, and where containerd does not run.
      type: str
      sample: ok
    commands:
      description: What starts containerd, by the files of its unit but the role's, each with its C(source).
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._container_runtime.arguments import INFO
from ..module_utils._container_runtime.fast_check import seen
from ..module_utils._errors import HostError
from ..module_utils._privileges import require_root
from ..module_utils._runner import ModuleRunner


class _Module(AnsibleModule):  # type: ignore[misc]  # to mypy it is Any
    """An AnsibleModule that does not write settings, which may hold passwords, to the host's journal."""

    def _log_invocation(self) -> None:
        self.log(f"container_runtime_info of {self.params['provider']}")


def main() -> None:
    module = _Module(argument_spec=INFO, supports_check_mode=True)
    try:
        require_root("container_runtime_info", "to ask the engine and to read its files and mounts")
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **seen(module.params, ModuleRunner(module)))


if __name__ == "__main__":
    main()
