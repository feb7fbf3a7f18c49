# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The document of an audit for Prometheus, in the text format that node_exporter of the controller reads. Pure.

The label is ``audited_host``: ``host`` is that of the machine whose exporter reads the file, here the controller.
"""

from __future__ import annotations

import datetime
import re
import typing as t

from .document import Document

NAME = "mlops_audit.prom"
_HELP = {
    "mlops_audit_differences": "Differences from what is desired, by the last audit of the host.",
    "mlops_audit_failed": "Whether something of the host could not be compared.",
    "mlops_audit_unreachable": "Whether the host could not be reached.",
    "mlops_audit_gpus_not_ok": "GPUs whose health is not ok.",
    "mlops_audit_timestamp_seconds": "When the last audit of the host ended.",
}
_SERIES = re.compile(r'(?P<metric>\w+)\{audited_host="(?P<host>(?:[^"\\]|\\.)*)"\} (?P<value>\S+)\Z')


def render(document: Document, earlier: str = "") -> str:
    """``earlier``: what is in the file, of which hosts that are not in this run keep their values."""
    ended = datetime.datetime.strptime(document["ended"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    hosts = {
        _escaped(host["name"]): {
            "mlops_audit_differences": len(host["drift"]),
            "mlops_audit_failed": int(host["state"] == "failed"),
            "mlops_audit_unreachable": int(host["state"] == "unreachable"),
            "mlops_audit_gpus_not_ok": sum(gpu.get("health") != "ok" for gpu in host["gpus"]),
            "mlops_audit_timestamp_seconds": int(ended.timestamp()),
        }
        for host in document["hosts"]
    }
    kept = _kept(earlier, {_escaped(name) for name in document["not_in_run"]})
    return "".join(
        f"# HELP {metric} {said}\n# TYPE {metric} gauge\n"
        + "".join(
            f'{metric}{{audited_host="{name}"}} {values[metric]}\n'
            for name, values in sorted({**kept, **hosts}.items())
            if metric in values
        )
        for metric, said in _HELP.items()
    )


def _kept(text: str, names: t.Collection[str]) -> dict[str, dict[str, t.Any]]:
    found: dict[str, dict[str, t.Any]] = {}
    for series in filter(None, map(_SERIES.match, text.splitlines())):
        if series["host"] in names and series["metric"] in _HELP:
            found.setdefault(series["host"], {})[series["metric"]] = series["value"]
    return found


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
