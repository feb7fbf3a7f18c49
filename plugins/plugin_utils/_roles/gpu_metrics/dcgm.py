# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""DCGM and its exporter, by packages or in a container, as component data. Pure."""

from __future__ import annotations

import typing as t

from ....module_utils._preflight import parse_ip
from ..built import Data, Question
from ..container_engine import Engine
from ..platform import ROLES, Platform
from . import dcgm_container, dcgm_packages

COUNTERS = "/etc/mlops.hosts/dcgm-counters.csv"
QUESTION = Question("mlops.hosts.driver_info", {"vendor": "nvidia"})
# Either may hold the port while the other one takes its place.
EXPORTERS = (dcgm_packages.EXPORTER, dcgm_container.EXPORTER)


def in_container(options: Data) -> bool:
    return bool(options["dcgm_deployment"] == "container")


def facts(options: Data) -> tuple[str, ...]:
    return () if in_container(options) else dcgm_packages.FACTS


def conflicts(driver: Data) -> list[str]:
    """``driver``: the answer to QUESTION."""
    if driver["gpus"]:
        return []
    return [
        "gpu_metrics_provider is dcgm, which needs a GPU of NVIDIA, and the PCI bus of this host has none; set it to "
        "textfile."
    ]


def problems(options: Data, host: Platform) -> t.Iterator[str]:
    yield from dcgm_container.problems(options) if in_container(options) else dcgm_packages.problems(options, host)
    if parse_ip(options["dcgm_address"]) is None:
        yield f"gpu_metrics_dcgm_address must be an IP address to listen on, not '{options['dcgm_address']}'."
    if not 1 <= options["dcgm_port"] <= 65535:
        yield f"gpu_metrics_dcgm_port must be from 1 to 65535, not {options['dcgm_port']}."


def component(options: Data, host: Platform, engine: Engine | None) -> dict[str, list[dict[str, t.Any]]]:
    """``engine``: what runs the container, None where it is packages."""
    address, port = options["dcgm_address"], options["dcgm_port"]
    listens = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if engine:
        exporter, parts = dcgm_container.EXPORTER, dcgm_container.parts(options, engine, COUNTERS, listens)
    else:
        exporter, parts = dcgm_packages.EXPORTER, dcgm_packages.parts(options, host, COUNTERS, listens)
    counters = (ROLES / "gpu_metrics/files/dcgm-counters.csv").read_text()
    return {
        **parts,
        "files": [{"path": COUNTERS, "content": counters, "units": [exporter]}, *parts["files"]],
        "requires": [
            {
                "kind": "port",
                "port": port,
                "address": address,
                "units": list(EXPORTERS),
                "msg": "Port {what} must be free for DCGM's exporter, and is held by {found}: stop that, or set "
                "gpu_metrics_dcgm_port.",
            },
            *parts["requires"],
        ],
        "ready": [
            *parts["ready"],
            {"unit": exporter, "http": f"http://{_asked_at(listens, address)}/metrics", "timeout_s": 60},
        ],
    }


def _asked_at(listens: str, address: str) -> str:
    """Where the host itself reaches the exporter."""
    ip = parse_ip(address)
    loopback = "[::1]" if ip and ip.version == 6 else "127.0.0.1"
    return f"{loopback}:{listens.rpartition(':')[2]}" if ip and ip.is_unspecified else listens
