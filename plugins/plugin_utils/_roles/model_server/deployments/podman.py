# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A container of Podman as a quadlet: Podman makes the unit of it, and the container is in the unit's group."""

from __future__ import annotations

from ... import quadlet
from ...built import Data
from ..instance import Instance
from . import container
from .base import Parts, env_file, unit_file


def parts(instance: Instance, user: str) -> Parts:
    name = instance.unit[: -len(".service")]
    file: Data = unit_file(
        instance,
        "podman.container.j2",
        container.template_variables(instance, user, "podman"),
        path=f"{quadlet.FOLDER}/{name}.container",
        validate=quadlet.VALIDATE,
        validate_as=f"{name}.container",
    )
    return Parts(
        files=(file, env_file(instance, container.environment_lines(instance))),
        # The generator enables it, by what its file says.
        unit={"name": instance.unit, "enabled": False},
        directories=({"path": "/etc/containers"}, {"path": quadlet.FOLDER}),
        images=(container.image(instance, "podman"),),
    )
