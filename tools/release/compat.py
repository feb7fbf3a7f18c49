# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run scenario component with ansible-core versions other than the pinned one, deprecation warnings on.

compat.py            all versions that a Python of this machine can run
compat.py 2.18 ...   these
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
LOG = BUILD / "log" / "molecule-component.log"
# Versions of ansible-core, and the Pythons that their controllers may have.
CORES = {
    "2.18": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
}
# What tools/scenario.py and tools.hosts need besides.
NEEDED = ("molecule", "docker")


def main(argv: list[str]) -> int:
    unknown = [core for core in argv if core not in CORES]
    if unknown:
        print(f"compat: {', '.join(unknown)} is not tested; versions are {', '.join(CORES)}", file=sys.stderr)
        return 2
    outcomes = {core: _outcome(core) for core in argv or CORES}
    for core, outcome in outcomes.items():
        print(f"compat: ansible-core {core}: {outcome}", flush=True)
    return 1 if "failed" in outcomes.values() else 0


def _outcome(core: str) -> str:
    python = next((found for version in CORES[core] if (found := _python(version))), None)
    if python is None:
        return f"not run, for this machine has no Python {' or '.join(CORES[core])}"
    inside = _environment(core, python)
    done = subprocess.run(
        [inside, ROOT / "tools/scenario.py", "component"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_DEPRECATION_WARNINGS": "true"},
        check=False,
    )
    warnings = sorted(set(re.findall(r"^\[DEPRECATION WARNING\].*", LOG.read_text(errors="replace"), re.MULTILINE)))
    print("".join(f"{line}\n" for line in warnings), end="", flush=True)
    return "failed" if done.returncode or warnings else "passed"


def _python(version: str) -> str | None:
    program = shutil.which(f"python{version}")
    # Launchers that only pretend (pyenv has some) are not counted.
    works = program and subprocess.run([program, "-c", "import ensurepip"], capture_output=True, check=False)
    return program if works and works.returncode == 0 else None


def _environment(core: str, python: str) -> Path:
    """Python of a virtual environment with the newest release of that ansible-core, and tools as in .venv."""
    folder = BUILD / "compat" / core
    inside = folder / "bin/python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    locked = re.findall(rf"^(?:{'|'.join(NEEDED)})==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    subprocess.run(
        [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-U", f"ansible-core=={core}.*", *locked],
        check=True,
    )
    return inside


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
