# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where a document of Terraform comes from: a file, or the program, which is run for nothing else."""

from __future__ import annotations

import pathlib
import subprocess

from ...module_utils._errors import HostError


def read(path: pathlib.Path) -> str:
    """HostError for a file that cannot be read, and for a state that a run of Terraform has locked."""
    lock = path.with_name(f".{path.name}.lock.info")
    if lock.exists():
        raise HostError(
            f"{path} is locked by a run of Terraform, which changes it ({lock.name}); run Ansible when that has ended, "
            "or remove the lock of a run that was killed with terraform force-unlock"
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise HostError(f"{path} must be a file that can be read ({exc})") from exc


def show(program: str, project: pathlib.Path, *, timeout_s: int) -> str:
    """What ``PROGRAM show -json`` prints in the folder."""
    argv = [program, "show", "-json"]
    try:
        done = subprocess.run(
            argv, cwd=project, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"{' '.join(argv)} did not end within {timeout_s} s in {project}; see timeout_s") from None
    except OSError as exc:
        raise HostError(f"{program} must be a program and {project} a folder ({exc})") from exc
    if done.returncode:
        said = " ".join(done.stderr.split()) or "it said nothing"
        raise HostError(f"{' '.join(argv)} exited with status {done.returncode} in {project}: {said}")
    return done.stdout
