# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Which container engine of a host runs what a role has in containers, and what it needs of the host."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ...module_utils._errors import HostError
from .built import Data, Question
from .quadlet import OLDEST

# What pins an image. One by a tag can be another image tomorrow.
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}\Z")
CDI_QUESTION = Question("mlops.hosts.cdi_info", {"vendor": "nvidia"})
_INFO = "mlops.hosts.container_runtime_info"
_KIND = "nvidia.com/gpu"
_ASKED = {"auto": ("podman", "docker"), "podman": ("podman",), "docker": ("docker",)}
_NONE = (
    "runs in a container, and the host has neither Podman nor a Docker that runs; install one with the role "
    "container_runtime"
)


@dataclasses.dataclass(frozen=True)
class Engine:
    """``name``: docker or podman. ``absent``: words for a host that does not have it. ``cdi_enabled``: see
    container_runtime_info."""

    name: str
    absent: str
    cdi_enabled: bool | None = None

    @property
    def program(self) -> str:
        return f"/usr/bin/{self.name}"

    def required(self, subject: str) -> dict[str, t.Any]:
        """Condition of the module ``component``. ``subject``: who needs the engine, which begins the sentence."""
        return {
            "kind": "path",
            "path": self.program,
            "type": "file",
            "executable": True,
            "msg": f"{subject} needs {self.program} for its container, which is no executable file.",
            "msg_for": {"absent": f"{subject} {self.absent}."},
        }

    def without_gpus(self, gpus: t.Iterable[str], cdi: Data) -> t.Iterator[str]:
        """Words on why a container does not get these GPUs. ``cdi``: the answer to CDI_QUESTION."""
        if self.cdi_enabled is False:
            yield (
                "needs GPUs, and Docker does not give devices by CDI; set features: {cdi: true} in "
                "container_runtime_daemon_config, which takes Docker 25"
            )
        offered = {name for spec in cdi["specs"] if spec["kind"] == _KIND for name in spec["devices"]}
        missing = [gpu for gpu in gpus if gpu not in offered]
        if missing:
            yield (
                f"needs {', '.join(missing)}, which no file in /etc/cdi or /var/run/cdi offers to containers as "
                f"{_KIND}; see the module cdi_info, and container_runtime_toolkit"
            )


def device(gpu: str) -> str:
    """As ``--device`` of both engines takes it. ``gpu``: a UUID, or all."""
    return f"{_KIND}={gpu}"


def questions(desired: str) -> tuple[Question, ...]:
    """``desired``: the role's option on which engine it is: auto, podman or docker."""
    return tuple(Question(_INFO, {"provider": name}) for name in _ASKED[desired])


def choose(desired: str, answers: t.Sequence[Data]) -> Engine:
    """``answers``: to the questions, in order. HostError with a sentence where there is only one that is too old.

    Where an engine may still come, in an earlier role of the same run, the component says whether it has.
    """
    seen = dict(zip(_ASKED[desired], answers))
    version = seen.get("podman", {}).get("version")
    old = version is not None and _numbers(version) < OLDEST
    if "podman" in seen and version is not None and not old:
        return Engine("podman", _NONE)
    if "docker" in seen and (desired == "docker" or seen["docker"]["version"] is not None):
        absent = "runs in a container of Docker, which is not on the host; install it with the role container_runtime"
        return Engine("docker", absent, seen["docker"]["cdi_enabled"])
    if old:
        raise HostError(
            f"Podman {version} has no quadlets, which came with {'.'.join(map(str, OLDEST))}; install a later one, or "
            "Docker with the role container_runtime."
        )
    absent = "runs in a container of Podman, which is not on the host; install it with the role container_runtime"
    return Engine("podman", _NONE if desired == "auto" else absent)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
