# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that is simulated, for tests that need no real environment."""

from __future__ import annotations

import json
import os
import pathlib
import sys

from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.markers import VARIABLES
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.requirements import parse
from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed
from ansible_collections.mlops.hosts.tests.unit.fakes import Replay, _Runner

DEMO = f"demo==1.0 --hash=sha256:{'a' * 64}\n"
SET = f"{DEMO}the.dep==2.0+cpu --hash=sha256:{'b' * 64}\n"


class FakePython(_Runner):
    """A Python that is simulated, with its venv and its pip. ``says``: what a step does in place of what it should."""

    bounded = True

    def __init__(self, version: str) -> None:
        super().__init__()
        self.version = version
        self.missing: list[str] = []
        self.says: dict[str, object] = {}
        self.seen: dict[str, str] = {}

    def answer(self, argv: tuple[str, ...]) -> Completed:
        step = next((word for word in ("venv", "install", "check", "sync", "-c") if word in argv), "?")
        instead = self.says.get(step)
        if isinstance(instead, BaseException):
            raise instead
        if isinstance(instead, str):
            return Replay(instead)(*argv, timeout_s=1)
        getattr(self, {"-c": "tell"}.get(step, step))(argv)
        return Completed(argv, 0, self.told if step == "-c" else "", "")

    @property
    def told(self) -> str:
        variables = {**dict.fromkeys(VARIABLES, ""), "python_version": self.version, "sys_platform": "linux"}
        return json.dumps({"version": self.version, "missing": self.missing, "variables": variables})

    def tell(self, argv: tuple[str, ...]) -> None:
        pass

    def venv(self, argv: tuple[str, ...]) -> None:
        top = pathlib.Path(argv[-1])
        packages = top / f"lib/python{self.version}/site-packages"
        packages.mkdir(parents=True)
        (top / "bin").mkdir()
        (top / "bin/python").symlink_to(sys.executable)
        if "--without-pip" not in argv:
            for name in ("pip", "pip-1.dist-info", "setuptools"):
                (packages / name).mkdir()
            (packages / "distutils-precedence.pth").touch()

    def install(self, argv: tuple[str, ...]) -> None:
        (file,) = (word.partition("=")[2] for word in argv if word.startswith("--requirement="))
        self.seen = {path.name: path.read_text() for path in pathlib.Path(file).parent.iterdir() if path.is_file()}
        self.seen["tool"] = " ".join(sorted(os.listdir(os.path.dirname(argv[argv.index("install") - 1]))))
        packages = pathlib.Path(file).parents[1] / f"lib/python{self.version}/site-packages"
        for one in parse(self.seen["requirements.txt"]):
            if "win32" not in one.marker:
                folder = packages / f"{one.name.replace('-', '_')}-{one.version}.dist-info"
                folder.mkdir()
                (folder / "RECORD").write_text("")

    def check(self, argv: tuple[str, ...]) -> None:
        pass

    def sync(self, argv: tuple[str, ...]) -> None:
        pass
