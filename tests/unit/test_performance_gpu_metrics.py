# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/performance-gpu-metrics.md says of what was measured."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))

import gpu_metrics


@pytest.mark.parametrize(
    ("service", "cells"),
    [
        (1.0, [["0.50×", "yes |"], ["0.67%", "yes |"]]),
        (1.6, [["0.80×", "**no** |"], ["1.07%", "**no** |"]]),
    ],
)
def test_a_target_is_reached_or_missed(service, cells):
    found = gpu_metrics.Found(intervals=10, service=service, own=0.1, settled=0.5, other=2.0)
    page = gpu_metrics.page(found)
    assert [line.split(" | ")[1:] for line in page.splitlines() if "at most" in line] == cells
    assert "| the service without it | 10 ms |" in page
    assert "**The `nvidia-smi` here is simulated**" in page
