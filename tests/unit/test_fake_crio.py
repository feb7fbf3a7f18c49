# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake of CRI-O validates a configuration as CRI-O 1.33.0 did, whose answers are recorded."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "fakes"))
import fake_crio  # noqa: E402

CASES = json.loads((ROOT / "tests/unit/data/crio/1.33.0/config.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_fake_answers_as_crio(case: dict[str, str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "10-crio.conf").write_text(fake_crio.SETTINGS)
    (tmp_path / "50-mlops-hosts.conf").write_text(case["config"])
    argv = [sys.executable, str(fake_crio.SOURCES / "crio"), "--config-dir", str(tmp_path), "config"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == case["rc"]
    said = fatal(done.stderr.replace(str(tmp_path), "/tmp/crio.conf.d"))
    # Its parser of TOML is Python's: it has words of its own, and no line for a type.
    assert said.partition("toml: ")[:2] == fatal(case["stderr"]).partition("toml: ")[:2]
    if "incompatible types" in said:
        assert said == re.sub(r"line \d+ ", "", fatal(case["stderr"]))


def fatal(stderr: str) -> str:
    """What it ended with; empty when it did not."""
    return "".join(line.partition("level=fatal ")[2] for line in stderr.splitlines())
