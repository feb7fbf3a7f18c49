# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A container of Docker, whose client is the process of the unit: it passes on what the program says, and its end."""

from __future__ import annotations

import typing as t

from ..engines.base import quoted
from ..instance import Instance
from . import container
from .base import Parts, env_file, unit_file


def parts(instance: Instance, user: str) -> Parts:
    return Parts(
        files=(
            unit_file(
                instance, "docker.service.j2", _unit(instance, user), path=f"/etc/systemd/system/{instance.unit}"
            ),
            env_file(instance, container.environment_lines(instance)),
        ),
        unit={"name": instance.unit},
        images=(container.image(instance, "docker"),),
    )


def _unit(instance: Instance, user: str) -> dict[str, t.Any]:
    """Docker's containers are not in the group of the unit: it is Docker that limits them."""
    found = container.template_variables(instance, user, "docker")
    limits = {"--pids-limit": found["processes"], "--cpuset-cpus": found["cpus"]}
    if found["memory_gib"] is not None:
        limits["--memory"] = f"{found['memory_gib']}g"
    more = [f"{flag}={value}" for flag, value in limits.items() if value is not None]
    return {**found, "flags": [*found["flags"], *map(quoted, more)]}
