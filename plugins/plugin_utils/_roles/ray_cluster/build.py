# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Turns the options of the role ``ray_cluster`` into component data. Pure.

The token goes into the content of a secret file and nowhere else.
"""

from __future__ import annotations

import json
import typing as t

from ....module_utils import _env_file
from ....module_utils._python_environment.paths import program_path
from ....module_utils._ray import paths
from ..._packed_program import Program
from ..built import Built, Data
from ..platform import ROLES, Platform
from . import validate
from .cluster import Cluster, parse

NAME = "ray_cluster"
UNIT_FILE = f"/etc/systemd/system/{paths.UNIT}"
# A change of these can change what is right here.
AFTER = ("model_runtime",)
# What is read of the variables of each host of the cluster, and whose option it is.
FLEET = {
    **{noun: NAME for noun in ("head", "port", "ports", "runtime", "gpus")},
    "environments": "model_runtime",
}
PROGRAM = Program(
    name="ray",
    path=paths.PROGRAM,
    entry="_ray.program",
    about="Waits for the head of a Ray cluster, and tells which hosts the cluster has.",
)
# Ray keeps logs of each process that it ever started.
_LOGS = {"RAY_ROTATION_MAX_BYTES": 16 * 2**20, "RAY_ROTATION_BACKUP_COUNT": 1}
# Models are there already: nothing is fetched from a hub, which is told nothing.
_OFFLINE = {"HF_HUB_OFFLINE": 1, "TRANSFORMERS_OFFLINE": 1, "HF_HUB_DISABLE_TELEMETRY": 1, "DO_NOT_TRACK": 1}
_STOP_S = 45
# What is of the host with the server alone.
_KEPT = ["VLLM_API_KEY", "CREDENTIALS_DIRECTORY", "HOME", "INVOCATION_ID", "NOTIFY_SOCKET", "VLLM_CONFIG_ROOT"]


def fleet(options: Data) -> tuple[t.Sequence[str], str]:
    """The hosts of the cluster, and the variable that has their address."""
    return (options["hosts"] if options["state"] == "present" else []), "ray_cluster_address"


def borrows(options: Data) -> dict[str, str]:
    return {"environments": "model_runtime"} if options["state"] == "present" else {}


def facts(_options: Data) -> tuple[str, ...]:
    return ()


def build(options: Data, _platform: Platform) -> Built:
    if options["state"] == "unmanaged":
        return Built()
    if options["state"] == "absent":
        # What Ray has written, which no component owns.
        return Built(component={"name": NAME, "state": "absent"}, rest=lambda _changed, _dry_run: {"tasks": "remove"})
    cluster = parse(options)
    if problems := tuple(validate.problems(options, cluster)):
        return Built(problems)
    return Built(
        component={"name": NAME, "state": "present", **_component(options, cluster)},
        verify={"expected": {host.name: host.address for host in cluster.hosts}} if cluster.is_head else None,
        published={
            "head": cluster.head,
            "open_ports": [{"port": port, "for": name} for name, port in cluster.everywhere()],
        },
    )


def _component(options: Data, cluster: Cluster) -> dict[str, t.Any]:
    program = PROGRAM.resources(python=_program(options, "python"))
    given = {**paths.AUTHENTICATION, **_LOGS, **_OFFLINE, "RAY_USAGE_STATS_ENABLED": 0, **options["environment"]}
    return {
        "users": [{"name": paths.USER, "groups": list(options["user_groups"])}],
        "directories": [
            {"path": "/etc/mlops.hosts"},
            {"path": paths.CONFIG, "group": paths.USER, "mode": "0750", "purge": True, "on_change": "none"},
            {"path": paths.VLLM, "group": paths.USER, "mode": "0750", "purge": True, "on_change": "none"},
            *program["directories"],
        ],
        "files": [
            *program["files"],
            _file(paths.NODE, f"{json.dumps(_node(options, cluster), sort_keys=True)}\n"),
            {**_file(paths.VLLM_KEPT, f"{json.dumps(_KEPT)}\n"), "on_change": "none"},
            {**_file(paths.TOKEN, f"{options['token']}\n"), "owner": paths.USER, "mode": "0600", "secret": True},
            _file(paths.ENV, "".join(f"{_env_file.assignment(name, str(value))}\n" for name, value in given.items())),
            {**_file(paths.SUPERVISE, (ROLES / NAME / "files/supervise.sh").read_text()), "mode": "0755"},
            {
                "path": UNIT_FILE,
                "template": "mlops-ray.service.j2",
                "template_vars": {"__ray_cluster": _shown(options, cluster)},
            },
        ],
        "units": [{"name": paths.UNIT}],
        "requires": validate.requires(options, cluster, _program(options, "ray")),
        # That it is active says that the cluster counts it.
        "ready": [{"unit": paths.UNIT, "timeout_s": _start_s(options)}],
        "settle_s": 2,
    }


def _file(path: str, content: str) -> dict[str, t.Any]:
    return {"path": path, "content": content, "group": paths.USER, "mode": "0640"}


def _program(options: Data, name: str) -> str:
    return program_path(options["environments"] or (), options["runtime"], base=options["runtime_base"], program=name)


def _start_s(options: Data) -> int:
    """Twice the wait for the head: until it answers, and until it counts the host."""
    return 2 * int(options["join_timeout_s"]) + 60


def _node(options: Data, cluster: Cluster) -> dict[str, t.Any]:
    """As ``_ray.node.Config``."""
    return {
        "address": cluster.address,
        "head": cluster.head_address,
        "port": cluster.ports.gcs,
        "object_store": options["object_store_mib"] * 2**20,
        "join_s": options["join_timeout_s"],
    }


def _shown(options: Data, cluster: Cluster) -> dict[str, t.Any]:
    """What the template sees. No secret is among it."""
    return {
        **{name: getattr(paths, name) for name in ("USER", "PROGRAM", "SUPERVISE", "ENV", "STATE")},
        "is_head": cluster.is_head,
        "ray": _program(options, "ray"),
        "arguments": _arguments(options, cluster),
        "addresses": [*(host.address for host in cluster.hosts), *options["allowed_networks"]],
        "gpus": options["gpus"],
        "start_s": _start_s(options),
        "stop_s": _STOP_S,
    }


def _arguments(options: Data, cluster: Cluster) -> list[str]:
    ports = cluster.ports
    role = (
        {"--port": ports.gcs, "--include-dashboard": "false", "--ray-client-server-port": ports.client}
        if cluster.is_head
        else {"--address": f"{cluster.head_address}:{ports.gcs}"}
    )
    given: dict[str, t.Any] = {
        "--node-ip-address": cluster.address,
        **role,
        "--node-manager-port": ports.node_manager,
        "--object-manager-port": ports.object_manager,
        "--runtime-env-agent-port": ports.runtime_env_agent,
        "--dashboard-agent-listen-port": ports.agent,
        "--dashboard-agent-grpc-port": ports.agent_grpc,
        "--metrics-export-port": ports.metrics,
        "--min-worker-port": ports.worker_first,
        "--max-worker-port": ports.worker_last,
        "--num-cpus": options["cpus"] or None,
        "--num-gpus": options["gpus"],
        "--object-store-memory": options["object_store_mib"] * 2**20,
        "--temp-dir": paths.TEMP,
        "--log-style": "record",
        "--log-color": "false",
    }
    head = ["--head"] if cluster.is_head else []
    return [*head, *(f"{name}={value}" for name, value in given.items() if value is not None)]
