# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""One instance of the role ``model_server`` as the user meant it.

An instance comes as the user wrote it; what is left out gets the defaults of the role's ``argument_specs``.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ....module_utils._errors import HostError
from ....module_utils._preflight import parse_ip
from ..built import Data
from . import engines
from .engines.base import CREDENTIALS

CONFIG_DIR = "/etc/mlops.hosts/model_server"
INSTANCE_FILE = "instance.json"

DEFAULTS: Data = {
    "state": "present",
    "engine": engines.DEFAULT,
    "deployment": "native",
    "host": "127.0.0.1",
    "allow_unauthenticated": False,
    "extra_args": [],
    "allow_unknown_args": False,
    "environment": {},
}
LIMITS: Data = {"open_files": 1048576}
GATE: Data = {"timeout_s": 900, "max_tokens": 8, "settle_s": 5}


@dataclasses.dataclass(frozen=True)
class Spread:
    """The Ray cluster of an instance that has ``hosts``, as the variables of those say.

    ``serves``: this host is the one with the server. ``head`` and ``address``, this host's own, are addresses.
    ``gpus``: of each host. ``problem``: words that follow the name of the instance.
    """

    serves: bool
    address: str = ""
    head: str = ""
    addresses: tuple[str, ...] = ()
    gpus: int = 0
    problem: str | None = None


@dataclasses.dataclass(frozen=True)
class Instance:
    """An instance with its defaults filled in. ``given`` is what the user wrote.

    ``binary``: the program, which that of its Python environment is as well; in a container, that in its image. None
    for that of the package, or of images of its makers.
    """

    name: str
    present: bool
    engine: str
    deployment: str
    image: str | None
    binary: str | None
    runtime: str | None
    runtime_problem: str | None
    model_path: str | None
    model_problem: str | None
    served_name: str
    host: str
    port: int
    api_key: str | None
    api_key_file: str | None
    allow_unauthenticated: bool
    gpus: tuple[str, ...]
    extra_args: tuple[str, ...]
    allow_unknown_args: bool
    environment: Data
    limits: Data
    gate: Data
    given: Data
    hosts: tuple[str, ...] = ()
    cluster: Spread | None = None

    @property
    def unit(self) -> str:
        return f"mlops-model-{self.name}.service"

    @property
    def folder(self) -> str:
        return f"{CONFIG_DIR}/{self.name}"

    @property
    def key_file(self) -> str | None:
        """Where the key lies on the host."""
        return f"{self.folder}/api_key" if self.api_key is not None else self.api_key_file

    @property
    def shown(self) -> dict[str, t.Any]:
        """What the user wrote, with paths for names, and without the key: an instance again, with that."""
        return {name: value for name, value in self.given.items() if name not in ("api_key", "runtime", "cluster")}

    @property
    def in_container(self) -> bool:
        return self.deployment == "container"

    @property
    def needs_package(self) -> bool:
        return self.binary is None and not self.in_container

    @property
    def credential(self) -> str:
        """Where the program has the key, as its unit writes it."""
        return f"{CREDENTIALS}/api_key" if self.in_container else "%d/api_key"

    @property
    def loopback(self) -> bool:
        ip = parse_ip(self.host)
        return self.host == "localhost" or (ip is not None and ip.is_loopback)

    @property
    def url(self) -> str:
        """Where the host itself reaches the server."""
        ip = parse_ip(self.host)
        if ip is not None and ip.is_unspecified:
            return f"http://127.0.0.1:{self.port}" if ip.version == 4 else f"http://[::1]:{self.port}"
        return (
            f"http://[{self.host}]:{self.port}"
            if ip is not None and ip.version == 6
            else f"http://{self.host}:{self.port}"
        )


def parse(item: Data) -> Instance:
    given = {key: value for key, value in item.items() if value is not None}
    full = {**DEFAULTS, **given}
    return Instance(
        name=str(full.get("name", "")),
        present=full["state"] == "present",
        engine=str(full["engine"]),
        deployment=str(full["deployment"]),
        image=full.get("image"),
        binary=full.get("binary"),
        runtime=full.get("runtime"),
        runtime_problem=full.get("runtime_problem"),
        model_path=(full.get("model") or {}).get("path"),
        model_problem=(full.get("model") or {}).get("problem"),
        served_name=str(full.get("served_name", full.get("name", ""))),
        host=str(full["host"]),
        port=int(full.get("port", 0)),
        api_key=full.get("api_key"),
        api_key_file=full.get("api_key_file"),
        allow_unauthenticated=full["allow_unauthenticated"] is True,
        gpus=tuple((full.get("gpus") or {}).get("uuids") or ()),
        extra_args=tuple(str(word) for word in full["extra_args"]),
        allow_unknown_args=full["allow_unknown_args"] is True,
        environment=full["environment"],
        limits=_given(full.get("limits"), LIMITS),
        gate=_given(full.get("gate"), GATE),
        given=given,
        hosts=tuple(full.get("hosts") or ()),
        cluster=full.get("cluster"),
    )


def _given(options: Data | None, defaults: Data) -> Data:
    return {**defaults, **{key: value for key, value in (options or {}).items() if value is not None}}


def parse_all(options: Data) -> list[Instance]:
    """All instances, also those to be absent, with paths for what is named by its artefact or its environment."""
    artifacts, store = options["artifacts"] or (), options["store_dir"]
    found = []
    for item in options["instances"]:
        model = {"model": _located(item, artifacts, store)} if item.get("model") else {}
        program = _program(item, options) if item.get("runtime") else {}
        over = {"cluster": spread(item, options["fleet"])} if item.get("hosts") and options.get("fleet") else {}
        found.append(parse({**item, **model, **program, **over}))
    return found


def spread(item: Data, fleet: Data) -> Spread:
    """``fleet``: ``here``, this host, and ``hosts`` by name, with their ``address`` and the options of ray_cluster."""
    names = list(item["hosts"])
    known = {name: fleet["hosts"].get(name) or {} for name in names}
    own, serves = known.get(fleet["here"]) or {}, names[0] == fleet["here"]
    if problem := _wrong_cluster(item, names, known, fleet["here"]):
        return Spread(serves, problem=problem)
    addresses = tuple(str(data["address"]) for data in known.values())
    head = f"{known[own['head']]['address']}:{own['port']}"
    return Spread(serves, str(own["address"]), head, addresses, int(own["gpus"]))


def _wrong_cluster(item: Data, names: t.Sequence[str], known: t.Mapping[str, Data], here: str) -> str | None:
    own = known.get(here)
    if len(set(names)) != len(names) or len(names) < 2:
        return f"has hosts {', '.join(names)}; name two or more, each once"
    if own is None:
        return f"has hosts {', '.join(names)}, and is desired of {here}; give it to those hosts only"
    outside = [name for name, data in known.items() if not data.get("head")]
    if outside:
        return f"has hosts of which {', '.join(outside)} have no ray_cluster_head; make them a cluster of ray_cluster"
    heads = {data["head"] for data in known.values()}
    if len(heads) > 1 or own["head"] not in known:
        return f"has hosts {', '.join(names)}, which are not all of one Ray cluster; name all hosts of a cluster"
    gpus = {data["gpus"] for data in known.values()}
    if len(gpus) > 1 or not own["gpus"]:
        said = ", ".join(f"{data['gpus']} on {name}" for name, data in known.items())
        return f"needs the same ray_cluster_gpus, one or more, on all of its hosts, and found {said}; set them"
    if own["runtime"] != item.get("runtime"):
        return (
            f"has runtime {item.get('runtime')}, and its Ray cluster {own['runtime']}; give both the same environment, "
            "which has Ray and the server"
        )
    return None


def _program(item: Data, options: Data) -> Data:
    """The path of the program, or ``runtime_problem`` in its place."""
    engine = engines.ENGINES.get(item.get("engine") or engines.DEFAULT)
    if item.get("deployment") == "container":
        return {"runtime_problem": "has runtime, and its program is that of the image; leave it out"}
    if item.get("binary"):
        return {"runtime_problem": "has both binary and runtime; keep one"}
    if engine is None:
        return {}
    if not engine.in_environments:
        return {"runtime_problem": f"has runtime, and {engine.name} is no Python program; leave it out"}
    from ....module_utils._python_environment.paths import program_path  # most instances have none

    environments, base = options["environments"] or (), options["runtime_base"]
    program = engine.program.rpartition("/")[2]
    try:
        return {"binary": program_path(environments, item["runtime"], base=base, program=program)}
    except HostError as exc:
        return {"runtime_problem": f"cannot have its program from the list of environments: {exc}"}


def _located(item: Data, artifacts: t.Sequence[Data], store: str) -> Data:
    """The path, or ``problem`` in its place. ``artifacts`` are those of the module ``model_artifact``."""
    path, artifact, file = (item["model"].get(key) for key in ("path", "artifact", "file"))
    engine = engines.ENGINES.get(item.get("engine") or engines.DEFAULT)
    whole = engine is not None and engine.model_kind == "directory"
    if artifact is None:
        return {"problem": "has model.file without model.artifact; set model.artifact"} if file else {"path": path}
    if path:
        return {"problem": "has both model.path and model.artifact; keep one"}
    if whole and file:
        return {"problem": "has model.file, and its engine takes the whole artifact; leave it out"}
    from ....module_utils._model.paths import model_file, version_folder  # it loads the kinds of sources

    try:
        if whole:
            return {"path": version_folder(artifacts, artifact, store=store)}
        return {"path": model_file(artifacts, artifact, store=store, file=file)}
    except HostError as exc:
        return {"problem": f"cannot have its model from the list of artifacts: {exc}"}
