# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that Terraform or OpenTofu made."""

from __future__ import annotations

DOCUMENTATION = r"""
name: terraform
short_description: Hosts that Terraform or OpenTofu made, with their GPUs
author: The mlops.hosts founders (@mlops-hosts)
version_added: 0.1.0
description:
  - Reads a state file of version 4, or what C(terraform show -json) or C(terraform output -json) has printed. Nothing
    is run and no cloud is asked, unless O(program) is set.
  - Hosts are what the output O(output) says, where there is one. This is the way for any cloud, and the file needs to
    have no more than that output. The example in C(examples/terraform) makes such an output.
  - Without it, hosts are the resources C(aws_instance), C(aws_spot_instance_request), C(google_compute_instance),
    C(google_compute_instance_from_template) and C(azurerm_linux_virtual_machine). Machines that the cloud makes by
    itself, such as those of scaling groups, are in no state.
  - Each host has C(ansible_host), its private address, or its public one where it has no other, and the variable
    C(terraform), a dictionary with the keys C(resource), C(type), C(cloud), C(id), C(name), C(instance_type),
    C(region), C(zone), C(private_address), C(public_address), C(tags), C(tainted) and C(gpu). What is not known is
    V(null).
  - C(terraform.gpu) has the keys C(vendor), C(model), C(count), C(memory_gb) and C(partial), by the instance type. It
    is V(null) for a type without GPUs and for one that is not known. What a host really has is seen by
    M(mlops.hosts.gpu_info).
  - A host is named by the tag C(Name) in AWS and by its name in other clouds, else by the address of its resource.
    What is neither a letter, a digit, C(.), C(-) nor C(_) becomes C(_). Two hosts of one name are refused.
notes:
  - Ansible goes on without an inventory that is refused. Set E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true), so that
    it stops.
  - Texts of tags and outputs are data, and are never templates.
options:
  plugin:
    description: Name of this plugin.
    type: str
    required: true
    choices: [mlops.hosts.terraform]
  path:
    description:
      - The file to read. A relative path is one beside the inventory file.
      - One of this and O(program) must be set.
      - A state file that Terraform has locked is refused, as it is being changed.
    type: str
  program:
    description:
      - Name or path of C(terraform) or C(tofu), which is then run as C(show -json) in O(project). It asks the backend
        for the state, with the credentials of the environment.
    type: str
  project:
    description: Folder in which O(program) runs. A relative path is one beside the inventory file.
    type: str
    default: .
  timeout_s:
    description: Seconds that O(program) may take.
    type: int
    default: 60
  output:
    description:
      - Name of the output that names hosts, a map from the name of a host to an object with C(address), and where there
        are any C(groups), C(instance_type), C(tags) and C(variables).
      - Of Ansible's own variables, it may set C(ansible_port) and C(ansible_user).
      - An output that is marked sensitive is refused.
    type: str
    default: mlops_hosts
  group_tag:
    description:
      - Tag, or label in Google's cloud, that lists groups of a host, as in V(ml_hosts,gateways). What is between two
        names is any character that they cannot have.
    type: str
    default: mlops_groups
  variables:
    description:
      - Variables of hosts from tags, each the name of a tag to the name of a variable. Of Ansible's own variables,
        these may be C(ansible_port) and C(ansible_user).
    type: dict
    default: {}
extends_documentation_fragment:
  - ansible.builtin.constructed
"""

EXAMPLES = r"""
# fleet.terraform.yml: a state beside it. Machines with GPUs are model hosts, whatever their tags say.
plugin: mlops.hosts.terraform
path: terraform.tfstate
groups:
  ml_hosts: terraform.gpu is not none
keyed_groups:
  - key: terraform.gpu.model
    prefix: gpu
  - key: terraform.zone
    prefix: zone

---
# State in a backend, asked for at each run. Hosts are reached by their public addresses.
plugin: mlops.hosts.terraform
program: tofu
project: ../infrastructure
compose:
  ansible_host: terraform.public_address

---
# terraform output -json >hosts.json, in the pipeline that applies it. Variables from tags of your own.
plugin: mlops.hosts.terraform
path: hosts.json
variables:
  LogHost: fleet_log_host
"""

import pathlib
import typing as t

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ..module_utils._errors import HostError
from ..plugin_utils._terraform.document import parse
from ..plugin_utils._terraform.hosts import Host, check_variable, hosts
from ..plugin_utils._terraform.read import read, show


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Turns the hosts of a document into Ansible's."""

    NAME = "mlops.hosts.terraform"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("terraform.yml", "terraform.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            found = self._hosts(pathlib.Path(path).absolute().parent)
        except HostError as exc:
            # Ansible shows causes as well, which would say the sentence again.
            raise AnsibleParserError(f"{self.NAME}: {exc}.") from None
        for host in found:
            self._add(host)

    def _hosts(self, beside: pathlib.Path) -> tuple[Host, ...]:
        path, program, variables = (self.get_option(name) for name in ("path", "program", "variables"))
        if bool(path) is bool(program):
            raise HostError("one of path and program must be set")
        for name in variables.values():
            check_variable(str(name), "the option variables")
        if path:
            origin, text = str(path), read(beside / pathlib.Path(path).expanduser())
        else:
            origin = f"the answer of {program} show -json"
            text = show(
                str(program),
                beside / pathlib.Path(self.get_option("project")).expanduser(),
                timeout_s=self.get_option("timeout_s"),
            )
        return hosts(
            parse(text, origin),
            origin,
            output=self.get_option("output"),
            group_tag=self.get_option("group_tag"),
            variables=variables,
        )

    def _add(self, host: Host) -> None:
        name = self.inventory.add_host(host.name)
        for group in host.groups:
            self.inventory.add_host(name, group=self.inventory.add_group(group))
        values = {**host.variables, "ansible_host": host.address, "terraform": host.facts}
        for variable, value in values.items():
            # Before 2.19, text is a template unless it is marked.
            self.inventory.set_variable(name, variable, wrap_var(value))
        strict = self.get_option("strict")
        known = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), known, name, strict=strict)
        known = self.inventory.get_host(name).get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), known, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, name, strict=strict)
