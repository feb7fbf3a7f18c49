# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What Docker and Podman are told alike: the words of their ``run``, and what a unit does before.

A container has the network of the host. So host, port and key mean what they mean natively; a port that is published is
open, at the address of the container, to all others on its bridge, also when it is published on loopback.
"""

from __future__ import annotations

import dataclasses
import os.path
import shlex
import signal
import typing as t

from ...container_engine import device
from ..engines import ENGINES
from ..engines.base import CREDENTIALS, key_check, quoted
from ..instance import Instance
from .base import environment

# Of one program, threads included. What the engines allow otherwise is 2048 or no limit.
_PROCESSES = 4096


def template_variables(instance: Instance, user: str, client: str) -> dict[str, t.Any]:
    """What both units have, in words for ``ExecStart=`` where they are commands. ``client``: docker or podman."""
    engine = ENGINES[instance.engine]
    life = engine.lifecycle
    inside = [f"/usr/bin/{client}", "exec", "--interactive", _name(instance), _program(instance)]
    after = " ".join(map(quoted, engine.after_start(instance, inside)))
    return {
        "name": instance.name,
        "container": _name(instance),
        "documentation": engine.documentation,
        "program": os.path.basename(_program(instance)).replace("%", "%%"),
        "image": instance.image,
        "flags": _flags(instance),
        "command": _command(instance),
        "prepare": list(_prepare(instance, user)),
        **({"after_start": after} if after else {}),
        "gpus": bool(instance.gpus),
        "loopback": instance.loopback,
        "port": instance.port,
        "workers": life.workers,
        "keeps_cache": life.keeps_cache,
        "restart": life.restart,
        "start_limit_s": life.start_limit_s,
        # The engine kills what has not stopped by then, and tells so.
        "stop_s": life.stop_s + 10,
        "clean_exits": list(dict.fromkeys([*life.clean_exits, str(128 + signal.Signals[life.stop_signal])])),
        "processes": instance.limits.get("processes", _PROCESSES),
        "memory_gib": instance.limits.get("memory_gib"),
        "cpus": instance.limits.get("cpus"),
    }


def environment_lines(instance: Instance) -> list[str]:
    """Lines of ``--env-file``, in which quotes are part of the value."""
    home = _cache(instance) if ENGINES[instance.engine].lifecycle.keeps_cache else "/tmp"
    credentials = {} if instance.key_file is None else {"CREDENTIALS_DIRECTORY": CREDENTIALS}
    found = {"HOME": home, **credentials, **environment(instance)}
    return [f"{name}={value}" for name, value in found.items()]


def image(instance: Instance, engine: str) -> dict[str, t.Any]:
    return {"name": instance.image, "engine": engine, **({"needs_driver": True} if instance.gpus else {})}


def model_folder(instance: Instance) -> str:
    """What is mounted: of a file its folder, for a model can have several files."""
    path = str(instance.model_path)
    return path if ENGINES[instance.engine].model_kind == "directory" else os.path.dirname(path)


def _name(instance: Instance) -> str:
    return instance.unit[: -len(".service")]


def _run_folder(instance: Instance) -> str:
    return f"/run/{_name(instance)}"


def _cache(instance: Instance) -> str:
    """Below the directory of the unit, which systemd gives to root, for that is who runs the unit."""
    return f"/var/cache/{_name(instance)}/home"


def _program(instance: Instance) -> str:
    return instance.binary or ENGINES[instance.engine].image_program


def _command(instance: Instance) -> list[str]:
    inside = dataclasses.replace(instance, binary=_program(instance))
    return [*ENGINES[instance.engine].command(inside), *map(quoted, instance.extra_args)]


def _flags(instance: Instance) -> list[str]:
    life = ENGINES[instance.engine].lifecycle
    folder = model_folder(instance)
    files = instance.limits["open_files"]
    flags = [
        "--pull=never",
        "--network=host",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        # Models keep the labels that they have on the host.
        "--security-opt=label=disable",
        f"--ulimit=nofile={files}:{files}",
        f"--tmpfs=/tmp:rw,nosuid,nodev,{'exec' if life.compiles else 'noexec'},mode=1777",
        f"--stop-signal={life.stop_signal}",
        f"--stop-timeout={life.stop_s}",
        f"--env-file={instance.folder}/env",
        _mount(folder, folder),
    ]
    if life.workers:  # more than the 64 MiB of a container, up to half of the memory
        flags.append("--tmpfs=/dev/shm:rw,nosuid,nodev,noexec,mode=1777")
    if life.keeps_cache:
        flags.append(_mount(_cache(instance), _cache(instance), writable=True))
    if instance.key_file is not None:
        flags.append(_mount(f"{_run_folder(instance)}/api_key", f"{CREDENTIALS}/api_key"))
    if instance.gpus:
        flags.append("--ulimit=memlock=-1:-1")  # memory that GPUs read
        flags += [f"--device={device(gpu)}" for gpu in instance.gpus]
    return [quoted(flag) for flag in flags]


def _mount(source: str, target: str, *, writable: bool = False) -> str:
    return f"--mount=type=bind,source={source},target={target}{'' if writable else ',readonly'}"


def _prepare(instance: Instance, user: str) -> t.Iterator[str]:
    """Commands as root. Only the host knows the numbers of the user, which are what engines take; its groups are those
    that may read the models."""
    folder = _run_folder(instance)
    name = shlex.quote(user)
    yield _script(
        f'ids="--user=$(id -u {name}):$(id -g {name})" && for group in $(id -G {name}); '
        f'do ids="$ids --group-add=$group"; done && echo "CONTAINER_USER=$ids" >{folder}/user'
    )
    if ENGINES[instance.engine].lifecycle.keeps_cache:
        yield _install("-d", "0700", user, _cache(instance))
    if instance.key_file is not None:
        yield _install("-T", "0400", user, instance.key_file, f"{folder}/api_key")
        yield key_check()


def _install(flag: str, mode: str, user: str, *paths: str) -> str:
    return " ".join(map(quoted, ("/usr/bin/install", flag, "-m", mode, "-o", user, "-g", user, "--", *paths)))


def _script(text: str) -> str:
    return " ".join(map(quoted, ("/bin/sh", "-c", text)))
