#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the fakes of tools/fakes/fake_gpu_tools on a test host, and let them simulate a machine.

    fake_gpu_install.py < desired.json

desired.json has: files (name: text, of the package), machine, driver, and where needed toolkit, rocm, virtualization
and programs: those that are in the path, nvidia-smi without it. All of them are in HOME/bin, where the fake packages of
the toolkits find nvidia-ctk and amd-ctk. With "state": "absent" all of it goes. It says "changed" when it has changed
something.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys

HOME = pathlib.Path("/usr/local/lib/fake-gpu-tools")
STATE = pathlib.Path("/var/lib/fake-gpu")
CONTROL = pathlib.Path("/usr/local/bin/fake-gpu")
IN_PATH = ("nvidia-smi", "amd-smi", "dcgmi", "nvbandwidth")
PROGRAMS = (*IN_PATH, "nvidia-ctk", "amd-ctk", CONTROL.name)
LAUNCHER = """#!/bin/sh
# A fake of {name}, for tests.
PYTHONPATH={home} exec python3 -m fake_gpu_tools {name} "$@"
"""


def main() -> None:
    desired = json.load(sys.stdin)
    noted = HOME / "desired.json"
    if desired.get("state") == "absent":
        if HOME.exists():
            take_away()
            print("changed")
        return
    text = json.dumps(desired, sort_keys=True)
    if noted.exists() and noted.read_text() == text:
        return
    package = HOME / "fake_gpu_tools"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for name, content in desired["files"].items():
        (package / name).write_text(f"{content}\n")
    (HOME / "bin").mkdir(exist_ok=True)
    for name in PROGRAMS:
        launcher = HOME / "bin" / name
        launcher.write_text(LAUNCHER.format(name=name, home=HOME))
        launcher.chmod(0o755)
    link([*desired.get("programs", ["nvidia-smi"]), CONTROL.name])
    options = [
        f"--{key}={desired[key]}"
        for key in ("machine", "driver", "toolkit", "rocm", "virtualization")
        if key in desired
    ]
    subprocess.run([CONTROL, "init", *options], check=True)
    noted.write_text(text)
    print("changed")


def link(programs: list[str]) -> None:
    """These are in the path, and others are not."""
    for path in (*(pathlib.Path("/usr/bin") / name for name in IN_PATH), CONTROL):
        if path.is_symlink():
            path.unlink()
        if path.name in programs:
            path.symlink_to(HOME / "bin" / path.name)


def take_away() -> None:
    link([])
    shutil.rmtree(HOME)
    shutil.rmtree(STATE, ignore_errors=True)


if __name__ == "__main__":
    main()
