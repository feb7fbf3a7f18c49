# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Files of rules: those of the role, and those of users. Pure but for reading the collection."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import typing as t

import yaml

from ..built import Data
from ..platform import ROLES
from .metric_names import unknown_metrics

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")


@dataclasses.dataclass(frozen=True)
class RuleFile:
    """``groups``: names of its groups. ``rules``: name and labels of each. ``severities``: those of its alerts."""

    name: str
    text: str
    groups: tuple[str, ...]
    rules: tuple[tuple[str, str], ...]
    severities: tuple[str, ...]


def of_role() -> tuple[RuleFile, ...]:
    """All of ``files/rules``, whose tests hold what users' own are refused for."""
    paths = sorted((ROLES / "monitoring/files/rules").glob("*.yml"))
    return tuple(_of_role(path.stem, path.read_text()) for path in paths)


@functools.cache
def _of_role(name: str, text: str) -> RuleFile:
    return _parsed(f"mlops_{name}", text, yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def of_user(items: t.Sequence[Data]) -> tuple[list[RuleFile], list[str]]:
    """Files of the option ``rules``, and what is wrong with them. promtool reads what is inside an expression."""
    found, problems = [], []
    for item in items:
        name, text = item["name"], item["content"]
        what = f"monitoring_rules[{name}]"
        if not _NAME.match(name) or name.startswith("mlops_"):
            problems.append(
                f"{what} cannot be its name; use small letters, digits, - and _, 64 at most, and begin with no mlops_."
            )
            continue
        try:
            data = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            parsed = _parsed(name, text, data)
        except (yaml.YAMLError, TypeError, KeyError, AttributeError):
            problems.append(f"{what} must have the text of a file of rules: groups, each with a name and rules.")
            continue
        if not parsed.rules:
            problems.append(f"{what} has no rule; give it one, or leave it out.")
        if unknown := unknown_metrics(data):
            problems.append(
                f"{what} has rules over {', '.join(unknown)}, which no known version of what is scraped has; correct "
                "the name."
            )
        found.append(parsed)
    names = [file.name for file in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"monitoring_rules has {', '.join(twice)} twice; give each file a name of its own.")
    return found, problems


def same(files: t.Sequence[RuleFile]) -> t.Iterator[str]:
    """Rules of one name and the same labels: Prometheus would write, or fire, one for the other."""
    first: dict[tuple[str, str], str] = {}
    for file in files:
        for rule in file.rules:
            if rule in first:
                where = file.name if first[rule] == file.name else f"{first[rule]} and {file.name}"
                yield f"Rule {rule[0]} is there twice with the same labels, in {where}; remove one, or give it a label."
            first.setdefault(rule, file.name)


def _parsed(name: str, text: str, data: t.Any) -> RuleFile:
    groups = data["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    labels = [{str(key): str(value) for key, value in (rule.get("labels") or {}).items()} for rule in rules]
    return RuleFile(
        name,
        text if text.endswith("\n") else f"{text}\n",
        tuple(group["name"] for group in groups),
        tuple(
            (str(rule.get("alert") or rule["record"]), json.dumps(of, sort_keys=True))
            for rule, of in zip(rules, labels)
        ),
        tuple(sorted({of.get("severity", "") for rule, of in zip(rules, labels) if "alert" in rule})),
    )
