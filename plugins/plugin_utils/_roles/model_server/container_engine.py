# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which container engine of the host runs the containers, and what it needs of the host."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ....module_utils._errors import HostError
from ..built import Data, Decision, Question
from ..quadlet import OLDEST
from .gpus import is_of
from .instance import Instance

Decide = t.Callable[[Data, Data, bool], Decision]
_INFO = "mlops.hosts.container_runtime_info"
_KIND = "nvidia.com/gpu"
_ASKED = {"auto": ("podman", "docker"), "podman": ("podman",), "docker": ("docker",)}
_NONE = (
    "runs in a container, and the host has neither Podman nor a Docker that runs; install one with the role "
    "container_runtime"
)


@dataclasses.dataclass(frozen=True)
class Engine:
    """``name``: docker or podman. ``absent``: words for a host that does not have it. ``cdi_enabled``: see
    container_runtime_info."""

    name: str
    absent: str
    cdi_enabled: bool | None = None

    @property
    def program(self) -> str:
        return f"/usr/bin/{self.name}"


def questions(desired: str) -> tuple[Question, ...]:
    """``desired``: the option ``container_engine``."""
    return tuple(Question(_INFO, {"provider": name}) for name in _ASKED[desired])


def choose(desired: str, answers: t.Sequence[Data]) -> Engine:
    """``answers``: to the questions, in order. HostError with a sentence where there is only one that is too old.

    Where an engine may still come, in an earlier role of the same run, the component says whether it has.
    """
    seen = dict(zip(_ASKED[desired], answers))
    version = seen.get("podman", {}).get("version")
    old = version is not None and _numbers(version) < OLDEST
    if "podman" in seen and version is not None and not old:
        return Engine("podman", _NONE)
    if "docker" in seen and (desired == "docker" or seen["docker"]["version"] is not None):
        absent = "runs in a container of Docker, which is not on the host; install it with the role container_runtime"
        return Engine("docker", absent, seen["docker"]["cdi_enabled"])
    if old:
        raise HostError(
            f"Podman {version} has no quadlets, which came with {'.'.join(map(str, OLDEST))}; install a later one, or "
            "Docker with the role container_runtime."
        )
    absent = "runs in a container of Podman, which is not on the host; install it with the role container_runtime"
    return Engine("podman", _NONE if desired == "auto" else absent)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


# GPUs


def gpu_questions(instances: t.Iterable[Instance]) -> tuple[Question, ...]:
    """For a host that is about to change."""
    desired = any(instance.in_container and instance.gpus for instance in instances)
    return (Question("mlops.hosts.cdi_info", {"vendor": "nvidia"}),) if desired else ()


def decide(instances: t.Sequence[Instance], engine: Engine | None, of_gpus: Decide) -> Decide:
    """What also becomes of a change: a container gets a GPU by its name in CDI. The answer about those is the first in
    ``context``."""

    def decision(answer: Data, compared: Data, dry_run: bool) -> Decision:
        found = of_gpus(answer, compared, dry_run)
        # An earlier role of the same run may be what offers them, and without a driver the change waits.
        if engine is None or dry_run or found.pending or not gpu_questions(instances):
            return found
        cdi = compared["context"][0]
        offered = {name for spec in cdi["specs"] if spec["kind"] == _KIND for name in spec["devices"]}
        conflicts = (
            f"Model server instance {instance.name!r} {words}."
            for instance in instances
            if instance.in_container and instance.gpus and any(is_of(row, instance) for row in compared["drift"])
            for words in _without_gpus(instance, engine, offered)
        )
        return dataclasses.replace(found, conflicts=(*found.conflicts, *conflicts))

    return decision


def _without_gpus(instance: Instance, engine: Engine, offered: t.Collection[str]) -> t.Iterator[str]:
    if engine.cdi_enabled is False:
        yield (
            "has gpus, and Docker does not give devices by CDI; set features: {cdi: true} in "
            "container_runtime_daemon_config, which takes Docker 25"
        )
    missing = [gpu for gpu in instance.gpus if gpu not in offered]
    if missing:
        yield (
            f"has {', '.join(missing)} in gpus.uuids, which no file in /etc/cdi or /var/run/cdi offers to containers "
            f"as {_KIND}; see the module cdi_info, and container_runtime_toolkit"
        )
