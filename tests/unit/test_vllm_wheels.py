# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The set that ``make vllm`` installs has the wheel that is made here as it is made."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools/fakes"))

from tiny_wheel import wheel

from tools import vllm_wheels


def test_the_wheel_that_is_made_here_is_that_of_the_set(tmp_path):
    (line,) = [one for one in vllm_wheels.SET.read_text().splitlines() if one.startswith(vllm_wheels.MADE_HERE)]
    version = line.removeprefix(vllm_wheels.MADE_HERE).partition(" ")[0]
    assert wheel("vllm", version, tmp_path, empty=True) == line
