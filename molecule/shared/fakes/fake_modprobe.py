#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulate modprobe for NVIDIA's modules: what is loaded is what is built for the kernel that is simulated to run.

    modprobe nvidia
    modprobe -r nvidia_uvm nvidia

The kernel's files are those of fake_gpu.py beside this. All else is for the real modprobe.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import fake_gpu

REAL = "/usr/sbin/modprobe"
OURS = {"nvidia", "nvidia_uvm"}


def main() -> None:
    names = {word for word in sys.argv[1:] if not word.startswith("-")}
    if not names or not names <= OURS:
        os.execv(REAL, [REAL, *sys.argv[1:]])
    simulated = json.loads((fake_gpu.ROOT / "desired.json").read_text())
    if "-r" in sys.argv[1:]:
        if (simulated.get("loaded") or {}).get("refcount"):
            sys.exit("modprobe: FATAL: Module nvidia is in use.")
        fake_gpu.simulate({**simulated, "loaded": None, "kernel_driver": None})
    else:
        fake_gpu.simulate({**simulated, "loaded": built(), "kernel_driver": "nvidia"})


def built() -> dict[str, Any]:
    """The module that is there for the kernel, as what is loaded."""
    release = pathlib.Path("/proc/sys/kernel/osrelease").read_text().strip()
    found = next(pathlib.Path("/lib/modules", release).glob("updates/dkms/nvidia.ko*"), None)
    if found is None:
        sys.exit(f"modprobe: FATAL: Module nvidia not found in directory /lib/modules/{release}")
    version, license_ = (
        subprocess.run(["modinfo", "-F", field, found], capture_output=True, text=True, check=True).stdout.strip()
        for field in ("version", "license")
    )
    flavour = "proprietary" if license_ == "NVIDIA" else "open"
    return {"version": version, "flavour": flavour, "dependents": ["nvidia_uvm"]}


if __name__ == "__main__":
    main()
