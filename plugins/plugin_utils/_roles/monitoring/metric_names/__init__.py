# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The metrics that known programs expose, and those that rules read which none of them has.

A file for each program, as ``tools/metric_names.py`` writes it: its source and versions in the first line, then name
and type in each, and the versions that have it where not all do.
"""

from __future__ import annotations

import difflib
import functools
import pathlib
import re
import typing as t

# Namespaces of which all names are known. Others are of programs whose metrics depend on the machine or on settings.
COMPLETE = ("mlops_", "haproxy_", "llamacpp:", "sglang:", "vllm:")
# Recorded by users, and read by our rules: one with another name does nothing.
_LIMITS = "mlops:site_limit:"
# Series of one metric, by its type. Of an untyped one, the source says the name and no more.
_SUFFIXES = {
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("", "_sum", "_count"),
    "untyped": ("", "_total", "_bucket", "_sum", "_count"),
}
_TOKEN = re.compile(
    r"""
      (?P<comment>\#[^\n]*)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    | (?P<number>\d[\w.]*)
    | (?P<name>[A-Za-z_:][\w:]*)
    | (?P<other>[^\s\w])
    """,
    re.VERBOSE,
)
_KEYWORDS = frozenset(
    ["and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "atan2"]
    + ["inf", "nan"]
)
_BEFORE_LABELS = frozenset(["by", "without", "on", "ignoring", "group_left", "group_right"])
_CLOSED_BY = {"(": ")", "{": "}", "[": "]"}
Rules = t.Mapping[str, t.Any]


@functools.cache
def known() -> frozenset[str]:
    """Names of all series that known programs have."""
    names: set[str] = set()
    for path in pathlib.Path(__file__).parent.glob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            name, kind, *_versions = line.split()
            names.update(name + suffix for suffix in _SUFFIXES.get(kind, ("",)))
    return frozenset(names)


def used(expression: str) -> frozenset[str]:
    """Names of the metrics that a PromQL expression reads; of an invalid one, what can be told.

    A name that is matched by a regular expression (``{__name__=~"x.*"}``) is none.
    """
    tokens = [(str(found.lastgroup), found[0]) for found in _TOKEN.finditer(expression) if found.lastgroup != "comment"]
    names: set[str] = set()
    place = 0
    while place < len(tokens):
        kind, text = tokens[place]
        following = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        if text == "{":
            end = _end(tokens, place)
            names.update(_selected(tokens[place + 1 : end]))
            place = end
        elif text == "[":
            place = _end(tokens, place)
        elif kind == "name" and text.lower() in _BEFORE_LABELS and following == "(":
            place = _end(tokens, place + 1)
        elif (
            kind == "name" and text.lower() not in _KEYWORDS and following != "(" and not _is_aggregation(tokens, place)
        ):
            names.add(text)
        place += 1
    return frozenset(names)


def unknown_metrics(rules: Rules, *, namespaces: tuple[str, ...] = COMPLETE) -> list[str]:
    """What rules read that no known program has, as ``mlops_gpu_helth (rule GpuFailed; there is mlops_gpu_health)``.

    ``rules`` are a rule file of Prometheus as YAML has it. Only names that begin with one of ``namespaces`` are
    checked; ``("",)`` checks all. What a rule of the same file records is known; limits have to be ours.
    """
    all_rules = [rule for group in rules.get("groups") or () for rule in group.get("rules") or ()]
    recorded = {str(rule["record"]) for rule in all_rules if "record" in rule}
    have = known() | {name for name in recorded if not name.startswith(_LIMITS)}
    found = []
    for rule in all_rules:
        for name in sorted((used(str(rule.get("expr", ""))) | {str(rule.get("record", ""))}) - have - {""}):
            if name.startswith((*namespaces, _LIMITS)):
                near = difflib.get_close_matches(name, have, n=1, cutoff=0.8)
                there_is = f"; there is {near[0]}" if near else ""
                found.append(f"{name} (rule {rule.get('alert') or rule.get('record')}{there_is})")
    return found


def _end(tokens: t.Sequence[tuple[str, str]], place: int) -> int:
    """Where the bracket at ``place`` is closed, or the last place."""
    opened, closed = tokens[place][1], _CLOSED_BY[tokens[place][1]]
    depth = 0
    for at in range(place, len(tokens)):
        depth += (tokens[at][1] == opened) - (tokens[at][1] == closed)
        if not depth:
            return at
    return len(tokens) - 1


def _selected(matchers: t.Sequence[tuple[str, str]]) -> t.Iterator[str]:
    """Names in the braces of a selector: ``__name__="x"``, and of Prometheus 3 ``"x"`` alone."""
    for place, (kind, text) in enumerate(matchers):
        before = "".join(text for _kind, text in matchers[max(place - 2, 0) : place])
        following = matchers[place + 1][1] if place + 1 < len(matchers) else ","
        if kind == "string" and (before == "__name__=" or (before[-1:] in ("", ",") and following == ",")):
            yield text[1:-1]


def _is_aggregation(tokens: t.Sequence[tuple[str, str]], place: int) -> bool:
    """Whether labels come between the name and its argument, as in ``sum by (host) (up)``."""
    return place + 1 < len(tokens) and tokens[place + 1][1].lower() in ("by", "without")
