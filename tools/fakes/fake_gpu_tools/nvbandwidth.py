# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of nvbandwidth: ``-t TEST... -j``, as version 0.8 prints it (json_output.cpp). Later ones take --format json.

Nothing is copied. A GPU whose link is narrow is that much slower.
"""

from __future__ import annotations

import argparse
import json
import typing as t

from . import faults, state
from .state import Gpu, Machine

# GB/s of a link of 16 lanes by its generation, and between two GPUs.
_HOST = {3: 12.5, 4: 25.3, 5: 55.1}
_PEER = {4: 272.4, 5: 391.8}


def main(argv: t.Sequence[str]) -> int:
    state.note_call(["nvbandwidth", *argv])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-t", "--testcase", nargs="+", required=True)
    parser.add_argument("-j", "--json", action="store_true", required=True)
    options = parser.parse_args(argv)
    with state.opened() as machine:
        struck = faults.strike(machine, ["nvbandwidth", *argv])
        cases = [_case(machine, name) for name in options.testcase]
    faults.wait(struck)
    told = {"Driver Version": machine.driver, "testcases": cases, "version": "v0.8"}
    faults.say(f"{json.dumps({'nvbandwidth': told}, indent=3)}\n", struck)
    return 0


def _case(machine: Machine, name: str) -> dict[str, t.Any]:
    gpus = [gpu for gpu in machine.gpus if not machine.is_lost(gpu)]
    if not name.startswith("device_to_device"):
        matrix = [[f"{_HOST[gpu.kind.link_generation] * gpu.link_width / 16:.2f}" for gpu in gpus]]
    elif len(gpus) < 2 or not all(gpu.kind.is_linked for gpu in gpus):
        return {"name": name, "status": "Waived"}
    else:
        matrix = [["N/A" if one is other else _peer(one) for other in gpus] for one in gpus]
    return {"bandwidth_matrix": matrix, "name": name, "status": "Passed"}


def _peer(gpu: Gpu) -> str:
    return f"{_PEER[gpu.kind.link_generation]:.2f}"
