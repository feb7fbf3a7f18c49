# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What stands against the instances, one sentence each: in the request itself, and on the host."""

from __future__ import annotations

import re
import typing as t

from .instance import DEPLOYMENTS, ENGINES, Data, Instance, parse, parse_ip, present

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_GPU = re.compile(r"(GPU|MIG)-[A-Za-z0-9/-]+\Z")
# Places that the unit cannot see: ProtectHome and PrivateTmp.
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")

# What the role sets itself, by the option of the instance that sets it.
_OURS = {
    "host": ("--host", "LLAMA_ARG_HOST"),
    "port": ("--port", "LLAMA_ARG_PORT"),
    "model": ("-m", "--model", "LLAMA_ARG_MODEL"),
    "served_name": ("-a", "--alias", "LLAMA_ARG_ALIAS"),
    "api_key": ("--api-key", "LLAMA_API_KEY"),
    "api_key_file": ("--api-key-file", "LLAMA_ARG_API_KEY_FILE"),
    "gpus": ("CUDA_VISIBLE_DEVICES",),
}
_TOKENS = ("-hft", "--hf-token", "HF_TOKEN")
# They let whoever reaches the API read files or run commands on the host.
_DANGEROUS = (
    *("--tools", "--tools-runtime", "--agent", "-ag", "--mcp-servers-config", "--mcp-servers-json"),
    *("--ui-mcp-proxy", "--webui-mcp-proxy"),
    *("LLAMA_ARG_TOOLS", "LLAMA_ARG_TOOLS_RUNTIME", "LLAMA_ARG_AGENT", "LLAMA_ARG_MCP_SERVERS_CONFIG"),
    *("LLAMA_ARG_MCP_SERVERS_JSON", "LLAMA_ARG_UI_MCP_PROXY"),
)


def problems(items: t.Iterable[Data]) -> list[str]:
    """One sentence for each thing that cannot be meant, or that is refused. No host is asked."""
    instances = [parse(item) for item in items]
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
    wanted = [instance for instance in instances if instance.present]
    for place, one in enumerate(wanted):
        for other in wanted[place + 1 :]:
            if one.name == other.name:
                continue
            if one.port and one.port == other.port and _overlap(one.host, other.host):
                yield (
                    f"Model server instances {one.name!r} and {other.name!r} both want port {one.port} of {one.host}; "
                    "set another port for one of them."
                )
            for gpu in sorted(set(one.gpus) & set(other.gpus)):
                yield (
                    f"Model server instances {one.name!r} and {other.name!r} both want GPU {gpu}; "
                    "set other gpus.uuids for one of them."
                )


def _wrong(instance: Instance) -> t.Iterator[str]:
    if instance.engine not in ENGINES:
        yield f"asks for engine {instance.engine!r}; engines that work now: {', '.join(ENGINES)}"
        return
    if instance.deployment not in DEPLOYMENTS:
        yield (
            f"asks for deployment {instance.deployment!r}; deployments of {instance.engine} that work now: "
            f"{', '.join(DEPLOYMENTS)}"
        )
    yield from _wrong_places(instance)
    yield from _wrong_exposure(instance)
    if instance.given.get("gpus") and not instance.gpus:
        yield "has gpus without uuids; name the GPUs or MIG slices in gpus.uuids, as nvidia-smi -L lists them"
    for gpu in instance.gpus:
        if not _GPU.match(gpu):
            yield f"has {gpu!r} in gpus.uuids, which does not begin with GPU- or MIG-; nvidia-smi -L lists the UUIDs"
    yield from _wrong_extras(instance)


def _wrong_places(instance: Instance) -> t.Iterator[str]:
    if instance.model_problem:
        yield instance.model_problem
    elif not instance.model_path:
        yield "has no model; set model.path to a GGUF file on the host, or model.artifact to a model of the store"
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
        elif option != "api_key_file" and path.startswith(tuple(f"{place}/" for place in _HIDDEN)):
            yield f"has {option} {path}, which its unit cannot see; put it below /var/lib, /srv or /opt"


def _wrong_exposure(instance: Instance) -> t.Iterator[str]:
    if instance.api_key is not None and instance.api_key_file is not None:
        yield "has both api_key and api_key_file; keep one"
    if instance.api_key is not None and (
        not instance.api_key
        or instance.api_key != instance.api_key.strip()
        or instance.api_key.startswith("#")
        or not (instance.api_key.isascii() and instance.api_key.isprintable())
    ):
        yield (
            "has an api_key that cannot be sent as bearer token: it is empty, begins with '#', or holds something "
            "other than printable ASCII"
        )
    exposed = parse_ip(instance.host) is not None and not instance.loopback
    if exposed and instance.key_file is None and not instance.allow_unauthenticated:
        yield (
            f"listens on {instance.host} and has no API key, so anyone who reaches the host could use it; "
            "set api_key or api_key_file, host 127.0.0.1, or allow_unauthenticated: true"
        )


def _wrong_extras(instance: Instance) -> t.Iterator[str]:
    options = [word.partition("=")[0] for word in instance.extra_args if word.startswith("-")]
    for where, names in (("extra_args", options), ("environment", list(instance.environment))):
        for name in names:
            ours = next((option for option, words in _OURS.items() if name in words), None)
            if ours is not None:
                yield f"has {name} in {where}, which the role sets; use {ours}"
            elif name in _TOKENS:
                yield f"has {name} in {where}, where others can read it; models are fetched by the role model_store"
            elif name in _DANGEROUS:
                yield f"has {name} in {where}, which hands the host to whoever reaches the API; leave it out"
    for name, value in instance.environment.items():
        if not _VARIABLE.match(str(name)):
            yield f"has {name!r} in environment, which is no name of a variable"
        elif not isinstance(value, (str, int)) or isinstance(value, bool):
            yield f"has {name} in environment, whose value is {value!r} and not text; write it in quotes"
        elif _unprintable(str(value)):
            yield f"has {name} in environment, whose value holds a control character"
    if any(_unprintable(word) for word in instance.extra_args):
        yield "has a control character in extra_args"


# What is wrong with the host


def questions(items: t.Iterable[Data]) -> dict[str, list[t.Any]]:
    """What the module ``preflight_info`` is asked for all instances."""
    instances = present(items)
    paths = [
        path
        for instance in instances
        for path in (instance.model_path, instance.binary, instance.api_key_file)
        if path is not None
    ]
    return {"paths": list(dict.fromkeys(paths)), "ports": sorted({instance.port for instance in instances})}


def host_problems(
    items: t.Iterable[Data], seen: Data, *, drift: t.Iterable[Data] = (), check_mode: bool = False
) -> list[str]:
    """One sentence for each thing on the host that stands against the request.

    ``drift`` is what the component differs in, which says the servers that this run stops. In check mode what is
    missing is no problem: an earlier role of the same run may be what brings it.
    """
    instances = present(items)
    stopped = {
        item["item"]
        for item in drift
        if (item["kind"], item["attribute"], item["want"]) == ("unit", "state", "stopped")
    }
    paths = {item["path"]: item for item in seen["paths"]}
    found: list[str] = []
    for instance in instances:
        words = [
            *_wrong_files(instance, paths, missing=not check_mode),
            *_taken(instance, instances, seen["listeners"], stopped),
        ]
        found += [f"Model server instance {instance.name!r} {text}." for text in words]
    return found


def _wrong_files(instance: Instance, paths: t.Mapping[str, Data], *, missing: bool) -> t.Iterator[str]:
    model = paths[instance.model_path or ""]
    if model["kind"] == "absent" and missing:
        yield (
            f"wants the model {model['path']}, which is not on the host; publish it with the role model_store, "
            "or set model.path"
        )
    elif model["kind"] not in ("file", "absent"):
        yield f"wants the model {model['path']}, which is a {model['kind']}; set model.path to a GGUF file"
    if instance.binary is not None:
        binary = paths[instance.binary]
        if binary["kind"] == "absent" and missing:
            yield (
                f"wants the program {instance.binary}, which is not on the host; install it, or leave out binary "
                "to have the package"
            )
        elif binary["kind"] != "absent" and (binary["kind"] != "file" or not int(binary["mode"], 8) & 0o111):
            yield f"wants the program {instance.binary}, which is not an executable file; set binary"
    if instance.api_key_file is not None:
        key = paths[instance.api_key_file]
        if key["kind"] == "absent" and missing:
            yield f"wants the API key in {key['path']}, which is not on the host; put it there, or set api_key"
        elif key["kind"] not in ("file", "absent"):
            yield f"wants the API key in {key['path']}, which is a {key['kind']}; set api_key_file to a file"
        elif key["kind"] == "file" and int(key["mode"], 8) & 0o077:
            yield (
                f"has its API key in {key['path']}, and the key is readable by others (mode {key['mode']}, owner "
                f"{key['owner']}:{key['group']}); set mode 0600 or 0400"
            )


def _taken(
    instance: Instance, instances: t.Sequence[Instance], listeners: t.Iterable[Data], stopped: t.Collection[str]
) -> t.Iterator[str]:
    stays = {other.unit: other for other in instances}
    for listener in listeners:
        unit = listener["unit"]
        if (
            listener["port"] != instance.port
            or unit == instance.unit
            or not _overlap(instance.host, listener["address"])
        ):
            continue
        if unit in stays:
            yield (
                f"wants port {instance.port}, which instance {stays[unit].name!r} still has; move that one first, "
                "in a run of its own"
            )
            continue
        if unit in stopped:
            continue  # before anything starts
        holder = listener["process"] or "a process that cannot be seen"
        details = [f"pid {listener['pid']}"] if listener["pid"] else []
        details += [unit] if unit else []
        yield (
            f"wants port {instance.port} of {instance.host}, which {holder}"
            f"{' (' + ', '.join(details) + ')' if details else ''} has; stop that, or set another port"
        )
        return


def _overlap(one: str, other: str) -> bool:
    """Whether two addresses cannot both be listened on with the same port."""
    left, right = (
        parse_ip("127.0.0.1" if one == "localhost" else one),
        parse_ip("127.0.0.1" if other == "localhost" else other),
    )
    if left is None or right is None:
        return one == other
    return left == right or left.is_unspecified or right.is_unspecified


def _unprintable(text: str) -> bool:
    return any(not char.isprintable() for char in text)
