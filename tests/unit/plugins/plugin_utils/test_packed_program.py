# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run on hosts without Ansible hold all of the collection that they need, and no more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._gateway.program import GATEWAY
from ansible_collections.mlops.hosts.plugins.plugin_utils._packed_program import Program
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_events.build import PROGRAM as GPU_EVENTS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_metrics.build import PROGRAM as GPU_METRICS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.gpu_settings.build import PROGRAM as GPU_SETTINGS
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.ray_cluster.build import PROGRAM as RAY

PROGRAMS = [GPU_SETTINGS, GPU_EVENTS, GPU_METRICS, GATEWAY, RAY]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_what_is_installed_runs_by_itself(program: Program, tmp_path) -> None:
    asked = program.resources(python=sys.executable, more={"/etc/desired.json": "{}"})
    folders = {directory["path"] for directory in asked["directories"]}
    files = {file["path"]: file for file in asked["files"]}
    assert {path.rpartition("/")[0] for path in files} - {"/usr/local/sbin"} <= folders
    assert files["/etc/desired.json"]["content"] == "{}"
    assert files[program.path]["mode"] == "0755"
    for path, file in files.items():
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(file["content"].replace(program.library, f"{tmp_path}{program.library}"))
    said = subprocess.run(
        [sys.executable, "-IB", tmp_path / program.path[1:], "--help"], check=False, capture_output=True, text=True
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("usage: ")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_what_is_installed_is_what_is_imported(program: Program, tmp_path) -> None:
    for name, text in {"__init__.py": "", **program.sources()}.items():
        (tmp_path / "mlops_hosts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mlops_hosts" / name).write_text(text)
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); "
        f"import mlops_hosts.{program.entry}; "
        "print(json.dumps([name for name in sys.modules if name.startswith('mlops_hosts.')]))"
    )
    said = subprocess.run([sys.executable, "-ISBc", code, tmp_path], check=True, capture_output=True, text=True)
    names = {name[: -len(".py")].replace("/", ".").replace(".__init__", "") for name in program.sources()}
    assert {name[len("mlops_hosts.") :] for name in json.loads(said.stdout)} == names
