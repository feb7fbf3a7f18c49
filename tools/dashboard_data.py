# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a Prometheus what each panel of each dashboard asks it, and fail for a panel without data.

    dashboard_data.py URL FOLDER [--without TITLE]...

A panel may lack data where its description says why ("May have no data: ..."), or where --without names its title. It
has data when each of its queries has, for one value of the dashboard's variable at least. What Prometheus refuses is an
error, whatever the description says. Standard library only: it is run on hosts.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import re
import sys
import typing as t
import urllib.error
import urllib.parse
import urllib.request

_TIMEOUT_S = 30
_ALLOWED = "May have no data:"
_VALUES = re.compile(r"label_values\((.+), (\w+)\)\Z")
Ask = t.Callable[[str, t.Mapping[str, str]], t.Any]


@dataclasses.dataclass(frozen=True)
class Found:
    """``series``: of the query that has fewest. ``problem``: a sentence, or nothing."""

    dashboard: str
    panel: str
    series: int
    problem: str


def check(dashboard: t.Mapping[str, t.Any], ask: Ask, without: t.Container[str] = ()) -> t.Iterator[Found]:
    """What each panel has. ``ask``: path and parameters of the API, to the ``data`` of the answer."""
    title = str(dashboard["title"])
    name, values = _variable(dashboard, ask)
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        is_allowed = panel["title"] in without or _ALLOWED in panel.get("description", "")
        fewest, problem = None, ""
        for target in panel["targets"]:
            try:
                most = max((_series(target["expr"], name, value, ask) for value in values), default=0)
            except Refused as refused:
                fewest, problem = 0, f"Prometheus refuses {target['expr']}: {refused}"
                break
            fewest = most if fewest is None else min(fewest, most)
            if not most and not is_allowed:
                problem = f"has no data for {target['expr']}"
        yield Found(title, str(panel["title"]), fewest or 0, problem)


class Refused(Exception):
    """What Prometheus says of a query that it does not take."""


def prometheus(url: str) -> Ask:
    def ask(path: str, parameters: t.Mapping[str, str]) -> t.Any:
        address = f"{url.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error).get("error", error)) from None

    return ask


def _variable(dashboard: t.Mapping[str, t.Any], ask: Ask) -> tuple[str, list[str]]:
    """The name of the variable that is no data source, and its values; without one, an empty name and one value."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = _VALUES.match(variable["query"]["query"])
            if not query:
                raise SystemExit(f"dashboard_data: cannot read the variable {variable['query']['query']}")
            found = ask("series", {"match[]": query[1]})
            return str(variable["name"]), sorted({series[query[2]] for series in found if series.get(query[2])})
    return "", [""]


def _series(expression: str, name: str, value: str, ask: Ask) -> int:
    asked = expression.replace(f"${name}", value) if name else expression
    return len(ask("query", {"query": asked})["result"])


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--without", action="append", default=[], metavar="TITLE")
    options = parser.parse_args(argv)
    files = sorted(options.folder.glob("*.json"))
    if not files:
        print(f"dashboard_data: no dashboard is in {options.folder}", file=sys.stderr)
        return 1
    found = [
        row for file in files for row in check(json.loads(file.read_text()), prometheus(options.url), options.without)
    ]
    for row in found:
        print(f"{row.dashboard} | {row.panel} | {row.series}{f' | {row.problem}' if row.problem else ''}")
    return 1 if any(row.problem for row in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
