# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of ``make vllm`` and ``make sglang``: each wheel at its hash, and one of them as it is made here."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools/fakes"))

from tiny_wheel import wheel

from tools.engine_wheels import SETS


def test_the_wheel_that_is_made_here_is_that_of_the_set(tmp_path):
    _fetched, (line,) = SETS["vllm"].lines()
    version = line.removeprefix("vllm==").partition(" ")[0]
    assert wheel("vllm", version, tmp_path, empty=True) == line


@pytest.mark.parametrize("engine", SETS)
def test_what_is_fetched_has_a_version_and_one_hash(engine):
    fetched, _made = SETS[engine].lines()
    assert fetched and all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in fetched)
