# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which models the gateway serves, and which servers have them: from the instances of the hosts behind it. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from ....module_utils._preflight import parse_ip
from ..built import Data
from ..model_server.engines import ENGINES
from ..model_server.instance import Instance, parse

Kind = t.Literal["completion", "embedding", "tensor"]
LOOPBACK = "127.0.0.1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")


@dataclasses.dataclass(frozen=True)
class Server:
    """``host`` and ``instance`` name it for those who drain it. ``model_is``: what tells its model from others.
    ``parallel``: requests that it serves at a time, 0 where that is not known."""

    host: str
    instance: str
    address: str
    port: int
    model_is: str = ""
    parallel: int = 0

    @property
    def name(self) -> str:
        return f"{self.host}:{self.instance}" if self.instance else self.host


@dataclasses.dataclass(frozen=True)
class Backend:
    """All servers of one model. ``key`` is what they ask for."""

    model: str
    kind: Kind
    servers: tuple[Server, ...]
    key: str | None = dataclasses.field(default=None, repr=False)

    @property
    def name(self) -> str:
        """For HAProxy, whose names take few signs: two models never share one."""
        plain = re.sub(r"[^A-Za-z0-9_.-]", "_", self.model)
        return f"model.{plain}" if plain == self.model else f"model.{plain}-{_digest(self.model)}"


@dataclasses.dataclass(frozen=True)
class _Found:
    model: str
    kind: Kind
    server: Server
    key: str | None = dataclasses.field(repr=False)
    problem: str | None = None


def backends(models_given: t.Sequence[Data], fleet: Data) -> tuple[list[Backend], list[str]]:
    """The models in order of their names, and what is wrong.

    ``models_given``: the option ``models``. ``fleet`` has ``here``, the gateway's own name in the inventory, and
    ``hosts`` by name, each with ``address``, ``instances`` and ``artifacts``.
    """
    upstream = {item["name"]: item for item in models_given}
    found = [one for name, data in fleet["hosts"].items() for one in _of_host(name, data, fleet["here"], upstream)]
    problems = [one.problem for one in found if one.problem]
    models: dict[str, list[_Found]] = {}
    for one in found:
        models.setdefault(one.model, []).append(one)
    for name, item in upstream.items():
        for server in item.get("servers") or ():
            given = Server(server["name"], "", server["address"], server["port"])
            models.setdefault(name, []).append(
                _Found(name, item.get("kind") or "completion", given, item.get("api_key"))
            )
    made = []
    for model in sorted(models):
        problems += _differing(model, models[model])
        first = models[model][0]
        made.append(Backend(model, first.kind, tuple(one.server for one in models[model]), first.key))
    unserved = [name for name in upstream if name not in models]
    if unserved:
        problems.append(
            f"model_gateway_models names {', '.join(unserved)}, which no host of model_gateway_hosts serves; "
            "correct the name, or give it servers."
        )
    return made, [*problems, *_unusable(made)]


def _of_host(host: str, data: Data, here: str, upstream: t.Mapping[str, Data]) -> t.Iterator[_Found]:
    for item in data["instances"] or ():
        instance = parse(item)
        if not instance.present or (instance.hosts and instance.hosts[0] != host):
            continue  # of one over several hosts, the first has the server
        kind = t.cast("Kind", ENGINES[instance.engine].question(instance).get("kind", "completion"))
        given = (upstream.get(instance.served_name) or {}).get("api_key")
        key, problem = instance.api_key or given, None
        address = _address(instance, data["address"], at_home=host == here)
        if address is None:
            problem = (
                f"Instance {instance.name!r} of {host} listens on {instance.host}, which this gateway does not reach; "
                "set its host to an address of the network between them, and let no one else reach that."
            )
        elif (instance.given.get("parallel") or 0) < 0:
            problem = (
                f"Instance {instance.name!r} of {host} has parallel {instance.given['parallel']}; set it to 1 or more, "
                "or leave it out, and the gateway sends all requests on."
            )
        elif instance.api_key_file is not None and given is None:
            problem = (
                f"Instance {instance.name!r} of {host} has its key in a file, which this gateway does not see; "
                f"give the key as api_key of {instance.served_name} in model_gateway_models."
            )
        server = Server(
            host,
            instance.name,
            address or "",
            instance.port,
            _model_is(instance, item, data),
            int(instance.given.get("parallel") or 0),
        )
        yield _Found(instance.served_name, kind, server, key, problem)


def _address(instance: Instance, address: str, *, at_home: bool) -> str | None:
    ip = parse_ip(instance.host)
    if instance.loopback:
        return (LOOPBACK if ip is None else instance.host) if at_home else None
    return address if ip is not None and ip.is_unspecified else instance.host


def _model_is(instance: Instance, item: Data, data: Data) -> str:
    """The revision of the artefact, or the path."""
    named = (item.get("model") or {}).get("artifact")
    if named is None:
        return f"path {instance.model_path}"
    for artifact in data["artifacts"] or ():
        if artifact.get("name") == named:
            return f"{artifact.get('source')} at {artifact.get('revision') or 'no revision'}"
    return f"artifact {named}"


def _differing(model: str, found: t.Sequence[_Found]) -> t.Iterator[str]:
    """What makes servers of one name no copies of each other."""
    known = [one for one in found if one.server.model_is]
    contents = {one.server.model_is: one.server.name for one in reversed(known)}
    if len(contents) > 1:
        said = "; ".join(f"{server} has {content}" for content, server in sorted(contents.items()))
        yield f"Model {model!r} is not the same on all of its servers: {said}. Give each a served_name of its own."
    if len({one.key for one in found}) > 1:
        yield f"The servers of model {model!r} have different API keys; give them the same."
    if len({one.kind for one in found}) > 1:
        yield f"Model {model!r} is of different kinds on its servers; give each a served_name of its own."


def _unusable(made: t.Sequence[Backend]) -> t.Iterator[str]:
    for backend in made:
        if re.search(r"[\s\x00-\x1f\x7f\"'\\]", backend.model) or backend.model.startswith("#") or not backend.model:
            yield f"Model {backend.model!r} cannot be routed to: a name has no blank, quote or backslash."
        names = [server.name for server in backend.servers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"Model {backend.model!r} has {', '.join(twice)} twice; name each server once."
        bad = [server.host for server in backend.servers if not _NAME.match(server.host)]
        if bad:
            yield f"These names of hosts cannot be used: {', '.join(bad)}; use letters, digits, -, _ and dots."


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
