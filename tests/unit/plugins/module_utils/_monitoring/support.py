# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that Prometheus, Alertmanager and node_exporter of three Debian releases gave, as a Fetch."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib

from ansible_collections.mlops.hosts.plugins.module_utils._http import Response, Unreachable
from ansible_collections.mlops.hosts.plugins.module_utils._monitoring.plan import (
    Alertmanager,
    NodeExporter,
    Plan,
    Prometheus,
)

DATA = pathlib.Path(__file__).parents[3] / "data"
PROMETHEUS, ALERTMANAGER, EXPORTER = "http://127.0.0.1:9090", "http://127.0.0.1:9093", "http://127.0.0.1:9100"
RELEASES = {"bookworm": ("2.42.0", "0.25.0", "1.5.0"), "trixie": ("2.53.3", "0.28.1", "1.9.0")}
RELEASES["forky"] = ("3.5.3", "0.33.1", "1.11.1")
_RULES = "/etc/mlops.hosts/monitoring/rules/test.yml"


class FakeFetch:
    """``answers`` by URL: a text, a status with a text, or None for no answer."""

    def __init__(self, answers):
        self.answers, self.asked = dict(answers), []

    def __call__(self, url, **_options):
        self.asked.append(url)
        answer = self.answers.get(url)
        if answer is None:
            raise Unreachable(f"{url} cannot be reached: refused")
        status, text = answer if isinstance(answer, tuple) else (200, answer)
        return contextlib.nullcontext(Response(status, {}, io.BytesIO(text.encode())))


def recorded(release, *, rules="rules", rules_at="", prometheus="metrics", alertmanager="metrics"):
    """All answers of a host with this release, with its rules in the file ``rules_at``; the others name recordings."""
    of_prometheus, of_alertmanager, of_exporter = RELEASES[release]
    of_prometheus = DATA / "prometheus" / of_prometheus
    return FakeFetch(
        {
            f"{PROMETHEUS}/-/ready": "Prometheus Server is Ready.",
            f"{PROMETHEUS}/metrics": (of_prometheus / f"{prometheus}.txt").read_text(),
            f"{PROMETHEUS}/api/v1/rules": (of_prometheus / f"{rules}.json").read_text().replace(_RULES, rules_at),
            f"{PROMETHEUS}/api/v1/targets?state=active": (of_prometheus / "targets.json").read_text(),
            f"{ALERTMANAGER}/-/ready": "OK",
            f"{ALERTMANAGER}/metrics": (DATA / "alertmanager" / of_alertmanager / f"{alertmanager}.txt").read_text(),
            f"{EXPORTER}/metrics": (DATA / "node_exporter" / of_exporter / "metrics.txt").read_text(),
        }
    )


def plan(tmp_path, **more):
    """Its files are older than what was recorded."""
    config = tmp_path / "config.yml"
    config.touch()
    os.utime(config, (1, 1))
    targets = {"prometheus": ["127.0.0.1:9090"], "node": ["127.0.0.1:9100"], **more.pop("targets", {})}
    rules = {str(config): more.pop("groups", [])}
    parts = {
        "prometheus": Prometheus(PROMETHEUS, str(config), rules, targets),
        "alertmanager": Alertmanager(ALERTMANAGER, str(config)),
        "node_exporter": NodeExporter(EXPORTER, str(tmp_path), "root"),
    }
    return Plan(**{**parts, **more})
