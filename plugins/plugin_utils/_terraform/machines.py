# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Machines of clouds: what a resource's attributes say of a host. No attribute is read that can be a secret."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .document import Data, Resource
from .gpus import Gpu, of_accelerators, of_instance


@dataclasses.dataclass(frozen=True)
class Machine:
    """A resource that is a host. None is what the document does not say."""

    resource: str
    type: str
    cloud: str
    id: str | None
    name: str | None
    instance_type: str | None
    region: str | None
    zone: str | None
    private_address: str | None
    public_address: str | None
    tags: t.Mapping[str, str]
    tainted: bool
    gpu: Gpu | None


def machine(resource: Resource) -> Machine | None:
    """None for a resource that is no machine."""
    read = _READERS.get(resource.type)
    return read(resource, resource.values) if read else None


def _aws(resource: Resource, values: Data) -> Machine:
    tags = _tags(values, "tags_all", "tags")
    zone = _text(values.get("availability_zone"))
    spot = resource.type == "aws_spot_instance_request"
    return Machine(
        resource=resource.address,
        type=resource.type,
        cloud="aws",
        id=_text(values.get("spot_instance_id" if spot else "id")),
        # AWS has no other name of an instance.
        name=_text(tags.get("Name")),
        instance_type=_text(values.get("instance_type")),
        region=_text(values.get("region")) or _aws_region(zone),
        zone=zone,
        private_address=_text(values.get("private_ip")),
        public_address=_text(values.get("public_ip")),
        tags=tags,
        tainted=resource.tainted,
        gpu=of_instance(_text(values.get("instance_type"))),
    )


def _aws_region(zone: str | None) -> str | None:
    """Of us-east-1a and of a local zone, us-west-2-lax-1a. Providers before 6.0 do not say it."""
    found = re.match(r"[a-z]+(?:-[a-z]+)+-\d+", zone or "")
    return found[0] if found else None


def _google(resource: Resource, values: Data) -> Machine:
    interface = _first(values.get("network_interface"))
    zone = _text(values.get("zone"))
    instance_type = _text(values.get("machine_type"))
    return Machine(
        resource=resource.address,
        type=resource.type,
        cloud="google",
        id=_text(values.get("instance_id")),
        name=_text(values.get("name")),
        instance_type=instance_type,
        region=zone.rpartition("-")[0] if zone else None,
        zone=zone,
        private_address=_text(interface.get("network_ip")),
        public_address=_text(_first(interface.get("access_config")).get("nat_ip")),
        # The network tags of Google's are for firewalls, and are no pairs.
        tags=_tags(values, "effective_labels", "labels"),
        tainted=resource.tainted,
        gpu=of_accelerators(values.get("guest_accelerator")) or of_instance(instance_type),
    )


def _azure(resource: Resource, values: Data) -> Machine:
    instance_type = _text(values.get("size"))
    return Machine(
        resource=resource.address,
        type=resource.type,
        cloud="azure",
        id=_text(values.get("virtual_machine_id")),
        name=_text(values.get("name")),
        instance_type=instance_type,
        region=_text(values.get("location")),
        zone=_text(values.get("zone")),
        private_address=_text(values.get("private_ip_address")),
        public_address=_text(values.get("public_ip_address")),
        tags=_tags(values, "tags"),
        tainted=resource.tainted,
        gpu=of_instance(instance_type),
    )


_READERS: t.Mapping[str, t.Callable[[Resource, Data], Machine]] = {
    "aws_instance": _aws,
    "aws_spot_instance_request": _aws,
    "google_compute_instance": _google,
    "google_compute_instance_from_template": _google,
    "azurerm_linux_virtual_machine": _azure,
}


def _tags(values: Data, *names: str) -> dict[str, str]:
    """Of the first of these that is there: what the provider adds to all resources is in the first."""
    found = next((values[name] for name in names if values.get(name)), None) or {}
    return {str(key): str(value) for key, value in found.items()}


def _first(items: t.Any) -> Data:
    return items[0] if items else {}


def _text(value: t.Any) -> str | None:
    """Providers write what is not there as null or as nothing."""
    return str(value) if value not in (None, "") else None
