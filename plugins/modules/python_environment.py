#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: python_environment
short_description: Keep Python environments that are made from pinned and hashed requirement sets
description:
  - Builds a virtual environment from a requirement set in which every version is pinned and every file has its hash,
    as model servers such as vLLM run from. What has another hash is not installed.
  - An environment is a folder that is named after its set and its Python. It never changes its content. A new set is a
    new folder next to the earlier one, which a server keeps until it is restarted.
  - It is complete once a marker has been written in it, which is the last step. What a run that was killed has left has
    none, is never taken for an environment, and is removed by the next run.
  - It holds its set and nothing else, so no pip.
  - On a host that is right no index is asked, and no file of the packages is read.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  name:
    description:
      - Name of the environment. Letters, digits, C(.), C(_) and C(-).
      - Required when O(state=present). Without it, V(absent) removes all environments in O(base).
    type: str
  state:
    description:
      - V(present) makes the environment of O(requirements) complete.
      - V(absent) removes all environments of the name. It is refused while a process runs from one, or a unit names it.
    type: str
    choices: [present, absent]
    default: present
  base:
    description: Folder of all environments.
    type: path
    default: /opt/mlops.hosts/environments
  python:
    description:
      - Name or path of the Python to make it from. Without it, the newest one that the host has.
      - With a version in its name, as in V(python3.12), RV(path) is known without asking the host.
    type: str
  requirements:
    description:
      - The set, as C(uv pip compile --generate-hashes) or C(pip-compile --generate-hashes) make it. See the notes.
      - Each line is C(name==version --hash=sha256:...), with extras and environment markers where they are needed, and
        with more than one hash where more than one file may be it. Comments and the order do not matter.
      - Options of pip, addresses, paths, and packages without a version or a hash are refused.
      - Required when O(state=present).
    type: str
  index_url:
    description:
      - Address of the package index. It may hold a login, which is not shown, and is in no command line.
      - Without it, pip is configured as the host has it, in C(/etc/pip.conf) for instance.
    type: str
  extra_index_urls:
    description: More indexes, beside O(index_url). They are shown as little.
    type: list
    elements: str
    default: []
  wheels:
    description:
      - Folder on the host with the wheels of the set, for hosts that reach no index. None is asked then.
      - Mutually exclusive with O(index_url).
    type: path
  only_binary:
    description:
      - Take wheels only.
      - With V(false), a source archive of the set may be built on the host, which runs code of it as root, with tools
        that no hash is known of.
    type: bool
    default: true
  complete:
    description:
      - Refuse a set that lacks what one of its packages requires, or has it in another version.
      - With V(false), what is listed is installed and nothing is asked of it, as C(uv pip sync) does. vLLM for CPUs
        needs it, for one of its requirements does not work with its own PyTorch.
    type: bool
    default: true
  keep:
    description:
      - How many earlier environments of the name stay, newest first.
      - One that a process runs from, or that a unit below C(/etc/systemd/system) names, stays until that has ended.
    type: int
    default: 1
  verify:
    description:
      - How an environment that is there is compared. One that is damaged is built anew, unless a process runs from it.
      - V(fast) looks whether its interpreter can be run, and which packages in which versions are installed.
      - V(full) also starts the interpreter, and reads every file that its package has a checksum of.
    type: str
    choices: [fast, full]
    default: fast
  timeout_s:
    description: How long the installation of the packages may take, in seconds.
    type: int
    default: 3600
  retries:
    description: How often pip asks an index again that does not answer.
    type: int
    default: 5
  lock_timeout_s:
    description: How long to wait for another run that changes environments of the same name, in seconds.
    type: int
    default: 120
attributes:
  check_mode:
    details:
      - Tells which packages would be installed. No index is asked whether it has them.
      - Where O(python) is not on the host yet, that is a warning. An earlier task of the same run may install it.
  diff_mode:
    details: Packages with their versions, compared with the newest environment of the name.
extends_documentation_fragment:
  - mlops.hosts._attributes
notes:
  - "A set is made on a machine with the same Python and architecture: C(uv pip compile --generate-hashes
    --no-emit-index-url --python-version 3.12 requirements.in -o requirements.txt). With C(--universal) one set serves
    several."
  - C(pip-compile --generate-hashes --no-emit-index-url --allow-unsafe) makes one as well. C(--allow-unsafe) names
    setuptools in the set, if something needs it.
  - "The wheels for O(wheels) are fetched with C(pip download --require-hashes --only-binary :all: -r requirements.txt
    -d FOLDER)."
  - Python has to have its modules C(venv) and C(ensurepip), which Debian and Ubuntu have in the package
    C(python3-venv).
  - The pip of the host's Python does the work. It takes plain C(http://) from the host itself only.
  - Everybody can read an environment, and only the user who runs the module, usually root, can change it. All is
    compiled when it is installed.
seealso:
  - module: mlops.hosts.model_artifact
  - module: mlops.hosts.container_image
"""

EXAMPLES = r"""
- name: The environment that vLLM runs from
  mlops.hosts.python_environment:
    name: vllm
    python: python3.12
    requirements: "{{ lookup('ansible.builtin.file', 'vllm-requirements.txt') }}"
  become: true
  register: vllm

- name: From an index of one's own that needs a login
  mlops.hosts.python_environment:
    name: vllm
    python: python3.12
    requirements: "{{ lookup('ansible.builtin.file', 'vllm-requirements.txt') }}"
    index_url: https://reader:{{ index_password }}@pypi.example.com/simple
  become: true

- name: On a host that reaches no index, from wheels that were carried in
  mlops.hosts.python_environment:
    name: vllm
    requirements: "{{ lookup('ansible.builtin.file', 'vllm-requirements.txt') }}"
    wheels: /media/bundle/wheels
  become: true

- name: Take all of it away
  mlops.hosts.python_environment:
    name: vllm
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: Folder of the environment. Null when it is absent.
  returned: success
  type: str
  sample: /opt/mlops.hosts/environments/vllm/5f0c1d2e3a4b
python:
  description: Its interpreter. Null when it is absent.
  returned: success
  type: str
  sample: /opt/mlops.hosts/environments/vllm/5f0c1d2e3a4b/bin/python
packages:
  description: What is installed in it, or would be. Empty when it is absent.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the package, in lower case and with dashes.
      type: str
    version:
      description: Its version.
      type: str
removed:
  description: Folders of environments that were removed, or would be.
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
      description: Always V(python_environment).
      type: str
    item:
      description: Name of the environment, followed by the name of its folder for one that goes.
      type: str
    attribute:
      description: V(version) for an environment that is not there, V(content) for one that is damaged, or V(state).
      type: str
    want:
      description: What is desired.
      type: raw
    have:
      description: What was found.
      type: raw
"""

import os
import time
import urllib.parse

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._python_environment.arguments import EXCLUSIVE, REQUIRED_IF, SPEC
from ..module_utils._python_environment.environment import RunEnvironment, desired, ensure
from ..module_utils._runner import ModuleRunner
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(SPEC, mutually_exclusive=EXCLUSIVE, required_if=REQUIRED_IF, supports_check_mode=True)
    given = module.params
    logins = [urllib.parse.urlsplit(url).password for url in (given["index_url"], *given["extra_index_urls"]) if url]
    module.no_log_values.update(password for password in logins if password)
    host = RunEnvironment(run=ModuleRunner(module), clock=time.monotonic, sleep=time.sleep, variables=os.environ)
    try:
        result = ensure(desired(given), host, dry_run=module.check_mode)
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
