# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/alerts.md: the alerts, with where and how each was seen firing, and their limits.

    python -m tools.alerts

They are read from roles/monitoring/files/rules, from tests/rules, which ``promtool test rules`` runs, and from what the
scenario monitoring fails without: the alerts that its receivers are told of.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RULES = ROOT / "roles/monitoring/files/rules"
TESTS = ROOT / "tests/rules"
FLEET = ROOT / "molecule/monitoring/data/fleet_alerts.yml"
PAGE = ROOT / "docs/alerts.md"
Data = dict[str, t.Any]


class Problem(Exception):
    """What keeps the page from being written, in a sentence."""


def rules(folder: Path = RULES) -> dict[str, list[Data]]:
    """The rules of each file."""
    found = {}
    for path in sorted(folder.glob("*.yml")):
        found[path.stem] = [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    return found


def tests(folder: Path = TESTS) -> dict[str, list[tuple[Data, Data]]]:
    """For each alert that tests name, what they expect of it, and the test that does."""
    found: dict[str, list[tuple[Data, Data]]] = {}
    for path in sorted(folder.glob("*.yml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for expected in test.get("alert_rule_test", ()):
                found.setdefault(expected["alertname"], []).append((expected, test))
    return found


def fleet(path: Path = FLEET) -> dict[str, str]:
    """Of each alert that receivers of the test fleet are told of, the summary."""
    return dict(yaml.safe_load(path.read_text())["fleet_alerts"])


def seen_firing(alert: str, tested: t.Mapping[str, t.Sequence[tuple[Data, Data]]]) -> str:
    """The summary with which it fires first in a test."""
    for expected, _test in tested.get(alert, ()):
        for firing in expected["exp_alerts"]:
            return str(firing["exp_annotations"]["summary"])
    raise Problem(f"no test of tests/rules has {alert} fire")


def alerts_table() -> str:
    tested, told = tests(), fleet()
    lines = ["| alert | severity | after | by | seen firing |", "|---|---|---|---|---|"]
    for file in rules().values():
        for rule in file:
            if name := rule.get("alert"):
                after, severity = rule.get("for", "at once"), rule["labels"]["severity"]
                tested_text = seen_firing(name, tested)
                by, text = ("test fleet", told[name]) if name in told else ("promtool", tested_text)
                lines.append(f"| [{name}](#{name.lower()}) | {severity} | {after} | {by} | {text} |")
    return "\n".join(lines)


def limits_table() -> str:
    lines = ["| limit | default | of a model |", "|---|---|---|"]
    for rule in rules()["limits"]:
        name = rule["record"].removeprefix("mlops:limit:")
        default = re.search(r"vector\((.*?)\)", rule["expr"])
        if not default:
            raise Problem(f"limits.yml: {name} has no default, vector(NUMBER)")
        lines.append(f"| `{name}` | {default[1]} | {'yes' if 'model=' in rule['expr'] else 'no'} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """``text`` with the tables of today."""
    for name, table in (("alerts", alerts_table()), ("limits", limits_table())):
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not marks.search(text):
            raise Problem(f"docs/alerts.md has no marks of {name}")
        text = marks.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    try:
        PAGE.write_text(page(PAGE.read_text()))
    except Problem as problem:
        raise SystemExit(f"alerts: {problem}") from None
