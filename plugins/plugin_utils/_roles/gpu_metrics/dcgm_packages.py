# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""DCGM and its exporter from NVIDIA's repository for CUDA. Pure."""

from __future__ import annotations

import typing as t

from ..built import Data
from ..nvidia_repository import Repository
from ..platform import Platform, platform

ENGINE, EXPORTER = "nvidia-dcgm.service", "nvidia-dcgm-exporter.service"
FACTS = ("distribution", "distribution_release", "architecture")
# Where the host engine listens, on loopback, as its unit starts it.
ENGINE_PORT = 5555
ENGINE_AT = f"localhost:{ENGINE_PORT}"
_DROP_IN = f"/etc/systemd/system/{EXPORTER}.d"


def problems(options: Data, host: Platform) -> t.Iterator[str]:
    release = _release(host)
    if release is None:
        found = f"{host.distribution} {host.distribution_release}"
        yield (
            f"gpu_metrics_provider is dcgm, whose packages are known for Debian and Ubuntu, and this host is {found}; "
            "set gpu_metrics_dcgm_deployment to container."
        )
        return
    yield from _repository(options, release, host).problems("DCGM")
    if options["dcgm_cuda"] < 11:
        yield f"gpu_metrics_dcgm_cuda must be a major release of CUDA from 11 on, not {options['dcgm_cuda']}."


def parts(options: Data, host: Platform, counters: str, listens: str) -> dict[str, list[dict[str, t.Any]]]:
    engine = ("datacenter-gpu-manager-4-proprietary", f"datacenter-gpu-manager-4-cuda{options['dcgm_cuda']}")
    versions = {
        "datacenter-gpu-manager-4-core": options["dcgm_version"],
        **dict.fromkeys(engine, options["dcgm_version"]),
        "datacenter-gpu-manager-exporter": options["dcgm_exporter_version"],
    }
    return {
        "repositories": [_repository(options, t.cast("Data", _release(host)), host).data("nvidia-cuda", flat=True)],
        # What moves by itself may no longer fit the driver.
        "packages": [{"name": name, "version": version or None, "hold": True} for name, version in versions.items()],
        "directories": [{"path": _DROP_IN, "on_change": "none"}],
        "files": [
            {
                "path": f"{_DROP_IN}/mlops.conf",
                "template": "nvidia-dcgm-exporter.conf.j2",
                "template_vars": {"__gpu_metrics": {"counters": counters, "listens": listens, "engine": ENGINE_AT}},
                "units": [EXPORTER],
            },
        ],
        "units": [{"name": ENGINE}, {"name": EXPORTER}],
        "requires": [],
        "ready": [{"unit": ENGINE, "tcp": ENGINE_AT, "timeout_s": 30}],
    }


def _release(host: Platform) -> Data | None:
    """The vendor has one repository for DCGM and CUDA; the role cuda_toolkit knows where it is."""
    known = platform("cuda_toolkit", {name: getattr(host, name) for name in (*FACTS, "os_family")}).known
    found: Data | None = (known.get("platform") or {"releases": {}})["releases"].get(host.distribution_release)
    return found


def _repository(options: Data, release: Data, host: Platform) -> Repository:
    return Repository.of("gpu_metrics", options, release, str(host.architecture))
