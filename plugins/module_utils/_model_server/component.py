# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns instances into component data. An API key goes into the content of a secret file and nowhere else."""

from __future__ import annotations

import typing as t

from .. import _env_file
from .instance import CONFIG_DIR, Data, Instance, present


def component(
    items: t.Iterable[Data], *, user: str, groups: t.Sequence[str] = (), packages: t.Sequence[Data] = ()
) -> dict[str, t.Any]:
    """Options of the module ``component`` for all instances that are present. Without any, it owns nothing."""
    instances = present(items)
    if not instances:
        return {"packages": [], "users": [], "directories": [], "files": [], "units": [], "ready": [], "settle_s": 0}
    packaged = any(instance.binary is None for instance in instances)
    return {
        "packages": list(packages) if packaged else [],
        "users": [{"name": user, "groups": list(groups)}],
        "directories": [
            {"path": "/etc/mlops.hosts"},
            {"path": CONFIG_DIR},
            *(_folder(instance) for instance in instances),
        ],
        "files": [file for instance in instances for file in _files(instance, user)],
        "units": [{"name": instance.unit} for instance in instances],
        "ready": [_ready(instance) for instance in instances],
        "settle_s": max(int(instance.gate["settle_s"]) for instance in instances),
    }


def _folder(instance: Instance) -> dict[str, t.Any]:
    """Only we lay files in it, unless the user keeps the key there."""
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
            "__model_server_env": [_env_file.assignment(*item) for item in environment(instance).items()]
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
    words = [quoted(instance.program)]
    if instance.key_file is not None:
        words += ["--api-key-file", "%d/api_key"]
    return {
        "name": instance.name,
        "user": user,
        "command": " ".join([*words, *map(quoted, instance.extra_args)]),
        "env_file": f"{instance.folder}/env",
        "key_file": instance.key_file,
        "gpus": bool(instance.gpus),
        "loopback": instance.loopback,
        "port": instance.port,
    }


def environment(instance: Instance) -> dict[str, str]:
    """The configuration of llama-server as it reads it from the environment; no secret is in it."""
    found = {
        "LLAMA_ARG_HOST": instance.host,
        "LLAMA_ARG_PORT": instance.port,
        "LLAMA_ARG_MODEL": instance.model_path,
        "LLAMA_ARG_ALIAS": instance.served_name,
        "LLAMA_ARG_CTX_SIZE": instance.given.get("context_size"),
        "LLAMA_ARG_N_PARALLEL": instance.given.get("parallel"),
        "LLAMA_ARG_THREADS": instance.given.get("threads"),
        "LLAMA_ARG_N_GPU_LAYERS": instance.given.get("gpu_layers"),
        # Closed unless asked for: web UI (both its names), the slots endpoint, which shows prompts of others, requests
        # from web pages of other origins, and downloads.
        "LLAMA_ARG_UI": "off",
        "LLAMA_ARG_WEBUI": "off",
        "LLAMA_ARG_ENDPOINT_SLOTS": "off",
        "LLAMA_ARG_CORS_ORIGINS": "localhost",
        "LLAMA_ARG_CORS_CREDENTIALS": "off",
        "LLAMA_ARG_OFFLINE": "on",
        "CUDA_VISIBLE_DEVICES": ",".join(instance.gpus) or None,
    }
    merged = {**found, **instance.environment}
    return {name: str(value) for name, value in merged.items() if value is not None}


def _ready(instance: Instance) -> dict[str, t.Any]:
    question = {
        "url": instance.url,
        "model": instance.served_name,
        "api_key_file": instance.key_file,
        "max_tokens": int(instance.gate["max_tokens"]),
        "expect": instance.gate.get("expect"),
    }
    return {
        "unit": instance.unit,
        "inference": {key: value for key, value in question.items() if value is not None},
        "timeout_s": int(instance.gate["timeout_s"]),
    }


def probes(items: t.Iterable[Data]) -> list[dict[str, t.Any]]:
    """What the module ``model_probe`` asks of each instance, with the file of the key and without the key."""
    return [
        {
            "name": instance.name,
            "unit": instance.unit,
            "url": instance.url,
            "model": instance.served_name,
            "api_key_file": instance.key_file,
            "max_tokens": int(instance.gate["max_tokens"]),
            "expect_text": instance.gate.get("expect"),
        }
        for instance in present(items)
    ]


def quoted(word: str) -> str:
    """One word of ``ExecStart=``, safe from its specifiers and variables."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"'
