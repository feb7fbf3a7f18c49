# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a Prometheus scrapes: exporters and model servers of the hosts of the inventory, and what users add. Pure.

Who answers at ``/metrics``, and with which key, is from runs of the servers: llama-server (with --metrics, behind its
key), vLLM (always, without), SGLang (with --enable-metrics, without), TEI (always, without). Ollama has none, and the
role model_server turns that of Triton off.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ....module_utils._preflight import parse_ip
from ..built import Data
from ..model_server.instance import Instance, parse

LOOPBACK = "127.0.0.1"
# Values with which llama-server reads a variable as a switch that is on.
_ON = ("on", "enabled", "true", "1")
_SHOWN_HOSTS = 5


@dataclasses.dataclass(frozen=True)
class Target:
    """``address``: HOST:PORT. ``host``: its name in the inventory, which no target label may contradict."""

    address: str
    host: str
    labels: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Job:
    """A scrape job of Prometheus. ``name`` is its own, ``label`` the label ``job`` of what it scrapes."""

    name: str
    label: str
    targets: tuple[Target, ...]
    path: str = "/metrics"
    scheme: str = "http"
    ca_file: str | None = None
    key: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class Found:
    """``alertmanagers``: HOST:PORT of each that alerts are sent to. ``notices`` and ``problems`` are sentences."""

    jobs: tuple[Job, ...] = ()
    alertmanagers: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclasses.dataclass
class _Fleet:
    """What is found host by host. ``closed``: hosts whose part listens on loopback, by the part and what opens it."""

    here: str
    targets: dict[tuple[str, str | None], list[Target]] = dataclasses.field(default_factory=dict)
    closed: dict[tuple[str, str], list[str]] = dataclasses.field(default_factory=dict)
    notices: list[str] = dataclasses.field(default_factory=list)
    alertmanagers: list[str] = dataclasses.field(default_factory=list)

    def add(self, job: str, target: Target, key: str | None = None) -> None:
        self.targets.setdefault((job, key), []).append(target)

    def reach(self, host: str, data: Data, listen: str, port: int, what: str, option: str) -> str | None:
        """HOST:PORT, None where this Prometheus does not reach it."""
        address = _address(listen, str(data["address"]), at_home=host == self.here)
        if address is None:
            self.closed.setdefault((what, option), []).append(host)
            return None
        return joined(address, port)


def find(options: Data) -> Found:
    """``options["fleet"]``: ``here``, the name of this host, and ``hosts`` by name, with the options of their roles."""
    fleet = _Fleet(options["fleet"]["here"])
    scraped, gateways = set(options["targets"]), set(options["gateways"])
    # It scrapes itself in any case.
    _parts(fleet, fleet.here, {**options, "address": LOOPBACK})
    for host, data in options["fleet"]["hosts"].items():
        if data["state"] == "present" and host in scraped and host != fleet.here:
            _parts(fleet, host, data)
        if host in scraped and data["provider"] == "dcgm":
            listen, port, option = data["dcgm_address"], data["dcgm_port"], "gpu_metrics_dcgm_address"
            if address := fleet.reach(host, data, listen, port, "DCGM's exporter", option):
                fleet.add("dcgm", Target(address, host))
        if host in gateways and data["metrics_port"]:
            option = "model_gateway_metrics_address"
            listen, port = data["metrics_address"], data["metrics_port"]
            if address := fleet.reach(host, data, listen, port, "The gateway's exporter", option):
                fleet.add("gateway", Target(address, host))
        for item in (data["instances"] or ()) if host in scraped else ():
            instance = parse(item)
            if instance.present and (not instance.hosts or instance.hosts[0] == host):
                _model_server(fleet, host, data, instance)
    jobs = [
        *(Job(_name(job, key), job, _ordered(of), key=key) for (job, key), of in fleet.targets.items()),
        *(_extra(item) for item in options["extra_targets"]),
    ]
    return Found(
        tuple(sorted(jobs, key=lambda job: job.name)),
        tuple(fleet.alertmanagers),
        (*_closed(fleet), *fleet.notices),
        tuple(_problems(jobs)),
    )


def _ordered(found: t.Iterable[Target]) -> tuple[Target, ...]:
    return tuple(sorted(found, key=lambda target: (target.host, target.address)))


def home(listen: str) -> str:
    """Where a host reaches what it has itself."""
    ip = parse_ip(listen)
    if ip is None or not ip.is_unspecified:
        return LOOPBACK if ip is None and listen == "localhost" else listen
    return LOOPBACK if ip.version == 4 else "::1"


def joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_loopback(address: str) -> bool:
    ip = parse_ip(address)
    return address == "localhost" or (ip is not None and ip.is_loopback)


def _address(listen: str, address: str, *, at_home: bool) -> str | None:
    if at_home:
        return home(listen)
    if is_loopback(listen):
        return None
    ip = parse_ip(listen)
    return address if ip is not None and ip.is_unspecified else listen


def _parts(fleet: _Fleet, host: str, data: Data) -> None:
    if data["node_exporter"]:
        listen, port = data["node_exporter_address"], data["node_exporter_port"]
        if address := fleet.reach(host, data, listen, port, "node_exporter", "monitoring_node_exporter_address"):
            fleet.add("node", Target(address, host))
    for part in ("prometheus", "alertmanager"):
        # Those of other hosts that listen on loopback are meant for these hosts.
        listen, port = data[f"{part}_address"], data[f"{part}_port"]
        address = _address(listen, str(data["address"]), at_home=host == fleet.here)
        if data[part] and address:
            fleet.add(part, Target(joined(address, port), host))
            if part == "alertmanager":
                fleet.alertmanagers.append(joined(address, port))


def _model_server(fleet: _Fleet, host: str, data: Data, instance: Instance) -> None:
    if instance.engine in ("ollama", "triton"):
        return
    if missing := _switch(instance):
        fleet.notices.append(
            f"Instance {instance.name!r} of {host} serves no metrics; add {missing} to its extra_args to have it "
            "scraped."
        )
        return
    key = instance.api_key if instance.engine == "llama_cpp" else None
    if key is None and instance.engine == "llama_cpp" and instance.api_key_file:
        fleet.notices.append(
            f"Instance {instance.name!r} of {host} is not scraped: its key is in a file there, which the controller "
            "does not see; give it as api_key, or scrape it by monitoring_extra_targets."
        )
        return
    what = f"Instance {instance.name!r}"
    if address := fleet.reach(host, data, instance.host, instance.port, what, "its host"):
        labels = {"model_instance": instance.name, "model": instance.served_name, "engine": instance.engine}
        fleet.add("model_server", Target(address, host, labels), key)


def _switch(instance: Instance) -> str | None:
    """The flag that an instance lacks to serve metrics."""
    flag = {"llama_cpp": "--metrics", "sglang": "--enable-metrics"}.get(instance.engine)
    given = str(instance.environment.get("LLAMA_ARG_ENDPOINT_METRICS", "")).lower()
    on = flag is None or flag in instance.extra_args or (instance.engine == "llama_cpp" and given in _ON)
    return None if on else flag


def _extra(item: Data) -> Job:
    host, labels = item.get("host"), {str(name): str(value) for name, value in (item.get("labels") or {}).items()}
    return Job(
        name=item["name"],
        label=item.get("job") or item["name"],
        targets=tuple(Target(address, host or "", labels) for address in item["addresses"]),
        path=item.get("path") or "/metrics",
        scheme=item.get("scheme") or "http",
        ca_file=item.get("ca_file"),
        key=item.get("bearer_token"),
    )


def _name(job: str, key: str | None) -> str:
    """Of servers that have a key those with the same one are one job; its name does not tell the key."""
    return job if key is None else f"{job}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _closed(fleet: _Fleet) -> t.Iterator[str]:
    for (what, option), hosts in fleet.closed.items():
        shown = ", ".join(hosts[:_SHOWN_HOSTS])
        more = f" and {len(hosts) - _SHOWN_HOSTS} more" if len(hosts) > _SHOWN_HOSTS else ""
        yield (
            f"{what} of {shown}{more} listens on loopback and is not scraped from {fleet.here}; set {option} there to "
            "an address of the network between them, and let no one else reach that."
        )


def _problems(jobs: t.Sequence[Job]) -> t.Iterator[str]:
    names = [job.name for job in jobs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"monitoring_extra_targets must have names that nothing else has, and {', '.join(twice)} is there twice."
    seen: dict[tuple[str, str, str], str] = {}
    for job in jobs:
        for target in job.targets:
            place = (job.label, target.address, job.path)
            of = target.host or job.name
            if place in seen:
                yield (
                    f"{target.address} would be scraped twice as job {job.label}, for {seen[place]} and for {of}; give "
                    "each its own address (monitoring_address_variable names its variable), or name it once."
                )
            seen[place] = of
