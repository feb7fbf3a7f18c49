# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A cluster as the variables of its hosts say. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ....module_utils._errors import HostError
from ....module_utils._python_environment import paths, requirements
from ..built import Data


@dataclasses.dataclass(frozen=True)
class Ports:
    """``client`` is None where the environment has no Ray client, which would refuse it."""

    gcs: int
    node_manager: int
    object_manager: int
    runtime_env_agent: int
    agent: int
    agent_grpc: int
    metrics: int
    worker_first: int
    worker_last: int
    client: int | None

    def single(self) -> list[tuple[str, int]]:
        """All but those of workers, by the name of the option."""
        return [
            ("port", self.gcs),
            *((f"ports.{name}", getattr(self, name)) for name in _SINGLE),
            *([("ports.client", self.client)] if self.client is not None else []),
        ]


_SINGLE = ("node_manager", "object_manager", "runtime_env_agent", "agent", "agent_grpc", "metrics")


@dataclasses.dataclass(frozen=True)
class Software:
    """What must be the same on all hosts. ``problem``: why it is not known."""

    ray: str | None = None
    python: str | None = None
    client: bool = False
    problem: str | None = None

    def __str__(self) -> str:
        return f"Ray {self.ray} with {self.python}"


@dataclasses.dataclass(frozen=True)
class Member:
    name: str
    address: str
    head: str | None
    gpus: int
    ports: Data
    software: Software


@dataclasses.dataclass(frozen=True)
class Cluster:
    """``own`` is the host itself, None where it is none of the ``hosts``."""

    hosts: tuple[Member, ...]
    head: str
    own: Member | None
    ports: Ports

    @property
    def is_head(self) -> bool:
        return self.own is not None and self.own.name == self.head

    @property
    def address(self) -> str:
        return self.own.address if self.own else ""

    @property
    def head_address(self) -> str:
        return next((host.address for host in self.hosts if host.name == self.head), "")

    def everywhere(self) -> list[tuple[str, int]]:
        """Ports that Ray listens on at all addresses of the host, whatever it is told: who is there and the first."""
        ports = self.ports
        head = [("head", ports.gcs)] if self.is_head else []
        return [*head, ("node_manager", ports.node_manager), ("object_manager", ports.object_manager)]


def parse(options: Data) -> Cluster:
    found = options["fleet"]
    # Of one where the role is absent nothing is known: it is on its way out.
    hosts = tuple(_member(name, data) for name, data in found["hosts"].items() if data["port"] is not None)
    own = next((host for host in hosts if host.name == found["here"]), None)
    client = own is not None and own.software.client
    return Cluster(hosts, options["head"] or "", own, ports(options["port"], options["ports"], client=client))


def ports(port: int, given: Data, *, client: bool) -> Ports:
    full = {**PORTS, **{name: value for name, value in given.items() if value is not None}}
    return Ports(gcs=port, **{**full, "client": full["client"] if client else None})


# The defaults of the role's ``argument_specs``.
PORTS: Data = {
    "node_manager": 6380,
    "object_manager": 6381,
    "runtime_env_agent": 6382,
    "agent": 6383,
    "agent_grpc": 6384,
    "metrics": 6385,
    "client": 6386,
    "worker_first": 10002,
    "worker_last": 10999,
}


def _member(name: str, data: Data) -> Member:
    return Member(
        name=name,
        address=data["address"],
        head=data["head"] or None,
        gpus=data["gpus"],
        ports={"port": data["port"], **PORTS, **{key: port for key, port in data["ports"].items() if port is not None}},
        software=software(data["environments"] or (), data["runtime"]),
    )


def software(environments: t.Sequence[Data], name: str) -> Software:
    item = next((one for one in environments if one.get("name") == name and one.get("state") != "absent"), None)
    if item is None:
        known = ", ".join(str(one.get("name")) for one in environments) or "none"
        return Software(problem=f"there is no environment {name} in model_runtime_environments, which has {known}")
    try:
        packages = {one.name: one.version for one in requirements.parse(item.get("requirements") or "")}
    except HostError as exc:
        return Software(problem=str(exc))
    if "ray" not in packages:
        return Software(problem=f"the environment {name} has no ray among its requirements")
    version = paths.python_version(str(item.get("python")))
    return Software(packages["ray"], f"Python {version}", client="grpcio" in packages)
