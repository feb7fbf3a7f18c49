#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Make a part of a bundle for hosts without the internet
description:
  - Fetches the packages of a component with all that they depend on, publishes a model, or fetches the files of a
    Python environment or a container image, and writes them to a directory that any web server can serve, with one
    manifest, C(bundle.json).
  - Runs on a host that reaches the internet, of the same distribution, release and architecture as the hosts that the
    bundle is for.
  - Packages are resolved by apt or dnf 4 for a host on which nothing is installed, are verified as their repositories
    have it, and get an index of their own, which is signed by the key of the operator.
  - What is there is not fetched again, and what was interrupted is gone on with.
  - The playbook C(mlops.hosts.bundle) runs it for all that the roles of a host desire.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  dir:
    description: Directory of the bundle. Nothing else may be in its folders C(apt), C(hub), C(images),
      C(rpm), C(web) and C(wheels).
    type: path
    required: true
  work:
    description: Directory for what is fetched, on the same file system where possible, so that nothing is stored twice.
    type: path
    required: true
  signing_key:
    description:
      - File with the OpenPGP secret key of the operator, ASCII-armoured and without a passphrase. Where there is none,
        a key is made.
      - Required with O(component).
    type: path
  component:
    description: A component whose packages are to be in the bundle.
    type: dict
    suboptions:
      name:
        description: Name of the component.
        type: str
        required: true
      repositories:
        description: As in M(mlops.hosts.component), with the key.
        type: list
        elements: dict
        default: []
        suboptions:
          name: {description: "As in M(mlops.hosts.component).", type: str, required: true}
          uris: {description: "As in M(mlops.hosts.component).", type: list, elements: str, required: true}
          suites: {description: "As in M(mlops.hosts.component).", type: list, elements: str, default: []}
          components: {description: "As in M(mlops.hosts.component).", type: list, elements: str, default: []}
          architectures: {description: "As in M(mlops.hosts.component).", type: list, elements: str, default: []}
          key: {description: "As in M(mlops.hosts.component).", type: str}
          key_src: {description: "Not read here.", type: str}
          fingerprint: {description: "As in M(mlops.hosts.component).", type: str, required: true}
          gpg_check:
            description: As in M(mlops.hosts.component).
            type: str
            choices: [packages, metadata]
            default: packages
      packages:
        description: As in M(mlops.hosts.component). Those that are to be absent are left out.
        type: list
        elements: dict
        default: []
        suboptions:
          name: {description: "As in M(mlops.hosts.component).", type: str, required: true}
          state:
            description: As in M(mlops.hosts.component).
            type: str
            choices: [present, absent]
            default: present
          version: {description: "As in M(mlops.hosts.component).", type: str}
          hold: {description: "Not read here.", type: bool, default: false}
          on_change: {description: "Not read here.", type: str, choices: [restart, none, reboot], default: restart}
          before_packages: {description: "Not read here.", type: bool, default: false}
          owned: {description: "Not read here.", type: bool, default: true}
      preferences:
        description: Texts of files for C(/etc/apt/preferences.d), or for C(/etc/dnf/modules.d), by which versions are
          chosen.
        type: list
        elements: str
        default: []
  model:
    description: A model that M(mlops.hosts.model_artifact) has fetched on this host.
    type: dict
    suboptions:
      name:
        description: Name of the model in the store.
        type: str
        required: true
      source:
        description: Where hosts have it from, V(hf://org/name), V(https://…) or V(http://…).
        type: str
        required: true
      revision:
        description: Commit of the hub's repository.
        type: str
      sha256:
        description: Checksum of a source that is one file.
        type: str
      folder:
        description: Folder of the version in the store.
        type: path
        required: true
  environment:
    description: A Python environment, as in M(mlops.hosts.python_environment).
    type: dict
    suboptions:
      name:
        description: Name of the environment.
        type: str
        required: true
      python:
        description: The interpreter, with its version in its name.
        type: str
        required: true
      requirements:
        description: The requirement set, with hashes.
        type: str
        required: true
      index_url:
        description: The package index. Without one, as pip is configured on this host.
        type: str
      extra_index_urls:
        description: More indexes.
        type: list
        elements: str
        default: []
      wheels:
        description: A folder of files in the place of an index.
        type: path
      only_binary:
        description: Whether wheels alone are taken.
        type: bool
        default: true
      timeout_s:
        description: How long pip may take, in seconds.
        type: int
        default: 3600
  image:
    description:
      - A container image by its digest, from its registry, verified by its digests.
      - The layers are those of the architecture of this host, manifests and configurations those of all platforms.
    type: dict
    suboptions:
      name:
        description: The image, as C(registry/name@sha256:...). A registry on this host is asked without TLS.
        type: str
        required: true
      component:
        description: The role whose hosts need it.
        type: str
        required: true
      registries:
        description: How registries are asked, as C(container_runtime_registries).
        type: list
        elements: dict
        default: []
        suboptions:
          name: {description: "Host and port, as in the names of images.", type: str, required: true}
          ca: {description: "Certificates (PEM) of the one authority to trust. Without it, the host's.", type: str}
          username: {description: "Who to be there.", type: str}
          password: {description: "The password.", type: str}
attributes:
  check_mode:
    description: Nothing can be said of files that are not there yet.
    support: none
  diff_mode:
    description: The result says what is new.
    support: none
  platform:
    description: Packages of an Enterprise Linux are indexed by C(createrepo_c), which has to be installed.
    platforms: debian, rhel
    support: full
seealso:
  - module: mlops.hosts.mirror_info
"""

EXAMPLES = r"""
- name: Have jq and all that it needs in a bundle
  mlops.hosts.bundle:
    dir: /srv/bundle
    work: /srv/bundle.work
    signing_key: /root/bundle.key
    component:
      name: tools
      packages: [{name: jq}]
  become: true
"""

RETURN = r"""
files:
  description: How many files this part of the bundle has.
  type: int
  returned: success
bytes:
  description: Their size.
  type: int
  returned: success
new_files:
  description: How many of them were not in the bundle.
  type: int
  returned: success
fingerprint:
  description: That of the key that signs the repositories, empty while there are none.
  type: str
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._bundle import files, images, make
from ..module_utils._bundle.arguments import BUNDLE, PARTS
from ..module_utils._errors import HostError
from ..module_utils._http_module import ModuleFetch
from ..module_utils._runner import ModuleRunner
from ..module_utils._umask import usual_umask


def main() -> None:
    usual_umask()
    module = AnsibleModule(argument_spec=BUNDLE, mutually_exclusive=[PARTS], required_one_of=[PARTS])
    (part,) = (name for name in PARTS if module.params[name])
    try:
        make.claim(module.params["dir"])
        if part == "image":
            made = _image(module)
        else:
            made = getattr(make, part)(module.params[part], module.params, ModuleRunner(module))
    except HostError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg=f"the bundle cannot be written: {exc}")
    module.exit_json(**made.as_result())


def _image(module: AnsibleModule) -> make.Made:
    item = module.params["image"]
    ca = images.login(item["name"], item["registries"]).ca
    path = None
    if ca:
        path = os.path.join(module.tmpdir, "ca.pem")
        files.write(path, ca.encode())
    return make.image(item, module.params, ModuleRunner(module), ModuleFetch(ca_path=path))


if __name__ == "__main__":
    main()
