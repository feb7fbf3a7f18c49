# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/performance.md was measured of the sources that are here."""

from __future__ import annotations

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from fingerprint import fingerprint


def test_the_page_is_of_these_sources():
    said = re.findall(r"with the fingerprint `(\w+)`", (ROOT / "docs/performance.md").read_text())
    assert said == [fingerprint()], "run make bench on a quiet machine, which writes docs/performance.md"
