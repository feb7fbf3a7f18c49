# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Says what is wrong with the options of a cluster, and what it requires of a host. Pure."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._preflight import parse_ip
from ....module_utils._ray import paths
from ..built import Data
from .cluster import Cluster, Member

# The first one that is known to ask for tokens as this role has it.
_OLDEST = (2, 60)
# What Ray itself takes.
_LEAST_STORE_MIB = 75
_TOKEN = re.compile(r"[!-~]{32,}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def problems(options: Data, cluster: Cluster) -> t.Iterator[str]:
    """One sentence for each thing that is invalid. No host is asked."""
    yield from _token(options["token"])
    if cluster.own is None:
        here = options["fleet"]["here"]
        yield f"{here} is not in ray_cluster_hosts; add it, or take it out of the play."
    yield from _head(cluster)
    yield from _addresses(cluster.hosts)
    yield from _software(cluster.hosts)
    yield from _ports(cluster)
    for name, least in _LEAST.items():
        if options[name] < least:
            yield f"ray_cluster_{name} is {options[name]}; set it to {least} or more."
    networks = [one for one in options["allowed_networks"] if not _is_network(one)]
    if networks:
        yield f"ray_cluster_allowed_networks has {', '.join(networks)}; give addresses or networks as 10.0.0.0/24."
    for name in options["environment"]:
        if name in _OURS:
            yield f"ray_cluster_environment has {name}, which the role sets; leave it out."
        elif not _VARIABLE.match(str(name)):
            yield f"ray_cluster_environment has {name!r}, which is no name of a variable."


_LEAST: t.Mapping[str, int] = {"object_store_mib": _LEAST_STORE_MIB, "join_timeout_s": 5, "cpus": 0, "gpus": 0}
_OURS = {*paths.AUTHENTICATION, "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"}


def _token(token: str | None) -> t.Iterator[str]:
    if not token:
        yield (
            "ray_cluster_token is not set, and without one whoever reaches Ray runs programs; set the same long random "
            "text for all hosts, as openssl rand -hex 32 prints."
        )
    elif not _TOKEN.match(token):
        yield (
            "ray_cluster_token has less than 32 characters, or a blank in it; set a long random text, as openssl rand "
            "-hex 32 prints."
        )


def _head(cluster: Cluster) -> t.Iterator[str]:
    names = [host.name for host in cluster.hosts]
    heads = {host.head: host.name for host in reversed(cluster.hosts) if host.head}
    if not cluster.head:
        yield "ray_cluster_head is not set; name the one host of ray_cluster_hosts that is the head."
    elif cluster.head not in names:
        known = ", ".join(names) or "none"
        yield f"ray_cluster_head {cluster.head} is not in ray_cluster_hosts, which has {known}; name one of them."
    if len(heads) > 1:
        said = ", ".join(f"{head} for {name}" for head, name in sorted(heads.items()))
        yield f"ray_cluster_head is not the same for all hosts: {said}; a cluster has one head."


def _addresses(hosts: t.Sequence[Member]) -> t.Iterator[str]:
    for host in hosts:
        ip = parse_ip(host.address)
        if ip is None:
            yield (
                f"{host.name} has no ray_cluster_address; set it to the address that {host.name} has in the cluster's "
                "network."
            )
        elif ip.is_unspecified or (ip.is_loopback and len(hosts) > 1):
            yield (
                f"ray_cluster_address of {host.name} is {host.address}, where other hosts do not reach it; set it to "
                "one in the cluster's network."
            )
    known = [host.address for host in hosts]
    for address in sorted({one for one in known if known.count(one) > 1 and parse_ip(one) is not None}):
        names = ", ".join(host.name for host in hosts if host.address == address)
        yield f"{names} have the same ray_cluster_address {address}; give each its own."


def _software(hosts: t.Sequence[Member]) -> t.Iterator[str]:
    for host in hosts:
        found = host.software
        if found.problem:
            yield f"ray_cluster_runtime of {host.name} cannot be used: {found.problem}."
        elif found.python == "Python None":
            yield f"The environment of {host.name} has no Python whose name says its version; name it as in python3.12."
        elif tuple(int(part) for part in re.findall(r"\d+", found.ray or "")[:2]) < _OLDEST:
            yield f"{host.name} would have Ray {found.ray}; give it {'.'.join(map(str, _OLDEST))} or newer."
    known: dict[str, str] = {}
    for host in hosts:
        if not host.software.problem:
            known.setdefault(str(host.software), host.name)
    if len(known) > 1:
        said = ", ".join(f"{name} has {software}" for software, name in known.items())
        yield f"Ray refuses hosts with other versions: {said}; give all the same environment."


def _ports(cluster: Cluster) -> t.Iterator[str]:
    ports, taken = cluster.ports, dict[int, str]()
    for name, port in ports.single():
        other = taken.setdefault(port, name)
        if not 0 < port < 65536:
            yield f"ray_cluster_{name} is {port}; set it to a port from 1 to 65535."
        elif other != name:
            yield f"ray_cluster_{other} and ray_cluster_{name} are both {port}; give each its own port."
        elif ports.worker_first <= port <= ports.worker_last:
            yield f"ray_cluster_{name} is {port}, which is among the ports of workers; give it another."
    if not 0 < ports.worker_first < ports.worker_last < 65536:
        yield (
            f"ray_cluster_ports has workers from {ports.worker_first} to {ports.worker_last}; set worker_first and "
            "worker_last to a range of free ports."
        )
    for host in cluster.hosts:
        if cluster.own is not None and host.ports["port"] != cluster.own.ports["port"]:
            yield (
                f"ray_cluster_port is {host.ports['port']} for {host.name} and {cluster.own.ports['port']} for "
                f"{cluster.own.name}; set the same for all hosts."
            )
            return


def _is_network(text: str) -> bool:
    address, slash, bits = text.partition("/")
    ip = parse_ip(address)
    return ip is not None and (not slash or (bits.isdigit() and int(bits) <= ip.max_prefixlen))


def requires(options: Data, cluster: Cluster, program: str) -> list[Data]:
    """Conditions of the module ``component``. What our unit listens on is its own."""
    found: list[Data] = [
        {
            "kind": "path",
            "path": program,
            "type": "file",
            "executable": True,
            "msg": "Ray's program {what} is no executable file; build its environment with the role model_runtime.",
            "msg_for": {"absent": "Ray is not on the host: {what}; build its environment with the role model_runtime."},
        }
    ]
    for name, port in cluster.ports.single():
        if cluster.is_head or name not in ("port", "ports.client"):
            found.append(
                {
                    "kind": "port",
                    "address": cluster.address,
                    "port": port,
                    "units": [paths.UNIT],
                    "msg": f"Another program listens on port {{what}}; stop it, or choose another ray_cluster_{name}.",
                }
            )
    return found
