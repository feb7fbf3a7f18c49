# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Hosts of an inventory from a document of Terraform: of the output that names them, or of its machines."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from ...module_utils._errors import HostError
from .document import Document
from .gpus import of_instance
from .machines import Machine, machine

_DNS_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}")
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of Ansible's own variables, those that make the controller run nothing. Others, such as ansible_ssh_common_args and
# ansible_connection, would let whoever can write a state run programs there.
CONNECTION = ("ansible_port", "ansible_user")
_OF_AN_OUTPUT = ("address", "groups", "instance_type", "tags", "variables")


@dataclasses.dataclass(frozen=True)
class Host:
    """``facts`` is the variable ``terraform`` of the host, always with all of its keys."""

    name: str
    address: str
    groups: tuple[str, ...]
    variables: t.Mapping[str, t.Any]
    facts: t.Mapping[str, t.Any]


def hosts(
    document: Document, origin: str, *, output: str, group_tag: str, variables: t.Mapping[str, str]
) -> tuple[Host, ...]:
    """In the order of their names.

    ``output``: name of the output that names hosts, see ``_of_output``; where the document has resources and no such
    output, its machines are the hosts. ``group_tag``: the tag that lists groups. ``variables``: variable by tag.
    HostError for what is no host, or is two.
    """
    if output in document.outputs:
        found = list(_of_output(document, output))
    elif document.resources is not None:
        machines = (machine(resource) for resource in document.resources)
        found = [_of_machine(one, group_tag, variables) for one in machines if one]
    else:
        raise HostError(
            f"{origin} must have the output {output}, and has {', '.join(sorted(document.outputs)) or 'none'}; name "
            "the output of the hosts with the option output"
        )
    found.sort(key=lambda host: host.name)
    for one, other in zip(found, found[1:]):
        if one.name == other.name:
            raise HostError(
                f"two hosts are named {one.name}: {one.facts['resource']} and {other.facts['resource']}; give each its "
                f"own name, in AWS by the tag Name"
            )
    return tuple(found)


def _of_machine(one: Machine, group_tag: str, variables: t.Mapping[str, str]) -> Host:
    address = one.private_address or one.public_address
    if address is None:
        raise HostError(
            f"{one.resource} must have an address, and has none; apply the configuration until it is complete, "
            "or remove the resource"
        )
    return Host(
        name=_name(one.name or one.resource, one.resource),
        address=_address(address, one.resource),
        # A label of Google's has small letters, digits, - and _ only, so that what is between groups is free.
        groups=_groups(re.split(r"[^A-Za-z0-9_]+", one.tags.get(group_tag, "").strip()), one.resource),
        variables={variable: one.tags[tag] for tag, variable in variables.items() if tag in one.tags},
        facts={
            **{field.name: getattr(one, field.name) for field in dataclasses.fields(one)},
            "tags": dict(one.tags),
            "gpu": dataclasses.asdict(one.gpu) if one.gpu else None,
        },
    )


def _of_output(document: Document, name: str) -> t.Iterator[Host]:
    """Of ``{host: {"address": "10.0.0.4", "groups": [], "instance_type": "", "tags": {}, "variables": {}}}``.

    Only ``address`` must be there.
    """
    output = document.outputs[name]
    if output.sensitive:
        raise HostError(
            f"the output {name} is marked sensitive, and an inventory shows what it reads; name no secret in it, and "
            "use nonsensitive() where it depends on one"
        )
    if not isinstance(output.value, dict):
        raise HostError(f"the output {name} must be a map of hosts, and is a {type(output.value).__name__}")
    for key, item in output.value.items():
        where = f"{key} in the output {name}"
        if not isinstance(item, dict) or not item.get("address"):
            raise HostError(f"{where} must be an object with an address")
        if unknown := sorted(item.keys() - set(_OF_AN_OUTPUT)):
            raise HostError(f"{where} may have {', '.join(_OF_AN_OUTPUT)}, and has {', '.join(unknown)}")
        groups, variables = item.get("groups") or [], item.get("variables") or {}
        if not isinstance(groups, list) or not isinstance(variables, dict):
            raise HostError(f"{where} must have a list as groups and a map as variables")
        for variable in sorted(variables):
            check_variable(variable, where)
        instance_type = item.get("instance_type") or None
        gpu = of_instance(instance_type)
        yield Host(
            name=_name(key, where),
            address=_address(str(item["address"]), where),
            groups=_groups(groups, where),
            variables=variables,
            facts={
                **dict.fromkeys(field.name for field in dataclasses.fields(Machine)),
                "resource": f"output.{name}[{key!r}]",
                "name": key,
                "instance_type": instance_type,
                "tags": item.get("tags") or {},
                "gpu": dataclasses.asdict(gpu) if gpu else None,
            },
        )


def check_variable(name: str, where: str) -> None:
    if not _GROUP.fullmatch(name):
        raise HostError(f"{where} has the variable {name!r}; a variable has letters, digits and _ only")
    if name.startswith("ansible_") and name not in CONNECTION:
        raise HostError(
            f"{where} sets {name}; of Ansible's own variables, it may set {' and '.join(CONNECTION)}: others can make "
            "the controller run programs. Set it in group_vars, or with compose"
        )


def _groups(names: t.Iterable[t.Any], where: str) -> tuple[str, ...]:
    found = tuple(str(name) for name in names if name)
    if wrong := [name for name in found if not _GROUP.fullmatch(name)]:
        raise HostError(f"{where} has the group {wrong[0]!r}; a group has letters, digits and _, and no digit first")
    return found


def _name(text: str, where: str) -> str:
    """What has a meaning in patterns of hosts, such as brackets, becomes ``_``."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_-")
    if not name:
        raise HostError(f"{where} has the name {text!r}; a name of a host needs a letter or a digit")
    return name


def _address(text: str, where: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _DNS_NAME.fullmatch(text):
            return text
        raise HostError(f"{where} must have an IP address or a name of DNS, and has {text!r}") from None
