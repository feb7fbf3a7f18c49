# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Runner over the fakes of tools/fakes/fake_gpu_tools: they run in this process, on a state of their own."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pathlib
import subprocess
import sys

from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import not_installed

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "fakes"
if str(TOOLS) not in sys.path:
    sys.path.append(str(TOOLS))
PROGRAMS = importlib.import_module("fake_gpu_tools").PROGRAMS


class FakeGpuHost:
    """A machine that the fakes simulate. ``apart``: programs run in processes of their own, to hang and to crash."""

    def __init__(self, path, monkeypatch, machine, driver="580.95.05", *options, apart=False):
        self.path, self.apart = path, apart
        monkeypatch.setenv("FAKE_GPU_STATE", str(path))
        monkeypatch.setenv("FAKE_GPU_PROC", str(path / "proc"))
        (path / "proc").mkdir(exist_ok=True)
        self.control("init", "--machine", machine, "--driver", driver, *options)

    def __call__(self, *argv, timeout_s=None, stdin=None):
        if argv[0] not in PROGRAMS:
            return not_installed(argv)
        if self.apart:
            return self._apart(argv, timeout_s)
        stdout, stderr = io.StringIO(), io.StringIO()
        program = importlib.import_module(f"fake_gpu_tools.{PROGRAMS[argv[0]]}")
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            rc = program.main(argv[1:])
        return Completed(argv, rc, stdout.getvalue(), stderr.getvalue())

    def _apart(self, argv, timeout_s):
        command = [sys.executable, "-m", "fake_gpu_tools", *argv]
        environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return Completed(argv, 124, "", "", timed_out=True)
        return Completed(argv, done.returncode, done.stdout, done.stderr)

    def smi(self, *argv):
        return self("nvidia-smi", *argv)

    def control(self, *argv):
        done = self("fake-gpu", *argv)
        assert done.rc == 0, done.stderr
        return done.stdout

    @property
    def gpus(self):
        return json.loads(self.control("show"))["gpus"]
