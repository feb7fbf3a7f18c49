# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The document as JUnit XML: a suite for each host, a case for each component, its reachability and its GPUs."""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from . import text
from .document import Document, gpu_name, gpu_problem

# What no XML document may hold.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(document: Document) -> str:
    """The XML text. A difference is a failure; what could not be audited is an error."""
    top = ET.Element("testsuites", name="mlops.hosts audit")
    for host in document["hosts"]:
        _suite(top, host, document["started"])
    for name in ("tests", "failures", "errors"):
        top.set(name, str(sum(int(suite.get(name, "0")) for suite in top)))
    ET.indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _suite(top: ET.Element, host: t.Mapping[str, t.Any], started: str) -> None:
    suite = ET.SubElement(top, "testsuite", name=clean(host["name"]), hostname=clean(host["name"]))
    suite.set("timestamp", started.rstrip("Z"))
    reachable = _case(suite, host, "reachable")
    if host["state"] == "unreachable":
        _problem(reachable, "error", "unreachable", host["reason"])
    elif host["state"] == "failed" and not any(one["state"] == "failed" for one in host["components"]):
        _problem(reachable, "error", "failed", host["reason"])
    for component in host["components"]:
        case = _case(suite, host, component["name"])
        rows = [row for row in host["drift"] if row["component"] == component["name"]]
        differences = "\n".join(map(text.difference, rows))
        if component["state"] == "failed":
            _problem(case, "error", "failed", component["reason"], differences)
        elif component["state"] == "drift":
            message = component["reason"] or text.count(len(rows), "difference")
            _problem(case, "failure", "drift", message, differences)
    if host["gpu_count"] is None and host["state"] == "failed":
        _problem(_case(suite, host, "gpus"), "error", "failed", "the GPUs could not be read")
    elif host["gpus"] or gpu_problem(host):
        case = _case(suite, host, "gpus")
        lines = [_broken(gpu) for gpu in host["gpus"] if gpu.get("health") != "ok"]
        lines += [problem] if (problem := gpu_problem(host)) else []
        if lines:
            _problem(case, "failure", "gpu", lines[0], "\n".join(lines))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", "0")
    suite.set("time", "0")


def _case(suite: ET.Element, host: t.Mapping[str, t.Any], name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=clean(host["name"]), name=clean(name), time="0")


def _broken(gpu: t.Mapping[str, t.Any]) -> str:
    model, reasons = gpu.get("name") or gpu.get("pci_id"), " ".join(gpu.get("health_reasons") or ())
    return f"GPU {gpu_name(gpu)} {model} is {gpu['health']}: {reasons}"


def _problem(case: ET.Element, tag: str, kind: str, message: str, text: str = "") -> None:
    problem = ET.SubElement(case, tag, type=kind, message=clean(message.partition("\n")[0]))
    problem.text = clean(text or message)


def clean(text: str) -> str:
    """Without what no XML document may hold."""
    return _FORBIDDEN.sub("\ufffd", text)
