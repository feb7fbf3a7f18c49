# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``model_server`` into component data. Pure.

An API key goes into the content of a secret file and nowhere else.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ....module_utils import _env_file
from ..built import Built, Data, Question
from ..platform import Platform
from . import gpus, validate
from .engines import ENGINES
from .engines.base import key_check, quoted
from .instance import CONFIG_DIR, Instance, parse_all

# A change of these can change what is right here.
AFTER = ("gpu_driver", "gpu_settings", "model_store", "model_runtime")


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
    needy = any(instance.present and instance.binary is None for instance in parse_all(options))
    return ("os_family", "distribution", "distribution_release") if needy else ()


def asks(options: Data) -> Question | None:
    """Which GPUs there are, where an instance has some of them by their number."""
    if options["state"] == "absent" or not any(map(gpus.is_chosen, parse_all(options))):
        return None
    return gpus.QUESTION


def build(options: Data, platform: Platform, found: Data | None = None) -> Built:
    """``found``: the answer to ``asks``, None where nothing was asked."""
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
    if problems:
        return Built(tuple(problems))
    if found is not None:
        everything, problems, pending = gpus.choose(everything, found)
        if problems or pending:
            # All instances are one component: what is there stays as it is.
            return Built(tuple(problems), pending=tuple(pending))
    instances = [instance for instance in everything if instance.present]
    return Built(
        component={"name": name, "state": "present", **_component(instances, options, platform)},
        question=gpus.QUESTION if any(instance.gpus for instance in instances) else None,
        decide=gpus.decide(instances),
        verify={"probes": [_probe(instance) for instance in instances]} if instances else None,
        notices=tuple(_notices(instances)),
        published={"open_paths": {instance.name: list(_open_paths(instance)) for instance in instances}},
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


def _component(instances: t.Sequence[Instance], options: Data, platform: Platform) -> dict[str, t.Any]:
    """Without instances, it owns nothing."""
    if not instances:
        return {"packages": [], "users": [], "directories": [], "files": [], "units": [], "ready": [], "settle_s": 0}
    user = options["user"]
    return {
        "packages": _packages(instances, options, platform),
        "users": [{"name": user, "groups": list(options["user_groups"])}],
        "directories": [
            {"path": "/etc/mlops.hosts"},
            {"path": CONFIG_DIR},
            *(_folder(instance) for instance in instances),
        ],
        "files": [file for instance in instances for file in _files(instance, user)],
        "units": [{"name": instance.unit} for instance in instances],
        "requires": validate.requires(instances),
        "ready": [_ready(instance) for instance in instances],
        "settle_s": max(int(instance.gate["settle_s"]) for instance in instances),
    }


def _packages(instances: t.Sequence[Instance], options: Data, platform: Platform) -> list[Data]:
    engines = dict.fromkeys(instance.engine for instance in instances if instance.binary is None)
    if options["packages"]:
        return list(options["packages"]) if engines else []
    return [package for engine in engines for package in ENGINES[engine].packages(platform)]


def _folder(instance: Instance) -> dict[str, t.Any]:
    """Only we write files in it, unless the user keeps the key there."""
    theirs = instance.api_key_file is not None and instance.api_key_file.startswith(f"{instance.folder}/")
    return {"path": instance.folder, "mode": "0750", "purge": not theirs, "on_change": "none"}


def _files(instance: Instance, user: str) -> t.Iterator[dict[str, t.Any]]:
    yield {
        "path": f"/etc/systemd/system/{instance.unit}",
        "template": "model.service.j2",
        "template_vars": {"__model_server_unit": _unit(instance, user)},
        "units": [instance.unit],
    }
    yield {
        "path": f"{instance.folder}/env",
        "template": "env.j2",
        "template_vars": {
            "__model_server_env": [_env_file.assignment(*item) for item in _environment(instance).items()]
        },
        "mode": "0640",
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


def _unit(instance: Instance, user: str) -> dict[str, t.Any]:
    engine = ENGINES[instance.engine]
    after = " ".join(map(quoted, engine.after_start(instance)))
    return {
        "name": instance.name,
        "documentation": engine.documentation,
        "user": user,
        "program": (instance.binary or engine.program).rpartition("/")[2].replace("%", "%%"),
        "command": " ".join([*engine.command(instance), *map(quoted, instance.extra_args)]),
        **({"after_start": after} if after else {}),
        "env_file": f"{instance.folder}/env",
        "key_file": instance.key_file,
        "key_check": key_check(),
        "gpus": bool(instance.gpus),
        "loopback": instance.loopback,
        "port": instance.port,
        **dataclasses.asdict(engine.lifecycle),
    }


def _environment(instance: Instance) -> dict[str, str]:
    merged = {**ENGINES[instance.engine].environment(instance), **instance.environment}
    return {name: str(value) for name, value in merged.items() if value is not None}


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
        "closed_paths": question.get("closed_paths"),
    }
