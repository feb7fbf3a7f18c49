# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real environments, made by the Python that runs the tests, from wheels that the tests make."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._holders import runners
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.arguments import SPEC
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.environment import (
    RunEnvironment,
    desired,
    ensure,
)
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.fast_check import fast_check
from ansible_collections.mlops.hosts.plugins.module_utils._runner import PlainRunner

ROOT = pathlib.Path(__file__).resolve().parents[5]
sys.path.insert(0, str(ROOT / "tools/fakes"))
from tiny_wheel import wheel  # noqa: E402


class Index:
    """A package index in a folder, and what asks for it."""

    def __init__(self, path: pathlib.Path) -> None:
        self.packages = path / "index"
        self.base = path / "environments"

    def given(self, requirements: str, **options: object) -> dict[str, object]:
        defaults = {name: option.get("default") for name, option in SPEC.items()}
        own = {"name": "demo", "base": str(self.base), "python": sys.executable, "retries": 0}
        return {**defaults, **own, "index_url": self.packages.as_uri(), "requirements": requirements, **options}

    def ensure(self, requirements: str, **options: object) -> dict[str, object]:
        host = RunEnvironment(
            run=PlainRunner(), clock=time.monotonic, sleep=time.sleep, variables=os.environ, unit_files=dict
        )
        return ensure(desired(self.given(requirements, **options)), host, dry_run=False)


@pytest.fixture
def index(tmp_path):
    return Index(tmp_path)


def says(environment):
    done = subprocess.run([f"{environment['path']}/bin/demo"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_life_of_environments(index):
    dependency = wheel("dep", "1.0", index.packages)
    first = f"{wheel('demo', '1.0', index.packages, requires=('dep',))}\n{dependency}\n"
    one = index.ensure(first)
    assert says(one) == "1.0"
    assert one["packages"] == [{"name": "demo", "version": "1.0"}, {"name": "dep", "version": "1.0"}]
    for given in (index.given(first), index.given(first, verify="full")):
        assert fast_check(given, run=PlainRunner(), check_mode=False) == {
            **one,
            "changed": False,
            "drift": [],
            "diff": {"before": {}, "after": {}},
        }
    listed = subprocess.run([one["python"], "-m", "pip"], capture_output=True, text=True)
    assert "No module named pip" in listed.stderr
    compiled = [*pathlib.Path(one["path"]).glob("lib/*/site-packages/*/__pycache__/*.pyc")]
    assert len(compiled) == 2
    there = [path.lstat() for path in pathlib.Path(one["path"]).rglob("*") if not path.is_symlink()]
    assert {(one.st_uid, one.st_mode & 0o022) for one in there} == {(os.geteuid(), 0)}

    # Somebody puts another file into the index in the place of the one that the set means.
    second = first.replace(dependency, wheel("dep", "1.1", index.packages))
    wheel("dep", "1.1", index.packages, text="changed")
    with pytest.raises(HostError, match=r"dep==1\.1 has the sha256 [0-9a-f]{64}, and none that the set has"):
        index.ensure(second)
    assert {*os.listdir(index.base / "demo")} == {os.path.basename(one["path"]), ".lock"}
    assert says(one) == "1.0" and not index.ensure(first)["changed"]

    # The program of a server names its environment, though the interpreter is a link to the host's.
    with subprocess.Popen([one["python"], "-c", "input()"], stdin=subprocess.PIPE) as server:
        assert [holder.pid for holder in runners([one["path"]])[one["path"]]] == [server.pid]


def test_a_run_that_is_killed_is_begun_anew_by_the_next_from_a_folder_of_wheels(index):
    line = wheel("demo", "1.0", index.packages)
    program = (
        "import importlib, sys, types\n"
        "package = types.ModuleType('hosts'); package.__path__ = [sys.argv[1]]; sys.modules['hosts'] = package\n"
        "check = importlib.import_module('hosts._python_environment.environment')\n"
        "runner = importlib.import_module('hosts._runner')\n"
        "import json, time\n"
        "host = check.RunEnvironment(run=runner.PlainRunner(), clock=time.monotonic, sleep=time.sleep, variables={})\n"
        "check.ensure(check.desired(json.loads(sys.argv[2])), host, dry_run=False)\n"
    )
    argv = [sys.executable, "-c", program, str(ROOT / "plugins/module_utils"), json.dumps(index.given(line))]
    with subprocess.Popen(argv, start_new_session=True) as run:
        while not [*index.base.glob("demo/*/.work/requirements.txt")]:
            assert run.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGKILL)
    assert fast_check(index.given(line), run=PlainRunner(), check_mode=False) is None
    planned = fast_check(index.given(line), run=PlainRunner(), check_mode=True)
    assert planned["drift"][0]["have"] == "it is not complete"
    done = index.ensure(line, index_url=None, wheels=str(index.packages / "demo"))
    assert done["changed"] and says(done) == "1.0" and not index.ensure(line)["changed"]


def test_a_set_that_lacks_what_it_requires_is_taken_as_it_is_where_that_is_desired(index):
    line = wheel("demo", "1.0", index.packages, requires=('dep==1.0; python_version > "3"',))
    with pytest.raises(HostError, match="the packages of the environment demo cannot be installed: .* dep"):
        index.ensure(line)
    done = index.ensure(line, complete=False)
    assert [one["name"] for one in done["packages"]] == ["demo"] and says(done) == "1.0"
    assert not index.ensure(line)["changed"]
