# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which GPUs an instance has: chosen by number and profile, and compared with those of the host. Pure.

GPUs and the answers about them are those of the module ``gpu_info``.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..built import Data, Decision, Question
from .engines import ENGINES
from .instance import Instance

QUESTION = Question("mlops.hosts.gpu_info", {})
_UUID = re.compile(r"(GPU|MIG)-[A-Za-z0-9/-]+\Z")


@dataclasses.dataclass(frozen=True)
class Unit:
    """What one instance can have: a GPU, or a MIG device. ``profile`` is None for a GPU, ``memory_mib`` if unknown."""

    uuid: str
    profile: str | None
    memory_mib: int | None


def invalid(instance: Instance) -> t.Iterator[str]:
    """Words that follow the name of the instance."""
    given = instance.given.get("gpus")
    if not given:
        return
    chosen = [name for name in ("count", "mig_profile") if given.get(name) is not None]
    if not (instance.gpus or chosen):
        yield "has gpus without uuids, count or mig_profile; set one of them"
    elif given.get("uuids") and chosen:
        yield f"has gpus.uuids and gpus.{chosen[0]}; keep one"
    if given.get("count") is not None and given["count"] < 1:
        yield f"has gpus.count {given['count']}; set it to 1 or more, or leave gpus out"
    if given.get("shared") and chosen:
        yield f"has gpus.shared and gpus.{chosen[0]}; name the GPUs that are shared in gpus.uuids"
    for uuid in given.get("uuids") or ():
        if not _UUID.match(uuid):
            yield f"has {uuid!r} in gpus.uuids, which does not begin with GPU- or MIG-; nvidia-smi -L lists the UUIDs"


def overlapping(one: Instance, other: Instance) -> list[str]:
    """UUIDs that both have, and do not both share."""
    if one.given.get("gpus", {}).get("shared") and other.given.get("gpus", {}).get("shared"):
        return []
    return sorted(set(one.gpus) & set(other.gpus))


def is_chosen(instance: Instance) -> bool:
    """Whether the host must be asked for its UUIDs."""
    given = instance.given.get("gpus") or {}
    return instance.present and not given.get("uuids") and bool(given.get("count") or given.get("mig_profile"))


def choose(instances: t.Sequence[Instance], answer: Data) -> tuple[list[Instance], list[str], list[Data]]:
    """The instances with their UUIDs; sentences where the host has too few; what waits for a driver, as ``pending``.

    Each has the first units in the order of PCI addresses that no instance before it has, so that the same list on
    the same host always gives the same. What is named in ``gpus.uuids`` is taken, and a GPU in MIG mode is its devices.
    """
    units = _units(answer)
    taken = {uuid for instance in instances if instance.present for uuid in instance.gpus}
    silent = not units and bool(answer["gpus"] or not answer["driver"]["version"])
    found: list[Instance] = []
    problems: list[str] = []
    pending: list[Data] = []
    for instance in instances:
        if not is_chosen(instance):
            found.append(instance)
            continue
        given = instance.given["gpus"]
        profile, count, least = given.get("mig_profile"), given.get("count") or 1, given.get("memory_mib") or 0
        free = [unit for unit in units if unit.uuid not in taken and unit.profile == profile]
        fitting = [unit.uuid for unit in free if (unit.memory_mib or 0) >= least]
        desired = _words(count, profile, least)
        if silent:
            pending.append(
                {
                    "what": instance.unit,
                    "why": f"Model server instance {instance.name!r} needs {desired}, and no driver answers for a GPU "
                    "of the host yet.",
                    "ends_with": "driver",
                }
            )
        elif len(fitting) < count:
            problems.append(
                f"Model server instance {instance.name!r} needs {desired}, and the host has {_has(units, taken)}; "
                "set gpus to what it has, or move the instance to another host."
            )
        taken.update(fitting[:count])
        found.append(dataclasses.replace(instance, gpus=tuple(fitting[:count])))
    return found, problems, pending


def weight_questions(instances: t.Iterable[Instance]) -> tuple[Question, ...]:
    """For a host that is about to change."""
    paths = sorted({str(instance.model_path) for instance in instances if _holds_weights(instance)})
    return (Question("mlops.hosts.preflight_info", {"models": paths}),) if paths else ()


def _holds_weights(instance: Instance) -> bool:
    """Whether all weights must be in the memory of its GPUs, and nothing of it makes them lighter."""
    engine = ENGINES[instance.engine]
    given = {*map(engine.meant, instance.extra_args), *instance.environment}
    return bool(instance.gpus) and engine.weights_on_gpus and given.isdisjoint(engine.lightens)


def decide(instances: t.Iterable[Instance]) -> t.Callable[[Data, Data, bool], Decision]:
    """What becomes of a change of instances with GPUs, once the host has said which it has. The answer about weights is
    the last in ``context``."""
    having = [instance for instance in instances if instance.gpus]

    def decision(answer: Data, compared: Data, dry_run: bool) -> Decision:
        changed = [instance for instance in having if any(is_of(row, instance) for row in compared["drift"])]
        units = _units(answer)
        if not units:
            pending = [
                {
                    "what": instance.unit,
                    "why": f"Model server instance {instance.name!r} needs GPU {', '.join(instance.gpus)}, and no "
                    "driver answers for a GPU of the host yet.",
                    "ends_with": "driver",
                }
                for instance in changed
            ]
            return Decision(pending=tuple(pending))
        by_uuid = {unit.uuid: unit for unit in units}
        asked = weight_questions(having) and compared.get("context")
        weights = {model["path"]: model["narrow_bytes"] for model in asked[-1]["models"]} if asked else {}
        return Decision(
            conflicts=tuple(
                f"Model server instance {instance.name!r} {words}."
                for instance in changed
                for words in (*_conflicts(instance, by_uuid), *_too_heavy(instance, by_uuid, weights))
            )
        )

    return decision


def _conflicts(instance: Instance, units: t.Mapping[str, Unit]) -> t.Iterator[str]:
    least = (instance.given.get("gpus") or {}).get("memory_mib") or 0
    for uuid in instance.gpus:
        unit = units.get(uuid)
        if unit is None:
            yield f"needs GPU {uuid}, and the host has {', '.join(sorted(units))}; set gpus.uuids to those"
        elif unit.memory_mib is not None and unit.memory_mib < least:
            yield f"needs {least} MiB on each GPU, and {uuid} has {unit.memory_mib} MiB; set another one in gpus.uuids"


def _too_heavy(instance: Instance, units: t.Mapping[str, Unit], weights: t.Mapping[str, int | None]) -> t.Iterator[str]:
    """Weights alone: what else a server keeps in the memory depends on the model and on what is asked of it."""
    size = weights.get(str(instance.model_path)) if _holds_weights(instance) else None
    memory = [unit.memory_mib for unit in map(units.get, instance.gpus) if unit and unit.memory_mib]
    if size is None or len(memory) < len(instance.gpus):
        return
    share = float(instance.given.get("memory_share") or 1)
    if size > sum(memory) * share * 1024**2:
        count = f"its {len(memory)} GPUs have" if len(memory) > 1 else "its GPU has"
        part = f", of which memory_share leaves {_gib(sum(memory) * share * 1024**2)}" if share < 1 else ""
        yield (
            f"has a model whose weights take {_gib(size)} ({instance.model_path}), and {count} "
            f"{_gib(sum(memory) * 1024**2)} of memory{part}; give it more or larger GPUs, or a smaller model"
        )


def _gib(size: float) -> str:
    return f"{size / 1024**3:.1f} GiB"


def _units(answer: Data) -> list[Unit]:
    """A GPU in MIG mode cannot be had as a whole."""
    found: list[Unit] = []
    for gpu in answer["gpus"]:
        if gpu["mig_mode"] == "enabled":
            found += [Unit(mig["uuid"], mig["profile"], mig["memory_mib"]) for mig in gpu["mig_devices"] if mig["uuid"]]
        elif gpu["uuid"]:
            found.append(Unit(gpu["uuid"], None, gpu["memory_total_mib"]))
    return found


def is_of(row: Data, instance: Instance) -> bool:
    """Whether a difference is about its files or its unit, which has a file with another ending for a container."""
    item = str(row["item"])
    name, unit = (text.partition(".")[0] for text in (item.rpartition("/")[2], instance.unit))
    return item.startswith(f"{instance.folder}/") or name == unit


def _words(count: int, profile: str | None, least: int) -> str:
    noun = f"MIG device {profile}" if profile else "GPU"
    return f"{count} {noun}{'s' if count > 1 else ''}" + (f" of at least {least} MiB" if least else "")


def _has(units: t.Sequence[Unit], taken: t.Container[str]) -> str:
    if not units:
        return "no GPU"
    words = [
        f"{unit.profile or 'GPU'} {unit.uuid} ("
        + (f"{unit.memory_mib} MiB" if unit.memory_mib is not None else "memory not known")
        + (", which another instance has)" if unit.uuid in taken else ")")
        for unit in units
    ]
    return ", ".join(words)
