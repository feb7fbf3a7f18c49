# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a deployment makes of an instance. Another one is one file next to this one."""

from __future__ import annotations

import dataclasses
import typing as t

from ...built import Data
from ..engines import ENGINES
from ..instance import Instance


@dataclasses.dataclass(frozen=True)
class Parts:
    """Component data of one instance: its ``files`` without that of the key, its ``unit``, and what else it needs."""

    files: tuple[Data, ...]
    unit: Data
    directories: tuple[Data, ...] = ()
    images: tuple[Data, ...] = ()


# An instance, and the system user that its program runs as.
Deploy = t.Callable[[Instance, str], Parts]


def environment(instance: Instance) -> dict[str, str]:
    merged = {**ENGINES[instance.engine].environment(instance), **instance.environment}
    return {name: str(value) for name, value in merged.items() if value is not None}


def unit_file(instance: Instance, template: str, variables: Data, **where: t.Any) -> dict[str, t.Any]:
    return {
        **where,
        "template": template,
        "template_vars": {"__model_server_unit": variables},
        "units": [instance.unit],
    }


def env_file(instance: Instance, lines: t.Sequence[str]) -> dict[str, t.Any]:
    return {
        "path": f"{instance.folder}/env",
        "template": "env.j2",
        "template_vars": {"__model_server_env": list(lines)},
        "mode": "0640",
        "units": [instance.unit],
    }
