# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of dcgmi: ``diag -r LEVEL -j``, as DCGM 4.6.0 prints it (dcgmi/Diag.cpp, dcgm_diag_schema.json).

Nothing is tested. The memory of a GPU with uncorrectable errors fails, and so does a GPU that is lost.
"""

from __future__ import annotations

import argparse
import json
import typing as t

from . import faults, state
from .state import Gpu, Machine

# The tests by the level from which they run, with their categories.
_TESTS = (
    (1, "Deployment", "software"),
    (2, "Integration", "pcie"),
    (2, "Hardware", "memory"),
    (3, "Hardware", "diagnostic"),
    (3, "Stress", "targeted_stress"),
    (3, "Stress", "targeted_power"),
    (4, "Hardware", "pulse_test"),
)
_FAILED = 227


def main(argv: t.Sequence[str]) -> int:
    state.note_call(["dcgmi", *argv])
    parser = argparse.ArgumentParser(description=__doc__)
    diag = parser.add_subparsers(required=True).add_parser("diag")
    diag.add_argument("-r", "--run", type=int, required=True)
    diag.add_argument("-j", "--json", action="store_true", required=True)
    options = parser.parse_args(argv)
    with state.opened() as machine:
        struck = faults.strike(machine, ["dcgmi", *argv])
        categories: dict[str, list[dict[str, t.Any]]] = {}
        for level, category, name in _TESTS:
            if level <= options.run:
                categories.setdefault(category, []).append(_test(machine, name))
    tests = [test for found in categories.values() for test in found]
    found = [{"category": name, "tests": tests} for name, tests in categories.items()]
    document = {
        "DCGM Diagnostic": {"test_categories": found},
        "metadata": {"Driver Version Detected": machine.driver, "version": "4.6.0"},
    }
    faults.wait(struck)
    text = json.dumps(document, indent="\t", sort_keys=True)
    faults.say(f"{text}\n", struck)
    return _FAILED if any(test["test_summary"]["status"] == "Fail" for test in tests) else 0


def _test(machine: Machine, name: str) -> dict[str, t.Any]:
    results = [_result(machine, place, gpu, name) for place, gpu in enumerate(machine.gpus)]
    status = "Fail" if any(one["status"] == "Fail" for one in results) else "Pass"
    return {"name": name, "results": results, "test_summary": {"status": status}}


def _result(machine: Machine, place: int, gpu: Gpu, name: str) -> dict[str, t.Any]:
    result = {"entity_group": "GPU", "entity_group_id": 1, "entity_id": place, "status": "Pass"}
    if machine.is_lost(gpu):
        said = f"GPU {place} is simulated to have fallen off the bus."
    elif name == "memory" and gpu.uncorrected:
        said = f"GPU {place} is simulated to have had {gpu.uncorrected} uncorrectable memory errors."
    else:
        return result
    warning = {"warning": said, "error_id": 0, "error_category": 0, "error_severity": 0}
    return {**result, "status": "Fail", "warnings": [warning]}
