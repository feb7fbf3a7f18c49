# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A program of the host in a unit that confines it."""

from __future__ import annotations

import dataclasses
import typing as t

from .....module_utils import _env_file
from .....module_utils._ray import paths as ray
from ..engines import ENGINES
from ..engines.base import key_check, quoted
from ..instance import Instance
from .base import Parts, env_file, environment, unit_file


def parts(instance: Instance, user: str) -> Parts:
    lines = [_env_file.assignment(*item) for item in environment(instance).items()]
    return Parts(
        files=(
            unit_file(instance, "model.service.j2", _unit(instance, user), path=f"/etc/systemd/system/{instance.unit}"),
            env_file(instance, lines),
        ),
        unit={"name": instance.unit},
    )


def _unit(instance: Instance, user: str) -> dict[str, t.Any]:
    engine = ENGINES[instance.engine]
    after = " ".join(map(quoted, engine.after_start(instance, [instance.binary or engine.program])))
    return {
        "name": instance.name,
        "documentation": engine.documentation,
        "user": ray.USER if instance.cluster else user,
        "program": (instance.binary or engine.program).rpartition("/")[2].replace("%", "%%"),
        "command": " ".join([*engine.command(instance), *map(quoted, instance.extra_args)]),
        **({"after_start": after} if after else {}),
        "env_file": f"{instance.folder}/env",
        "key_file": instance.key_file,
        "key_check": key_check(),
        "gpus": bool(instance.gpus or instance.cluster),
        **(
            {"ray": {"unit": ray.UNIT, "state": ray.STATE, "addresses": list(instance.cluster.addresses)}}
            if instance.cluster
            else {}
        ),
        "loopback": instance.loopback,
        "port": instance.port,
        "limits": dict(instance.limits),
        **dataclasses.asdict(engine.lifecycle),
    }
