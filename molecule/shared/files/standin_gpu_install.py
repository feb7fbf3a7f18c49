#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the stand-ins of tools/standin_gpu_tools on a test host, and let them play a machine.

    standin_gpu_install.py < wish.json

wish.json has: files (name: text, of the package), machine, driver, and where wanted toolkit, rocm, virtualization and
programs: those that are laid down, nvidia-smi without it. With nvidia-ctk come stand-ins of the units that refresh the
CDI specification. With "state": "absent" all of it goes. It says "changed" when it has changed something.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys

HOME = pathlib.Path("/usr/local/lib/standin-gpu-tools")
STATE = pathlib.Path("/var/lib/standin-gpu")
CONTROL = pathlib.Path("/usr/local/bin/standin-gpu")
PROGRAMS = ("nvidia-smi", "nvidia-ctk", "amd-smi", "amd-ctk")
UNITS = pathlib.Path("/etc/systemd/system")
REFRESH = "nvidia-cdi-refresh"
ENVIRONMENT = pathlib.Path("/etc/nvidia-container-toolkit/nvidia-cdi-refresh.env")
# The real service looks for nvidia.ko in modules.dep as well, which no test host has.
SERVICE = f"""[Unit]
Description=Refresh the CDI specification of NVIDIA's GPUs (stand-in)
ConditionPathExists=/usr/bin/nvidia-smi
ConditionPathExists=/usr/bin/nvidia-ctk

[Service]
Type=oneshot
Environment=NVIDIA_CTK_CDI_OUTPUT_FILE_PATH=/var/run/cdi/nvidia.yaml
EnvironmentFile=-{ENVIRONMENT}
ExecCondition=/usr/bin/nvidia-smi -L
ExecStart=/usr/bin/nvidia-ctk cdi generate

[Install]
WantedBy=multi-user.target
"""
WATCH = """[Unit]
Description=Refresh the CDI specification when the toolkit changes (stand-in)

[Path]
PathChanged=/usr/bin/nvidia-ctk

[Install]
WantedBy=multi-user.target
"""
LAUNCHER = """#!/bin/sh
# A stand-in of {name}, for tests.
PYTHONPATH={home} exec python3 -m standin_gpu_tools {name} "$@"
"""


def main() -> None:
    wish = json.load(sys.stdin)
    noted = HOME / "wish.json"
    if wish.get("state") == "absent":
        if HOME.exists():
            take_away()
            print("changed")
        return
    text = json.dumps(wish, sort_keys=True)
    if noted.exists() and noted.read_text() == text:
        return
    package = HOME / "standin_gpu_tools"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for name, content in wish["files"].items():
        (package / name).write_text(f"{content}\n")
    wanted = wish.get("programs", ["nvidia-smi"])
    for name in PROGRAMS:
        lay(pathlib.Path("/usr/bin") / name, name if name in wanted else None)
    lay(CONTROL, CONTROL.name)
    options = [
        f"--{key}={wish[key]}" for key in ("machine", "driver", "toolkit", "rocm", "virtualization") if key in wish
    ]
    subprocess.run([CONTROL, "init", *options], check=True)
    refresh("nvidia-ctk" in wanted)
    noted.write_text(text)
    print("changed")


def lay(path: pathlib.Path, name: str | None) -> None:
    """The launcher of a program, or no launcher of ours there."""
    if name is not None:
        path.write_text(LAUNCHER.format(name=name, home=HOME))
        path.chmod(0o755)
    elif path.exists() and str(HOME) in path.read_bytes()[:200].decode(errors="replace"):
        path.unlink()


def refresh(wanted: bool) -> None:
    """The units, started as the package's own are."""
    service, watch = (UNITS / f"{REFRESH}.{kind}" for kind in ("service", "path"))
    if wanted:
        ENVIRONMENT.parent.mkdir(exist_ok=True)
        if not ENVIRONMENT.exists():
            ENVIRONMENT.write_text("# Environment of nvidia-cdi-refresh.service (stand-in)\n")
        service.write_text(SERVICE)
        watch.write_text(WATCH)
    elif not service.exists():
        return
    else:
        subprocess.run(["systemctl", "disable", "--quiet", "--now", service.name, watch.name], check=True)
        service.unlink()
        watch.unlink()
        ENVIRONMENT.unlink(missing_ok=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    if wanted:
        subprocess.run(["systemctl", "enable", "--quiet", "--now", service.name, watch.name], check=True)


def take_away() -> None:
    refresh(False)
    for name in PROGRAMS:
        lay(pathlib.Path("/usr/bin") / name, None)
    CONTROL.unlink()
    shutil.rmtree(HOME)
    shutil.rmtree(STATE, ignore_errors=True)


if __name__ == "__main__":
    main()
