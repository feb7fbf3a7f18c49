# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""DCGM and its exporter, from NVIDIA's repository for CUDA, as component data. Pure."""

from __future__ import annotations

import typing as t

from ....module_utils._preflight import parse_ip
from ..built import Data, Question
from ..nvidia_repository import Repository
from ..platform import ROLES, Platform, platform

ENGINE, EXPORTER = "nvidia-dcgm.service", "nvidia-dcgm-exporter.service"
COUNTERS = "/etc/mlops.hosts/dcgm-counters.csv"
_DROP_IN = f"/etc/systemd/system/{EXPORTER}.d"
# Where the host engine listens, on loopback, as its unit starts it.
_ENGINE_AT = "localhost:5555"
QUESTION = Question("mlops.hosts.driver_info", {"vendor": "nvidia"})
FACTS = ("distribution", "distribution_release", "architecture")


def conflicts(driver: Data, _compared: Data, _dry_run: bool) -> list[str]:
    """``driver``: the answer to QUESTION."""
    if driver["gpus"]:
        return []
    return [
        "gpu_metrics_provider is dcgm, which needs a GPU of NVIDIA, and the PCI bus of this host has none; set it to "
        "textfile."
    ]


def problems(options: Data, host: Platform) -> t.Iterator[str]:
    release = _release(host)
    if release is None:
        found = f"{host.distribution} {host.distribution_release}"
        yield f"gpu_metrics_provider is dcgm, which is known for Debian and Ubuntu, and this host is {found}."
        return
    yield from _repository(options, release, host).problems("DCGM")
    if options["dcgm_cuda"] < 11:
        yield f"gpu_metrics_dcgm_cuda must be a major release of CUDA from 11 on, not {options['dcgm_cuda']}."
    if parse_ip(options["dcgm_address"]) is None:
        yield f"gpu_metrics_dcgm_address must be an IP address to listen on, not '{options['dcgm_address']}'."
    if not 1 <= options["dcgm_port"] <= 65535:
        yield f"gpu_metrics_dcgm_port must be from 1 to 65535, not {options['dcgm_port']}."


def component(options: Data, host: Platform) -> dict[str, list[dict[str, t.Any]]]:
    address, port = options["dcgm_address"], options["dcgm_port"]
    listens = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    engine = ("datacenter-gpu-manager-4-proprietary", f"datacenter-gpu-manager-4-cuda{options['dcgm_cuda']}")
    versions = {
        "datacenter-gpu-manager-4-core": options["dcgm_version"],
        **dict.fromkeys(engine, options["dcgm_version"]),
        "datacenter-gpu-manager-exporter": options["dcgm_exporter_version"],
    }
    own = {"units": [EXPORTER]}
    return {
        "repositories": [_repository(options, t.cast("Data", _release(host)), host).data("nvidia-cuda", flat=True)],
        # What moves by itself may no longer fit the driver.
        "packages": [{"name": name, "version": version or None, "hold": True} for name, version in versions.items()],
        "directories": [{"path": _DROP_IN, "on_change": "none"}],
        "files": [
            {"path": COUNTERS, "content": (ROLES / "gpu_metrics/files/dcgm-counters.csv").read_text(), **own},
            {
                "path": f"{_DROP_IN}/mlops.conf",
                "template": "nvidia-dcgm-exporter.conf.j2",
                "template_vars": {
                    "__gpu_metrics": {"counters": COUNTERS, "listens": listens, "engine": _ENGINE_AT},
                },
                **own,
            },
        ],
        "units": [{"name": ENGINE}, {"name": EXPORTER}],
        "requires": [
            {
                "kind": "port",
                "port": port,
                "address": address,
                "units": [EXPORTER],
                "msg": "Port {what} must be free for DCGM's exporter, and is held by {found}: stop that, or set "
                "gpu_metrics_dcgm_port.",
            }
        ],
        "ready": [
            {"unit": ENGINE, "tcp": _ENGINE_AT, "timeout_s": 30},
            {"unit": EXPORTER, "http": f"http://{_asked_at(listens, address)}/metrics", "timeout_s": 60},
        ],
    }


def _asked_at(listens: str, address: str) -> str:
    """Where the host itself reaches the exporter."""
    ip = parse_ip(address)
    loopback = "[::1]" if ip and ip.version == 6 else "127.0.0.1"
    return f"{loopback}:{listens.rpartition(':')[2]}" if ip and ip.is_unspecified else listens


def _release(host: Platform) -> Data | None:
    """The vendor has one repository for DCGM and CUDA; the role cuda_toolkit knows where it is."""
    known = platform("cuda_toolkit", {name: getattr(host, name) for name in (*FACTS, "os_family")}).known
    found: Data | None = (known.get("platform") or {"releases": {}})["releases"].get(host.distribution_release)
    return found


def _repository(options: Data, release: Data, host: Platform) -> Repository:
    return Repository.of("gpu_metrics", options, release, str(host.architecture))
