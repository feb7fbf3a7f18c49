# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print JUnit XML as JSON, as a CI system reads it: by host, the checks that failed, and why others were skipped.

read_junit.py FILE
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET

found = {}
for suite in ET.parse(sys.argv[1]).getroot().iter("testsuite"):
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    failed = {name: case.find("failure") for name, case in cases.items() if case.find("failure") is not None}
    skipped = {name: case.find("skipped") for name, case in cases.items() if case.find("skipped") is not None}
    if [suite.get("tests"), suite.get("failures"), suite.get("skipped")] != [
        str(len(part)) for part in (cases, failed, skipped)
    ]:
        sys.exit(f"{suite.get('name')}: its numbers are not those of its cases")
    found[suite.get("name")] = {
        "failed": {name: one.text for name, one in failed.items()},
        "skipped": {name: one.get("message") for name, one in skipped.items()},
        "passed": sorted(cases.keys() - failed.keys() - skipped.keys()),
    }
print(json.dumps(found))
