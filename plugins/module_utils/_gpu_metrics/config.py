# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the service is to read, from its file. Pure but for reading that."""

from __future__ import annotations

import dataclasses
import json

from .._errors import HostError
from .._inference.question import Kind

PATH = "/etc/mlops.hosts/gpu_metrics.json"


@dataclasses.dataclass(frozen=True)
class Probe:
    """A request to an instance: ``model`` is what it is called in the API, empty for the first one that is listed. An
    answer that has ``refusal_pattern`` refuses."""

    model_instance: str
    url: str
    kind: Kind = "completion"
    model: str = ""
    api_key_file: str | None = None
    interval_s: int = 300
    timeout_s: int = 60
    prompt: str = "Hello"
    max_tokens: int = 16
    expect: str | None = None
    refusal_pattern: str = r"\bI(?:'m| am) (?:sorry|unable|not able)\b|\bI (?:cannot|can't)\b"


@dataclasses.dataclass(frozen=True)
class Config:
    """``certificates`` and ``stores`` are paths."""

    interval_s: int = 15
    certificates: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()


def as_text(config: Config) -> str:
    return json.dumps(dataclasses.asdict(config), indent=2, sort_keys=True) + "\n"


def read(path: str = PATH) -> Config:
    """HostError for what as_text has not written."""
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        return Config(
            interval_s=int(said["interval_s"]),
            certificates=tuple(said["certificates"]),
            stores=tuple(said["stores"]),
            probes=tuple(Probe(**probe) for probe in said["probes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise HostError(f"{path} must be as the role gpu_metrics writes it, and is not: {exc!r}") from exc
