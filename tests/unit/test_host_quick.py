# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What quick test hosts have and stock ones have not."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import zipfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
import mlops_compiled
mlops_compiled.FOLDER = sys.argv[2]
sys.path.insert(0, sys.argv[3])
import sent
print(sent.VALUE, sent.__file__)
"""


def imported(tmp_path: pathlib.Path, name: str, value: int) -> str:
    """What a module in a new zip file says, in a Python of its own."""
    file = tmp_path / name
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("sent.py", f"VALUE = {value}\n")
    argv = [sys.executable, "-c", PROGRAM, str(ROOT / "tools/hosts/quick"), str(tmp_path / "kept"), str(file)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_a_source_is_compiled_once_and_its_change_is_seen(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()

    assert imported(tmp_path, "one.zip", 1) == f"1 {tmp_path}/one.zip/sent.py"
    (first,) = kept.iterdir()
    written = first.stat().st_mtime_ns
    assert imported(tmp_path, "two.zip", 1) == f"1 {tmp_path}/two.zip/sent.py"
    assert [path.stat().st_mtime_ns for path in kept.iterdir()] == [written]

    assert imported(tmp_path, "three.zip", 2).startswith("2 ")
    assert len(list(kept.iterdir())) == 2


def test_a_host_without_the_folder_works_as_before(tmp_path):
    assert imported(tmp_path, "one.zip", 1).startswith("1 ")


def test_a_scenario_has_a_stock_host():
    scenarios = ROOT.glob("molecule/*/molecule.yml")
    platforms = [host for path in scenarios for host in yaml.safe_load(path.read_text())["platforms"]]
    assert any(host.get("stock") for host in platforms)
    assert sum(bool(host.get("stock")) for host in platforms) < len(platforms) / 4
