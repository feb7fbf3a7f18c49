# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards are what the tool writes, and ask for metrics that exist; what asks a Prometheus tells data from none."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.monitoring import metric_names

from tools import alerts, dashboard_data, dashboards

DESCRIBED = {dashboard["name"]: dashboard for dashboard in dashboards.described()}
RECORDED = {rule["record"] for rules in alerts.rules().values() for rule in rules if "record" in rule}
ALERTS = {rule["alert"] for rules in alerts.rules().values() for rule in rules if "alert" in rule}


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_is_committed_is_what_the_tool_writes(name):
    written = (dashboards.DASHBOARDS / f"{name}.json").read_text()
    assert dashboards.text(DESCRIBED[name]) == written, "run python -m tools.dashboards"


def test_no_other_dashboard_is_there():
    assert {path.stem for path in dashboards.DASHBOARDS.iterdir()} == DESCRIBED.keys()


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_dashboard_is_of_no_instance_of_grafana(name):
    made = dashboards.grafana(DESCRIBED[name])
    assert (made["id"], made["uid"]) == (None, f"mlops-{name}")
    sources = re.findall(r'"datasource": \{[^}]*"uid": "([^"]*)"', dashboards.text(DESCRIBED[name]))
    assert set(sources) == {"${datasource}"}


@pytest.mark.parametrize("name", DESCRIBED)
def test_panels_do_not_overlap_and_have_titles_of_their_own(name):
    panels = dashboards.grafana(DESCRIBED[name])["panels"]
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) == 23
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("name", DESCRIBED)
def test_queries_are_of_metrics_that_a_known_version_has(name):
    panels = list(dashboards.panels(DESCRIBED[name]))
    read = {metric for panel in panels for query, *_legend in panel.queries for metric in metric_names.used(query)}
    read |= metric_names.used(DESCRIBED[name].get("values", ""))
    # What label_values asks for is a label.
    assert read - metric_names.known() - RECORDED <= {DESCRIBED[name].get("variable"), "host"}
    assert read & (metric_names.known() | RECORDED)


@pytest.mark.parametrize("name", DESCRIBED)
def test_variables_and_links_lead_somewhere(name):
    dashboard = DESCRIBED[name]
    for panel in dashboards.panels(dashboard):
        asked = {word for query, *_legend in panel.queries for word in re.findall(r"\$(\w+)", query)}
        assert asked == ({dashboard["variable"]} if "variable" in dashboard else set()), panel.title
        assert set(panel.alerts) <= ALERTS, panel.title
        assert not panel.link or DESCRIBED[panel.link]["variable"] == panel.link, panel.title


def test_every_alert_of_a_user_is_beside_what_it_is_about():
    """Alerts about monitoring itself and about DCGM have no panel."""
    shown = {
        alert for dashboard in DESCRIBED.values() for panel in dashboards.panels(dashboard) for alert in panel.alerts
    }
    of_no_panel = {rule["alert"] for name in ("monitoring", "dcgm") for rule in alerts.rules()[name]}
    assert shown <= ALERTS
    assert ALERTS - shown == of_no_panel - shown


def panel(title, *expressions, description="", kind="stat"):
    return {
        "type": kind,
        "title": title,
        "description": description,
        "targets": [{"expr": text} for text in expressions],
    }


BOARD = {
    "title": "Test",
    "templating": {
        "list": [
            {"type": "datasource", "name": "datasource"},
            {"type": "query", "name": "host", "query": {"query": 'label_values(up{job="node"}, host)'}},
        ]
    },
    "panels": [
        {"type": "row", "title": "Now"},
        panel("one value has it", 'gpus{host="$host"}'),
        panel("none has it", 'nothing{host="$host"}'),
        panel("one query has none", "up", "nothing"),
        panel("says why", "nothing", description="May have no data: it is new."),
        panel("is named", "nothing"),
        panel("is refused", "up{", description="May have no data: it is new."),
    ],
}
ANSWERS = {
    'gpus{host="b"}': 2,
    "up": 3,
    'gpus{host="a"}': 0,
    "nothing": 0,
    'nothing{host="a"}': 0,
    'nothing{host="b"}': 0,
}


def ask(path, parameters):
    if path == "series":
        assert parameters == {"match[]": 'up{job="node"}'}
        return [{"host": "a"}, {"host": "b"}, {"host": "b"}, {"instance": "c"}]
    if parameters["query"] == "up{":
        raise dashboard_data.Refused("unexpected end of input")
    return {"result": [{}] * ANSWERS[parameters["query"]]}


def test_a_panel_has_data_when_one_host_has():
    found = {row.panel: (row.series, row.problem) for row in dashboard_data.check(BOARD, ask, {"is named"})}
    assert found == {
        "one value has it": (2, ""),
        "none has it": (0, 'has no data for nothing{host="$host"}'),
        "one query has none": (0, "has no data for nothing"),
        "says why": (0, ""),
        "is named": (0, ""),
        "is refused": (0, "Prometheus refuses up{: unexpected end of input"),
    }


@pytest.mark.parametrize(
    ("without", "status"), [(["none has it", "one query has none", "is named"], 1), (["none has it"], 1)]
)
def test_it_fails_for_what_has_a_problem(without, status, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dashboard_data, "prometheus", lambda url: ask)
    (tmp_path / "test.json").write_text(json.dumps(BOARD))
    words = [word for title in without for word in ("--without", title)]
    assert dashboard_data.main(["http://x", str(tmp_path), *words]) == status
    assert "Test | is refused | 0 | Prometheus refuses up{" in capsys.readouterr().out


def test_it_passes_when_all_have_data(tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard_data, "prometheus", lambda url: ask)
    (tmp_path / "test.json").write_text(json.dumps({**BOARD, "panels": BOARD["panels"][:2]}))
    assert dashboard_data.main(["http://x", str(tmp_path)]) == 0


def test_a_folder_without_dashboards_is_no_success(tmp_path, capsys):
    assert dashboard_data.main(["http://x", str(tmp_path)]) == 1
    assert "no dashboard is in" in capsys.readouterr().err
