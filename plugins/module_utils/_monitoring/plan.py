# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the role has written of a host's monitoring, for the program that checks it."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._errors import HostError


@dataclasses.dataclass(frozen=True)
class NodeExporter:
    """``url``: without a path, as those of the others. ``user`` must be able to read ``textfile_dir``."""

    url: str
    textfile_dir: str
    user: str


@dataclasses.dataclass(frozen=True)
class Prometheus:
    """``rules``: names of groups by file. ``targets``: HOST:PORT by scrape job. ``tool``: path of promtool."""

    url: str
    config: str
    rules: t.Mapping[str, t.Sequence[str]]
    targets: t.Mapping[str, t.Sequence[str]]
    tool: str = "/usr/bin/promtool"


@dataclasses.dataclass(frozen=True)
class Alertmanager:
    """``tool``: path of amtool."""

    url: str
    config: str
    tool: str = "/usr/bin/amtool"


@dataclasses.dataclass(frozen=True)
class Plan:
    """A part that does not run on the host is None."""

    node_exporter: NodeExporter | None = None
    prometheus: Prometheus | None = None
    alertmanager: Alertmanager | None = None

    def text(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True) + "\n"


def read(text: str, path: str) -> Plan:
    """HostError where it is not what ``Plan.text`` writes."""
    try:
        found = json.loads(text)
        parts = {"node_exporter": NodeExporter, "prometheus": Prometheus, "alertmanager": Alertmanager}
        return Plan(**{name: parts[name](**value) for name, value in found.items() if value is not None})
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise HostError(f"{path} must be as the role monitoring writes it, and is not ({exc}); run the role") from exc
