# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What promtool does not say of rules: it passes tests of alerts that do not exist, and rules over no metric at all."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.monitoring import metric_names

from tools import alerts, gpu_event_catalogue

RULES = alerts.rules()
TESTS = alerts.tests()
ALERTS = {rule["alert"]: (file, rule) for file, rules in RULES.items() for rule in rules if "alert" in rule}
# There is no host where it fires.
OF_NO_HOST = {"NothingIsScraped"}
PARTS = ("Means", "First command", "Who is hurt", "Fixed by")
URL = "https://github.com/mlops-hosts/mlops.hosts/blob/main/docs/alerts.md#"


def test_no_alert_is_there_twice():
    assert len(ALERTS) == sum("alert" in rule for rules in RULES.values() for rule in rules)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_where_help_is(name):
    _file, rule = ALERTS[name]
    assert re.fullmatch(r"([A-Z][a-z]+)+", name)
    assert rule["labels"]["severity"] in ("page", "ticket", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == URL + name.lower()
    assert "{{" in rule["annotations"]["summary"] or name in OF_NO_HOST


def sections():
    for section in re.split(r"^### ", alerts.PAGE.read_text(), flags=re.MULTILINE)[1:]:
        name, _newline, text = section.partition("\n")
        yield name, re.findall(r"^- \*\*(.+?):\*\* (?=\S)", text, re.MULTILINE)


def test_each_alert_has_a_runbook_of_four_parts():
    assert {name: tuple(parts) for name, parts in sections()} == dict.fromkeys(ALERTS, PARTS)


def test_first_commands_are_commands_or_dashboards():
    commands = re.findall(r"^- \*\*First command:\*\* (.*)", alerts.PAGE.read_text(), re.MULTILINE)
    assert [text for text in commands if not re.match("`|the dashboard [*](Fleet|Host|Model|Gateway)[*]", text)] == []


def test_the_page_has_the_tables_of_today():
    assert alerts.page(alerts.PAGE.read_text()) == alerts.PAGE.read_text(), "run python -m tools.alerts"


def test_what_the_test_fleet_is_told_of_are_alerts_that_its_scenario_waits_for():
    verify = (alerts.FLEET.parents[1] / "verify.yml").read_text()
    assert alerts.fleet().keys() <= ALERTS.keys()
    assert f"data/{alerts.FLEET.name}" in verify
    assert "until: fleet_alerts.values() | difference(summaries) == []" in verify


def test_tests_are_of_alerts_that_exist():
    assert TESTS.keys() == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_and_stays_quiet_just_below(name):
    """Two hosts: "over", for which it fires, and "under", for which it does not."""
    fires = [(expected, test) for expected, test in TESTS[name] if expected["exp_alerts"]]
    assert fires, "no test has it fire"
    for expected, test in fires:
        hosts = [firing["exp_labels"].get("host") for firing in expected["exp_alerts"]]
        assert hosts == ([None] if name in OF_NO_HOST else ["over"])
        assert any('="under"' in series["series"] for series in test["input_series"])


@pytest.mark.parametrize("path", sorted(alerts.TESTS.glob("*.yml")), ids=lambda path: path.stem)
def test_tests_read_the_rules_that_they_are_of(path):
    tests = yaml.safe_load(path.read_text())
    read = {(path.parent / name).resolve() for name in tests["rule_files"]}
    assert read - set(alerts.RULES.glob("*.yml")) == set()
    for expected in (expected for test in tests["tests"] for expected in test.get("alert_rule_test", ())):
        assert alerts.RULES / f"{ALERTS[expected['alertname']][0]}.yml" in read


def test_rules_read_metrics_that_a_known_version_has():
    files = {"groups": [{"rules": rules} for rules in RULES.values()]}
    assert metric_names.unknown_metrics(files, namespaces=("",)) == []


def test_rules_read_nothing_that_only_some_versions_have():
    folder = alerts.ROOT / "plugins/plugin_utils/_roles/monitoring/metric_names"
    lines = [line.split() for path in folder.glob("*.txt") for line in path.read_text().splitlines()[1:]]
    partly = {name + suffix for name, _kind, *has in lines if has for suffix in ("", "_bucket", "_sum", "_count")}
    read = {name for rules in RULES.values() for rule in rules for name in metric_names.used(rule["expr"])}
    assert read & partly == set()


def test_names_are_those_that_prometheus_2_takes():
    names = [rule.get("alert") or rule["record"] for rules in RULES.values() for rule in rules]
    assert [name for name in names if not re.fullmatch(r"[A-Za-z_:][A-Za-z0-9_:]*", name)] == []


def test_limits_that_users_may_record_are_those_that_rules_read():
    limits = {rule["record"].removeprefix("mlops:limit:") for rule in RULES["limits"]}
    known = {name.removeprefix("mlops:site_limit:") for name in metric_names.known() if ":site_limit:" in name}
    assert limits == known


def event_alerts(**labels):
    """Alerts that fire for an event with these labels."""
    for name, (_file, rule) in ALERTS.items():
        if selector := re.fullmatch(r"mlops:gpu_events:new15m\{(.*)\}", rule["expr"]):
            matchers = re.findall(r'(\w+)(=~|!=|=)"(.*?)"', selector[1])
            fits = {"=": lambda value, text: value == text, "!=": lambda value, text: value != text}
            fits["=~"] = lambda value, pattern: bool(re.fullmatch(pattern, value))
            if all(fits[sign](labels[label], text) for label, sign, text in matchers):
                yield name


def catalogue():
    facts = gpu_event_catalogue.facts()
    buckets = {row["bucket"]: row for row in facts["buckets"]}
    for row in facts["xids"]:
        bucket = buckets[row["bucket"]]
        yield f"Xid {row['code']}", {"kind": row["kind"], "severity": bucket["severity"], "action": bucket["action"]}
    for row in facts["recovery_actions"]:
        yield f"Xid 154 {row['label']}", {"kind": "hardware", "severity": row["severity"], "action": row["action"]}
    for row in facts["sxids"]:
        yield f"SXid {row['codes']}", {"kind": "fabric", "severity": row["severity"], "action": row["action"]}
    for row in facts["unnumbered"]:
        yield row["mnemonic"], {"kind": row["kind"], "severity": row["severity"], "action": row["action"]}


@pytest.mark.parametrize(("event", "labels"), [pytest.param(*row, id=row[0]) for row in catalogue()])
def test_a_fault_of_hardware_has_one_alert_and_what_programs_do_has_none(event, labels):
    found = list(event_alerts(**labels))
    if gpu_event_catalogue.is_fault(labels["kind"], labels["severity"]):
        assert len(found) == 1
    else:
        assert len(found) <= 1
        assert labels["kind"] != "application" or found == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [("<!-- alerts -->\n<!-- end of alerts -->", "no marks of limits"), ("", "no marks of alerts")],
)
def test_a_page_without_marks_is_refused(text, problem):
    with pytest.raises(alerts.Problem, match=problem):
        alerts.page(text)


def test_an_alert_that_no_test_has_fire_is_named():
    with pytest.raises(alerts.Problem, match="no test of tests/rules has Quiet fire"):
        alerts.seen_firing("Quiet", {"Quiet": [({"exp_alerts": []}, {})]})
