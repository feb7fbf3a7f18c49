# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""DCGM's exporter in a container, with an engine of its own or that of the host. Pure.

What the image takes is from its sources (dcgm-exporter 4.5.3-4.8.2): its entry point passes arguments on; counters of
profiling take SYS_ADMIN; with a remote engine, and outside Kubernetes, the exporter itself does not touch a GPU.
"""

from __future__ import annotations

import typing as t

from .. import quadlet
from ..built import Data
from ..container_engine import IMAGE, Engine, device
from .dcgm_packages import ENGINE, ENGINE_AT, ENGINE_PORT

NAME = "mlops-dcgm-exporter"
EXPORTER = f"{NAME}.service"
# Of the exporter alone: the Go program and DCGM's library.
_PROCESSES = 512


def problems(options: Data) -> t.Iterator[str]:
    image = options["dcgm_image"]
    if not IMAGE.match(image):
        yield (
            "gpu_metrics_dcgm_image must be the image of DCGM's exporter by its digest (registry/name@sha256:...), not "
            f"'{image}'."
        )


def has_engine(options: Data) -> bool:
    """Whether DCGM itself runs in the container, too, which takes the GPUs."""
    return bool(options["dcgm_engine"] == "container")


def parts(options: Data, engine: Engine, counters: str, listens: str) -> dict[str, list[dict[str, t.Any]]]:
    own = has_engine(options)
    unit = {
        "container": NAME,
        "image": options["dcgm_image"],
        "host_engine": None if own else ENGINE,
        "flags": list(_flags(engine.name, counters, own)),
        "arguments": ["-f", counters, "-a", listens, *(() if own else ("-r", ENGINE_AT))],
    }
    docker = engine.name == "docker"
    file = {"template_vars": {"__gpu_metrics": unit}, "units": [EXPORTER]}
    quadlets: Data = {"validate": quadlet.VALIDATE, "validate_as": f"{NAME}.container"}
    return {
        "images": [
            {"name": options["dcgm_image"], "engine": engine.name, **({"needs_driver": True} if own else {})},
        ],
        "directories": [] if docker else [{"path": "/etc/containers"}, {"path": quadlet.FOLDER}],
        "files": [
            {**file, "path": f"/etc/systemd/system/{EXPORTER}", "template": "dcgm-exporter.service.j2"}
            if docker
            else {
                **file,
                **quadlets,
                "path": f"{quadlet.FOLDER}/{NAME}.container",
                "template": "dcgm-exporter.container.j2",
            }
        ],
        # The generator enables a quadlet, by what its file says.
        "units": [{"name": EXPORTER, **({} if docker else {"enabled": False})}],
        "requires": [
            engine.required("DCGM's exporter"),
            # Two engines would take the counters of profiling from each other.
            *([_no_other_engine()] if own else []),
        ],
        "ready": [] if own else [{"tcp": ENGINE_AT, "timeout_s": 30}],
    }


def _flags(client: str, counters: str, own: bool) -> t.Iterator[str]:
    yield from (
        "--pull=never",
        "--network=host",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--security-opt=label=disable",
        "--tmpfs=/tmp:rw,nosuid,nodev,noexec,mode=1777",
        f"--mount=type=bind,source={counters},target={counters},readonly",
    )
    if own:
        yield from ("--cap-add=SYS_ADMIN", f"--device={device('all')}")
    if client == "docker":  # the container is not in the group of the unit
        yield f"--pids-limit={_PROCESSES}"


def _no_other_engine() -> dict[str, t.Any]:
    return {
        "kind": "port",
        "port": ENGINE_PORT,
        "address": "127.0.0.1",
        # It goes with the packages where they are this role's.
        "units": [],
        "msg": "DCGM's exporter brings an engine in its container, and one runs on the host, at {what} ({found}): two "
        "take the counters of profiling from each other. Set gpu_metrics_dcgm_engine to host, or stop that one.",
    }


def conflicts(options: Data, engine: Engine, cdi: Data) -> list[str]:
    """``cdi``: the answer to CDI_QUESTION."""
    if not has_engine(options):
        return []
    return [f"DCGM's exporter {words}." for words in engine.without_gpus(["all"], cdi)]
