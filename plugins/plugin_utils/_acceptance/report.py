# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a run found, as JSON and as JUnit XML: a suite for each host, a case for each check. Pure."""

from __future__ import annotations

import json
import typing as t
import xml.etree.ElementTree as ET

from .._audit.junit import clean

Result = t.Mapping[str, t.Any]


def result(checks: t.Sequence[t.Mapping[str, t.Any]], level: str, time: str) -> dict[str, t.Any]:
    """What a role publishes of its host."""
    numbers = {status: sum(one["status"] == status for one in checks) for status in ("passed", "failed", "skipped")}
    return {"accepted": not numbers["failed"], "level": level, "time": time, **numbers, "checks": list(checks)}


def sentence(found: Result) -> str:
    """Why a host is not accepted, with what to do."""
    failed = [one for one in found["checks"] if one["status"] == "failed"]
    return " ".join(
        f"{one['id']}: {one['found']} Expected: {one['expected']} To fix it: {one['fix']}" for one in failed
    )


def document(results: t.Mapping[str, Result], not_tested: t.Sequence[str]) -> str:
    """``not_tested``: hosts of the run that have no result yet."""
    accepted = [name for name, found in results.items() if found["accepted"]]
    told = {
        "accepted": not not_tested and len(accepted) == len(results),
        "hosts": dict(sorted(results.items())),
        "not_tested": sorted(not_tested),
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def junit(results: t.Mapping[str, Result]) -> str:
    top = ET.Element("testsuites", name="mlops.hosts acceptance")
    for name, found in sorted(results.items()):
        suite = ET.SubElement(top, "testsuite", name=clean(name), hostname=clean(name))
        suite.set("timestamp", found["time"].rstrip("Z"))
        for one in found["checks"]:
            _case(suite, name, one)
        suite.set("time", f"{sum(one['seconds'] or 0 for one in found['checks']):g}")
        suite.set("errors", "0")
        for attribute, number in (
            ("tests", len(found["checks"])),
            ("failures", found["failed"]),
            ("skipped", found["skipped"]),
        ):
            suite.set(attribute, str(number))
    for attribute in ("tests", "failures", "skipped", "errors"):
        top.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in top)))
    ET.indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _case(suite: ET.Element, host: str, one: t.Mapping[str, t.Any]) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=clean(host), name=clean(one["id"]), time=f"{one['seconds'] or 0:g}"
    )
    if one["status"] == "skipped":
        ET.SubElement(case, "skipped", message=clean(one["found"]))
    elif one["status"] == "failed":
        problem = ET.SubElement(case, "failure", type=clean(one["id"]), message=clean(one["found"]))
        problem.text = clean(
            f"{one['title']}.\nExpected: {one['expected']}\nFound: {one['found']}\nTo fix it: {one['fix']}"
        )
