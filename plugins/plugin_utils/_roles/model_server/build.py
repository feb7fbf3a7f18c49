# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``model_server`` into component data. Pure.

An API key goes into the content of a secret file and nowhere else.
"""

from __future__ import annotations

import json
import typing as t

from ....module_utils._errors import HostError
from .. import container_engine
from ..built import Built, Data, Question
from ..container_engine import Engine
from ..platform import Platform
from . import container_gpus, gpus, validate
from .deployments import DEPLOYMENTS
from .deployments.base import Parts
from .engines import ENGINES
from .instance import CONFIG_DIR, INSTANCE_FILE, Instance, parse_all

# A change of these can change what is right here.
AFTER = ("gpu_driver", "gpu_settings", "container_runtime", "model_store", "model_runtime", "ray_cluster")
# What is read of the variables of each host of an instance that has several, and whose option it is.
FLEET = {noun: "ray_cluster" for noun in ("head", "port", "gpus", "runtime")}


def fleet(options: Data) -> tuple[t.Sequence[str], str]:
    """The hosts of instances that have several, and the variable that has their address."""
    if options["state"] == "absent":
        return [], "ray_cluster_address"
    present = [item for item in options["instances"] if (item.get("state") or "present") == "present"]
    names = [str(name) for item in present for name in item.get("hosts") or ()]
    return list(dict.fromkeys(names)), "ray_cluster_address"


def borrows(options: Data) -> dict[str, str]:
    """What other roles have counts where an instance names it; elsewhere its secrets need not be there."""
    if options["state"] == "absent":
        return {}
    named = {
        "artifacts": any("artifact" in (item.get("model") or {}) for item in options["instances"]),
        "environments": any(item.get("runtime") for item in options["instances"]),
    }
    lenders = {"artifacts": "model_store", "environments": "model_runtime"}
    return {noun: lenders[noun] for noun, used in named.items() if used or options[noun] is not None}


def facts(options: Data) -> tuple[str, ...]:
    """The platform says what packages are called; where none is needed, it need not be known."""
    if options["state"] == "absent" or options["packages"]:
        return ()
    needy = any(instance.present and instance.needs_package for instance in parse_all(options))
    return ("os_family", "distribution", "distribution_release") if needy else ()


def asks(options: Data) -> tuple[Question, ...]:
    """Which GPUs there are, where an instance has some of them by their number, and which container engine there is,
    where one runs in a container."""
    if options["state"] == "absent":
        return ()
    instances = [instance for instance in parse_all(options) if instance.present]
    asked = (gpus.QUESTION,) if any(map(gpus.is_chosen, instances)) else ()
    contained = any(instance.in_container for instance in instances)
    return (*asked, *(container_engine.questions(options["container_engine"]) if contained else ()))


def build(options: Data, platform: Platform, *answers: Data) -> Built:
    """``answers``: to ``asks``, in order."""
    name = ".".join(filter(None, ("model_server", options["scope"])))
    problems = validate.invalid_scope(options["scope"])
    if options["state"] == "absent":
        return Built(tuple(problems), component=None if problems else {"name": name, "state": "absent"})
    everything = parse_all(options)
    problems = [
        *validate.problems(everything),
        *validate.no_package(everything, options["packages"], platform),
        *problems,
    ]
    engine, chosen = None, bool(answers) and any(map(gpus.is_chosen, everything))
    of_engines = answers[1:] if chosen else answers
    try:
        engine = container_engine.choose(options["container_engine"], of_engines) if of_engines else None
    except HostError as exc:
        problems.append(str(exc))
    if problems:
        return Built(tuple(problems))
    if chosen:
        everything, problems, pending = gpus.choose(everything, answers[0])
        if problems or pending:
            # All instances are one component: what is there stays as it is.
            return Built(tuple(problems), pending=tuple(pending))
    instances = [instance for instance in everything if instance.present]
    # Of those over several hosts, one has the server, and the others what it needs.
    helped = [instance for instance in instances if instance.cluster and not instance.cluster.serves]
    instances = [instance for instance in instances if instance not in helped]
    component = _component(instances, options, platform, engine)
    if helped:
        component["requires"] = [*component.get("requires", ()), *validate.requires_of_helpers(helped)]
    return Built(
        component={"name": name, "state": "present", **component},
        question=gpus.QUESTION if any(instance.gpus for instance in instances) else None,
        context=(*container_gpus.questions(instances), *gpus.weight_questions(instances)),
        decide=container_gpus.decide(instances, engine, gpus.decide(instances)),
        verify={"probes": [_probe(instance) for instance in instances]} if instances else None,
        notices=tuple(_notices(instances)),
        published={
            "open_paths": {instance.name: list(_open_paths(instance)) for instance in instances},
            "serves": {instance.name: instance.shown for instance in instances},
        },
    )


def _open_paths(instance: Instance) -> tuple[str, ...]:
    """What the key of the instance does not close."""
    return () if instance.key_file is None else ENGINES[instance.engine].open_paths


def _notices(instances: t.Iterable[Instance]) -> t.Iterator[str]:
    for instance in instances:
        paths = _open_paths(instance)
        if paths and not instance.loopback:
            yield (
                f"Model server instance {instance.name!r} listens on {instance.host}, where its key does not close "
                f"{', '.join(paths)}; let a gateway alone reach it, or set host 127.0.0.1."
            )


def _component(
    instances: t.Sequence[Instance], options: Data, platform: Platform, engine: Engine | None
) -> dict[str, t.Any]:
    """Without instances, it owns nothing."""
    if not instances:
        return {"packages": [], "users": [], "directories": [], "files": [], "units": [], "ready": [], "settle_s": 0}
    user = options["user"]
    parts = [_parts(instance, user, engine) for instance in instances]
    folders = {folder["path"]: folder for part in parts for folder in part.directories}
    images: dict[str, dict[str, t.Any]] = {}
    for image in (image for part in parts for image in part.images):
        images.setdefault(image["name"], {}).update(image)
    return {
        "packages": _packages(instances, options, platform),
        "users": [{"name": user, "groups": list(options["user_groups"])}],
        "directories": [
            {"path": "/etc/mlops.hosts"},
            {"path": CONFIG_DIR},
            *folders.values(),
            *(_folder(instance) for instance in instances),
        ],
        "files": [file for instance, part in zip(instances, parts) for file in _files(instance, part)],
        **({"images": list(images.values())} if images else {}),
        "units": [part.unit for part in parts],
        "requires": validate.requires(instances, engine),
        "ready": [_ready(instance) for instance in instances],
        "settle_s": max(int(instance.gate["settle_s"]) for instance in instances),
    }


def _parts(instance: Instance, user: str, engine: Engine | None) -> Parts:
    deploy = DEPLOYMENTS[engine.name if engine and instance.in_container else instance.deployment]
    return deploy(instance, user)


def _packages(instances: t.Sequence[Instance], options: Data, platform: Platform) -> list[Data]:
    engines = dict.fromkeys(instance.engine for instance in instances if instance.needs_package)
    if options["packages"]:
        return list(options["packages"]) if engines else []
    return [package for engine in engines for package in ENGINES[engine].packages(platform)]


def _folder(instance: Instance) -> dict[str, t.Any]:
    """Only we write files in it, unless the user keeps the key there."""
    theirs = instance.api_key_file is not None and instance.api_key_file.startswith(f"{instance.folder}/")
    return {"path": instance.folder, "mode": "0750", "purge": not theirs, "on_change": "none"}


def _files(instance: Instance, parts: Parts) -> t.Iterator[Data]:
    yield from parts.files
    # For those who go back to it when another one has taken its place. It changes with the rest, or not at all.
    yield {
        "path": f"{instance.folder}/{INSTANCE_FILE}",
        "content": json.dumps(instance.shown, indent=1, sort_keys=True) + "\n",
        "mode": "0600",
        "on_change": "none",
        "units": [instance.unit],
    }
    if instance.api_key is not None:
        yield {
            "path": f"{instance.folder}/api_key",
            "content": f"{instance.api_key}\n",
            "mode": "0600",
            "secret": True,
            "units": [instance.unit],
        }


def _ready(instance: Instance) -> dict[str, t.Any]:
    return {
        "unit": instance.unit,
        "inference": ENGINES[instance.engine].question(instance),
        "timeout_s": int(instance.gate["timeout_s"]),
    }


def _probe(instance: Instance) -> dict[str, t.Any]:
    """Options of the module ``model_probe``, with the file of the key and without the key."""
    question = ENGINES[instance.engine].question(instance)
    return {
        "name": instance.name,
        "unit": instance.unit,
        **{name: question[name] for name in ("kind", "inputs") if name in question},
        "url": question["url"],
        "model": question.get("model"),
        "api_key_file": question.get("api_key_file"),
        "max_tokens": question.get("max_tokens"),
        "expect_text": question.get("expect"),
        "expect": question.get("expectation"),
        "closed_paths": question.get("closed_paths"),
    }
