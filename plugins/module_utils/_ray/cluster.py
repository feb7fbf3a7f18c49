# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is asked of a cluster. Ray itself is loaded by what asks it, from the environment that this runs in."""

from __future__ import annotations

import dataclasses
import importlib
import platform
import typing as t

from .._errors import HostError
from . import paths

_ASK_S = 10


@dataclasses.dataclass(frozen=True)
class Node:
    """``start`` tells its starts apart, as its label says; empty where it was started by others."""

    address: str
    alive: bool
    head: bool
    start: str


@dataclasses.dataclass(frozen=True)
class Versions:
    ray: str
    python: str


class Cluster(t.Protocol):
    """HostError, with a sentence, where there is no answer."""

    def nodes(self) -> t.Sequence[Node]:
        """All that the head knows, dead ones among them."""

    def versions(self) -> Versions | None:
        """Those that the head was started with. None while it has not said so."""

    @property
    def here(self) -> Versions:
        """Those of this program."""


class RayCluster:
    """The cluster whose head has the address, as ``host:port``."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: t.Any = None

    @property
    def here(self) -> Versions:
        return Versions(_load("ray").__version__, platform.python_version())

    def nodes(self) -> t.Sequence[Node]:
        found = self._ask(lambda client: client.get_all_node_info(timeout=_ASK_S))
        return [
            Node(
                address=info.node_manager_address,
                alive=info.state == 0,  # GcsNodeInfo.ALIVE
                head=info.is_head_node,
                start=dict(info.labels).get(START, ""),
            )
            for info in found.values()
        ]

    def versions(self) -> Versions | None:
        usage = _load("ray._common.usage.usage_lib")
        found = self._ask(usage.get_cluster_metadata)
        return Versions(found["ray_version"], found["python_version"]) if found else None

    def _ask(self, question: t.Callable[[t.Any], t.Any]) -> t.Any:
        errors = _load("ray.exceptions")
        try:
            if self._client is None:
                self._client = _load("ray._raylet").GcsClient(address=self._address)
            return question(self._client)
        except errors.AuthenticationError:
            self._client = None
            raise HostError(
                f"the head at {self._address} refuses the token in {paths.TOKEN}; give all hosts of the cluster the "
                "same ray_cluster_token"
            ) from None
        except (errors.RayError, RuntimeError) as exc:
            self._client = None  # another start of the head is another cluster
            said = str(exc).strip().splitlines() or [type(exc).__name__]
            raise HostError(f"the head at {self._address} does not answer: {said[0]}") from exc


# The label of a node with the invocation of its unit.
START = "mlops.hosts/start"


def _load(name: str) -> t.Any:
    return importlib.import_module(name)
