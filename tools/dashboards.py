# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the dashboards of Grafana, roles/monitoring/files/dashboards/*.json, from tools/dashboards.yml.

    python -m tools.dashboards

Names of alerts become links to their runbooks.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
DASHBOARDS = ROOT / "roles/monitoring/files/dashboards"
RUNBOOKS = "https://github.com/mlops-hosts/mlops.hosts/blob/main/docs/alerts.md"
# Of Grafana 10.4; later ones read it.
SCHEMA = 39
# dashboard_data.py lets such a panel pass: the description then says why.
WITHOUT_DATA = "May have no data:"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24
Json = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Panel:
    """As dashboards.yml has it. ``queries``: an expression each, and its legend; a table has none."""

    title: str
    queries: t.Sequence[t.Sequence[str]]
    kind: t.Literal["timeseries", "stat", "table"] = "timeseries"
    unit: str = "short"
    width: int = 0
    alerts: t.Sequence[str] = ()
    link: str = ""
    why: str = ""
    bad_above: float | None = None


def described() -> list[Json]:
    return list(yaml.safe_load((ROOT / "tools/dashboards.yml").read_text()))


def panels(dashboard: Json) -> t.Iterator[Panel]:
    for row in dashboard["rows"]:
        yield from (Panel(**panel) for panel in row["panels"])


def grafana(dashboard: Json) -> Json:
    """What Grafana imports: without the id of an instance, and with a uid for links."""
    made: list[Json] = []
    top = 0
    for row in dashboard["rows"]:
        made.append(_row(len(made) + 1, row["title"], top))
        top += 1
        left = tallest = 0
        for panel in (Panel(**panel) for panel in row["panels"]):
            width, height = (panel.width or 4, 4) if panel.kind == "stat" else (panel.width or 8, 7)
            if left + width > _WIDTH:
                left, top, tallest = 0, top + tallest, 0
            place = {"x": left, "y": top, "w": width, "h": height}
            made.append({"id": len(made) + 1, "gridPos": place, **_panel(panel)})
            left, tallest = left + width, max(tallest, height)
        top += tallest
    variables = [_datasource()]
    if "variable" in dashboard:
        variables.append(_variable(dashboard["variable"], dashboard["values"]))
    return {
        "id": None,
        "uid": f"mlops-{dashboard['name']}",
        "title": dashboard["title"],
        "tags": ["mlops.hosts"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {"type": "dashboards", "title": "ML hosts", "tags": ["mlops.hosts"], "includeVars": True, "keepTime": True},
            {"type": "link", "title": "Runbooks", "url": RUNBOOKS, "targetBlank": True},
        ],
        "templating": {"list": variables},
        "panels": made,
    }


def text(dashboard: Json) -> str:
    """The file."""
    return json.dumps(grafana(dashboard), indent=1, ensure_ascii=False) + "\n"


def _row(number: int, title: str, top: int) -> Json:
    place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _datasource() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, query: str) -> Json:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": False,
        "multi": False,
    }


def _panel(panel: Panel) -> Json:
    is_table = panel.kind == "table"
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.bad_above is not None:
        steps.append({"color": "red", "value": panel.bad_above})
    defaults: Json = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.unit == "percentunit":
        defaults["min"] = 0
    if panel.link:
        value = f"${{__data.fields.{panel.link}}}" if is_table else f"${{__field.labels.{panel.link}}}"
        url = f"/d/mlops-{panel.link}?var-{panel.link}={value}&${{__url_time_range}}"
        defaults["links"] = [{"title": panel.link.capitalize(), "url": url}]
    made: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": _description(panel),
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}} if panel.kind == "timeseries" else {},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend[0] if legend else "__auto",
                **({"instant": True, "range": False, "format": "table"} if is_table else {"range": True}),
            }
            for place, (query, *legend) in enumerate(panel.queries)
        ],
    }
    if is_table:
        hidden = {"Time": True, "__name__": True, "instance": True, "job": True}
        made["transformations"] = [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": hidden}},
        ]
    return made


def _description(panel: Panel) -> str:
    links = ", ".join(f"[{name}]({RUNBOOKS}#{name.lower()})" for name in panel.alerts)
    said = [f"Alerts: {links}." if links else "", f"{WITHOUT_DATA} {panel.why}." if panel.why else ""]
    return " ".join(filter(None, said))


def main() -> None:
    for dashboard in described():
        (DASHBOARDS / f"{dashboard['name']}.json").write_text(text(dashboard), encoding="utf-8")


if __name__ == "__main__":
    main()
