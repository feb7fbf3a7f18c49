# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the scenarios of the engine, and of what users do with the whole site, with ansible-core versions other than the
pinned one, deprecation warnings on, or the sanity tests that these versions bring."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
# Versions of ansible-core, and the Pythons that their controllers may have.
CORES = {
    "2.18": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
    "2.22": ("3.13", "3.14"),
}
# Of these there is no final release yet, but one that comes before it.
CANDIDATES = {"2.22": "2.22.0rc1"}
SCENARIOS = ("component", "as_users_do")
# No scenario: the tests of that version's ansible-test.
SANITY = "sanity"
# What tools/scenario.py, tools.hosts and the scenarios' tools need besides.
NEEDED = ("molecule", "docker", "cryptography", "gguf", "jmespath")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cores", nargs="*", metavar="VERSION", help=f"one of {', '.join(CORES)}; all by default")
    parser.add_argument(
        "--scenario", action="append", choices=(*SCENARIOS, SANITY), help=f"all but {SANITY} by default"
    )
    options = parser.parse_args(argv)
    if unknown := [core for core in options.cores if core not in CORES]:
        parser.error(f"{', '.join(unknown)} is not tested; versions are {', '.join(CORES)}")
    outcomes = {core: _outcome(core, options.scenario or SCENARIOS) for core in options.cores or CORES}
    for core, outcome in outcomes.items():
        print(f"compat: ansible-core {core}: {outcome}", flush=True)
    return 1 if any(outcome.startswith("failed") for outcome in outcomes.values()) else 0


def _outcome(core: str, rings: Sequence[str]) -> str:
    python = next((found for version in CORES[core] if (found := _python(version))), None)
    if python is None:
        return f"not run, for this machine has no Python {' or '.join(CORES[core])}"
    inside = _environment(core, python)
    failed = [name for name in rings if not (_is_sane(core, inside) if name == SANITY else _passes(inside, name))]
    return f"failed: {', '.join(failed)}" if failed else f"passed: {', '.join(rings)}"


def _is_sane(core: str, python: Path) -> bool:
    passes = (["tools/release/sanity.py", "--ansible-test"], ["tools/runs.py", f"ansible-core-{core}/{SANITY}"])
    return all(subprocess.run([python, *argv], cwd=ROOT, check=False).returncode == 0 for argv in passes)


def _passes(python: Path, scenario: str) -> bool:
    done = subprocess.run(
        [python, ROOT / "tools/scenario.py", scenario],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_DEPRECATION_WARNINGS": "true"},
        check=False,
    )
    log = (BUILD / "log" / f"molecule-{scenario}.log").read_text(errors="replace")
    warnings = sorted(set(re.findall(r"^\[DEPRECATION WARNING\].*", log, re.MULTILINE)))
    print("".join(f"{line}\n" for line in warnings), end="", flush=True)
    return not (done.returncode or warnings)


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
        [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-U", _requirement(core), *locked],
        check=True,
    )
    return inside


def _requirement(core: str) -> str:
    """The newest release of it, and a candidate where that is all that there is."""
    candidate = CANDIDATES.get(core)
    return f"ansible-core>={candidate},<{core}.999" if candidate else f"ansible-core=={core}.*"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
