# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Validates the instances, and says what they require of the host. Each problem is one sentence."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ....module_utils._inference.question import KEY
from ....module_utils._preflight import overlap, parse_ip
from ... import _jmespath
from .. import container_engine
from ..built import Data
from ..platform import Platform
from . import gpus
from .deployments import container
from .engines import ENGINES
from .engines.base import Engine
from .instance import Instance

_SCOPE = re.compile(r"[a-z0-9_-]{0,32}\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FLAG = re.compile(r"--?[A-Za-z]")
_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*\Z")
# The options of a mount are fields of CSV.
_NOT_IN_MOUNTS = ',"\\'
# Places that the unit cannot see: ProtectHome and PrivateTmp.
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")


def invalid_scope(scope: str) -> list[str]:
    if _SCOPE.match(scope):
        return []
    return [f"model_server_scope is {scope!r}; use up to 32 small letters, digits, '-' and '_'."]


def problems(instances: t.Sequence[Instance]) -> list[str]:
    """One sentence for each thing that is invalid, or that is refused. No host is asked."""
    found = [*_names(instances), *_twice(instances)]
    for instance in instances:
        if instance.present:
            found += [f"Model server instance {instance.name!r} {words}." for words in _wrong(instance)]
    return found


def _names(instances: t.Sequence[Instance]) -> t.Iterator[str]:
    names = [instance.name for instance in instances]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            yield (
                f"Model server instance {name!r} is listed {names.count(name)} times in model_server_instances; "
                "give each its own name."
            )
        if not _NAME.match(name):
            yield (
                f"Model server instance {name!r} has a name that cannot be part of a unit's; use up to 48 small "
                "letters, digits, '-' and '_'."
            )


def _twice(instances: t.Sequence[Instance]) -> t.Iterator[str]:
    desired = [instance for instance in instances if instance.present]
    for place, one in enumerate(desired):
        for other in desired[place + 1 :]:
            if one.name == other.name:
                continue
            if one.port and one.port == other.port and overlap(one.host, other.host):
                yield (
                    f"Model server instances {one.name!r} and {other.name!r} both want port {one.port} of {one.host}; "
                    "set another port for one of them."
                )
            for gpu in gpus.overlapping(one, other):
                yield (
                    f"Model server instances {one.name!r} and {other.name!r} both want GPU {gpu}; "
                    "set other gpus.uuids for one of them, or gpus.shared for both."
                )


def _wrong(instance: Instance) -> t.Iterator[str]:
    engine = ENGINES.get(instance.engine)
    if engine is None:
        yield f"asks for engine {instance.engine!r}; engines that work now: {', '.join(ENGINES)}"
        return
    if instance.deployment not in engine.deployments:
        yield (
            f"asks for deployment {instance.deployment!r}; deployments of {instance.engine} that work now: "
            f"{', '.join(engine.deployments)}"
        )
    yield from [instance.model_problem] if instance.model_problem else engine.problems(instance)
    if instance.runtime_problem:
        yield instance.runtime_problem
    if instance.cluster and instance.cluster.problem:
        yield instance.cluster.problem
    if instance.hosts and instance.in_container:
        yield "has hosts and runs in a container, where its Ray is not; set deployment native"
    if instance.hosts and "gpus" in instance.given:
        yield "has gpus and hosts, whose GPUs Ray hands out; leave gpus out, and set ray_cluster_gpus"
    yield from _wrong_places(instance)
    yield from _wrong_image(instance)
    yield from _wrong_limits(instance)
    yield from _wrong_exposure(instance, engine)
    yield from gpus.invalid(instance)
    yield from _wrong_options(instance, engine)
    yield from _wrong_gate(instance)
    yield from _wrong_extras(instance, engine)


def _wrong_places(instance: Instance) -> t.Iterator[str]:
    if not 1 <= instance.port <= 65535:
        yield (
            f"has port {instance.port}; set port to a number from 1 to 65535"
            if instance.port
            else "has no port; set port"
        )
    if instance.host != "localhost" and parse_ip(instance.host) is None:
        yield f"has host {instance.host!r}; set host to an IP address of the machine, or to localhost"
    if "," in instance.served_name or _unprintable(instance.served_name) or not instance.served_name.strip():
        yield "has a served_name that is empty or holds a comma or a control character; set one name"
    for option, path in (
        ("binary", instance.binary),
        ("model.path", instance.model_path),
        ("api_key_file", instance.api_key_file),
    ):
        if path is None:
            continue
        if not path.startswith("/") or _unprintable(path):
            yield f"has {option} {path!r}; give an absolute path on the host"
        elif (
            not instance.in_container
            and option != "api_key_file"
            and path.startswith(tuple(f"{place}/" for place in _HIDDEN))
        ):
            yield f"has {option} {path}, which its unit cannot see; put it below /var/lib, /srv or /opt"


def _wrong_image(instance: Instance) -> t.Iterator[str]:
    if not instance.in_container:
        if instance.image is not None:
            yield "has an image, which is for deployment container; set that, or leave image out"
        return
    if instance.image is None:
        yield "runs in a container and has no image; set image to one by digest (registry/name@sha256:...)"
    elif not container_engine.IMAGE.match(instance.image):
        yield (
            f"has image {instance.image!r}, which can be another one tomorrow; set image to one by digest "
            "(registry/name@sha256:...)"
        )
    folder = container.model_folder(instance) if instance.model_path else ""
    if folder == "/" or set(folder) & set(_NOT_IN_MOUNTS):
        yield (
            f"has its model in {folder!r}, which cannot be mounted in a container; put it in a folder below /srv, "
            "with a name without comma, quote and backslash"
        )


def _wrong_limits(instance: Instance) -> t.Iterator[str]:
    for name in ("memory_gib", "processes", "open_files"):
        if instance.limits.get(name, 1) < 1:
            yield f"has limits.{name} {instance.limits[name]}; set it to a number above 0"
    if not _CPUS.match(instance.limits.get("cpus", "0")):
        yield f"has limits.cpus {instance.limits['cpus']!r}; set it to numbers and ranges, such as 0-7,16-23"


def _wrong_exposure(instance: Instance, engine: Engine) -> t.Iterator[str]:
    if instance.key_file is not None and not engine.takes_key:
        yield (
            f"has an API key, and {engine.name} has no way to ask for one that others on the host cannot read; leave "
            "it out, set host 127.0.0.1, and put a gateway that asks for it before the server"
        )
        return
    if instance.api_key is not None and instance.api_key_file is not None:
        yield "has both api_key and api_key_file; keep one"
    if instance.api_key is not None and (not KEY.fullmatch(instance.api_key)):
        yield (
            "has an api_key that cannot be sent as bearer token: it is empty, begins with '#', or holds something "
            "other than printable ASCII without blanks"
        )
    exposed = parse_ip(instance.host) is not None and not instance.loopback
    if exposed and instance.key_file is None and not instance.allow_unauthenticated:
        yield (
            f"listens on {instance.host} and has no API key, so anyone who reaches the host could use it; set "
            f"{'api_key or api_key_file, ' if engine.takes_key else ''}host 127.0.0.1, or allow_unauthenticated: true"
        )


def _wrong_options(instance: Instance, engine: Engine) -> t.Iterator[str]:
    of_some = frozenset[str]().union(*(other.options for other in ENGINES.values()))
    gate = {f"gate.{name}" for name, value in (instance.given.get("gate") or {}).items() if value is not None}
    for option in sorted(of_some & (instance.given.keys() | gate) - engine.options):
        yield f"has {option}, which {engine.name} does not have; leave it out"


def _wrong_gate(instance: Instance) -> t.Iterator[str]:
    if (expectation := instance.gate.get("expectation")) is not None:
        try:
            _jmespath.for_hosts("gate.expectation", expectation)
        except _jmespath.ExpressionError as exc:
            yield f"has a gate that cannot be used: {exc}"


def _wrong_extras(instance: Instance, engine: Engine) -> t.Iterator[str]:
    options = [engine.meant(word) for word in instance.extra_args if _FLAG.match(word)]
    for where, names in (("extra_args", options), ("environment", list(instance.environment))):
        for name in names:
            ours = next((option for option, words in engine.reserved.items() if name in words), None)
            if ours is not None:
                yield f"has {name} in {where}, which the role sets; use {ours}"
            elif name in engine.tokens:
                yield f"has {name} in {where}, where others can read it; models are fetched by the role model_store"
            elif name in engine.dangerous:
                yield f"has {name} in {where}, which hands the host to whoever reaches the API; leave it out"
            elif not instance.allow_unknown_args:
                yield from _unknown(name, where, engine)
    for name, value in instance.environment.items():
        if not _VARIABLE.match(str(name)):
            yield f"has {name!r} in environment, which is no name of a variable"
        elif not isinstance(value, (str, int)) or isinstance(value, bool):
            yield f"has {name} in environment, whose value is {value!r} and not text; write it in quotes"
        elif _unprintable(str(value)):
            yield f"has {name} in environment, whose value holds a control character"
    if any(_unprintable(word) for word in instance.extra_args):
        yield "has a control character in extra_args"


def _unknown(name: str, where: str, engine: Engine) -> t.Iterator[str]:
    """A program with an argument that it does not know does not start, and passes over such a variable."""
    known = engine.flags.names
    own = where == "extra_args" or str(name).startswith(engine.variables)
    if name in known or not own:
        return
    if name in engine.renamed:
        new = " or ".join(engine.renamed[name])
        yield f"has {name} in {where}, which {engine.name} no longer has; {f'use {new}' if new else 'leave it out'}"
        return
    import difflib  # for few, and it takes longer than all of this

    near = "".join(f", such as {one}" for one in difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.8))
    yield (
        f"has {name} in {where}, which {engine.flags.version} does not have; set one that it has{near}, or "
        "allow_unknown_args: true for a program that has it"
    )


def no_package(instances: t.Iterable[Instance], packages: t.Sequence[Data], platform: Platform) -> t.Iterator[str]:
    """``packages``: those that the user named, in the place of those of the platform."""
    needy: dict[str, Instance] = {}
    for instance in instances:
        if instance.present and instance.needs_package and not instance.runtime and instance.engine in ENGINES:
            needy.setdefault(instance.engine, instance)
    for engine, first in ((ENGINES[name], first) for name, first in needy.items()):
        if not (packages or engine.packages(platform)):
            program = engine.program.rpartition("/")[2]
            host = f"{platform.distribution} {platform.distribution_release}"
            known = f" (known: {', '.join(engine.packaged_for)})" if engine.packaged_for else ""
            yield (
                f"No package with {program} is known for {host}{known}, and model "
                f"server instance {first.name!r} has no binary; set its binary to a {program} on the host, or set "
                "model_server_packages."
            )


# What the host must have


def requires(instances: t.Sequence[Instance], engine: container_engine.Engine | None = None) -> list[Data]:
    """Conditions of the module ``component`` for all instances, which are present. ``engine`` has their containers."""
    return [
        condition
        for instance in instances
        for condition in (
            *(_told(instance, one) for one in _required_files(instance)),
            *([engine.required(_subject(instance))] if engine and instance.in_container else []),
            _told(instance, _required_port(instance, instances)),
        )
    ]


def requires_of_helpers(instances: t.Iterable[Instance]) -> list[Data]:
    """Of hosts that have a part of an instance and not its server: the model and the program."""
    return [
        _told(instance, condition)
        for instance in instances
        for condition in _required_files(dataclasses.replace(instance, api_key_file=None))
    ]


def _subject(instance: Instance) -> str:
    return f"Model server instance {instance.name!r}"


def _told(instance: Instance, condition: Data) -> Data:
    """With its words as sentences."""
    subject = _subject(instance)
    messages = {reason: f"{subject} {words}." for reason, words in condition["msg_for"].items()}
    return {**condition, "msg": f"{subject} {condition['msg']}.", "msg_for": messages}


def _required_files(instance: Instance) -> t.Iterator[Data]:
    engine = ENGINES[instance.engine]
    yield {
        "kind": "path",
        "path": instance.model_path,
        "type": engine.model_kind,
        "msg": f"wants the model {instance.model_path}, which is {{found}}; set model.path to {engine.model}",
        "msg_for": {
            "absent": f"wants the model {instance.model_path}, which is not on the host; publish it with the role "
            "model_store, or set model.path"
        },
    }
    if instance.binary is not None and not instance.in_container:
        program, option = f"the program {instance.binary}", "runtime" if instance.runtime else "binary"
        cure = "install it, or leave out binary to have the package"
        cure = "build it with the role model_runtime" if instance.runtime else cure
        yield {
            "kind": "path",
            "path": instance.binary,
            "type": "file",
            "executable": True,
            "msg": f"wants {program}, which is not an executable file; set {option}",
            "msg_for": {"absent": f"wants {program}, which is not on the host; {cure}"},
        }
    if instance.api_key_file is not None:
        key = f"API key in {instance.api_key_file}"
        yield {
            "kind": "path",
            "path": instance.api_key_file,
            "type": "file",
            "max_mode": "0700",
            "msg": f"wants the {key}, which is {{found}}; set api_key_file to a file",
            "msg_for": {
                "absent": f"wants the {key}, which is not on the host; put it there, or set api_key",
                "max_mode": f"has its {key}, and the key is readable by others ({{found}}); set mode 0600 or 0400",
            },
        }


def _required_port(instance: Instance, instances: t.Sequence[Instance]) -> Data:
    """Of an instance that stays the port is not free yet: it is restarted in the same step as this one."""
    wants = f"wants port {instance.port}"
    return {
        "kind": "port",
        "port": instance.port,
        "address": instance.host,
        "units": [instance.unit],
        "msg": f"{wants} of {instance.host}, which {{found}} has; stop that, or set another port",
        "msg_for": {
            other.unit: f"{wants}, which instance {other.name!r} still has; move that one first, in a run of its own"
            for other in instances
            if other.unit != instance.unit
        },
    }


def _unprintable(text: str) -> bool:
    return any(not char.isprintable() for char in text)
