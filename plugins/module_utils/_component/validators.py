# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Lets the program that will read a new file accept it before it counts."""

from __future__ import annotations

import os
import re
import tempfile
import typing as t

from .._errors import HostError
from .._runner import NOT_FOUND, Runner, must
from . import fs_entry
from .changes import PathChange

_VALIDATE_TIMEOUT_S = 60


class _NotInstalled(HostError):
    """The program that validates is not there."""


def validate(change: PathChange, others: t.Iterable[PathChange], run: Runner) -> None:
    """Let the program that will read a staged file accept it. ``beside`` are the other changes that are staged."""
    if not change.validate or change.after.kind != "file":
        return
    if change.validate_as is None and not change.validate_with:
        _run_validator(change, fs_entry.staged_path(change.path), run)
        return
    with tempfile.TemporaryDirectory(prefix=".mlops-", dir=os.path.dirname(change.path)) as directory:
        _run_validator(change, _copy(change, others, directory), run)


def rehearse(changes: t.Sequence[PathChange], run: Runner, *, pending: bool) -> list[str]:
    """Validate in check mode, on copies outside the host's places.

    Returns the files that only a real run can validate: the validator is not there yet, or ``pending`` packages may
    bring what it misses.
    """
    later = []
    for change in changes:
        if change.validate and change.after.kind == "file":
            with tempfile.TemporaryDirectory(prefix="mlops.hosts-") as directory:
                try:
                    _run_validator(change, _copy(change, changes, directory), run)
                except HostError as exc:
                    if not pending and not isinstance(exc, _NotInstalled):
                        raise
                    later.append(f"{change.path}: {change.validate[0]}")
    return later


def _copy(change: PathChange, others: t.Iterable[PathChange], directory: str) -> str:
    """A copy of the new file for its validator, in which the names of ``validate_with`` lead to copies of their new
    contents: none of them is in its place yet."""
    content = change.after.content or b""
    for number, other in enumerate(others):
        if other.path in change.validate_with and other.after.kind == "file":
            named = os.path.join(directory, f".{number}-{os.path.basename(other.path)}")
            _write_private(named, other.after.content or b"")
            whole_name = rb"(?<![\w./-])" + re.escape(other.path.encode()) + rb"(?![\w./-])"
            content = named.encode().join(re.split(whole_name, content))
    copy = os.path.join(directory, change.validate_as or os.path.basename(change.path))
    _write_private(copy, content)
    return copy


def _write_private(path: str, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as out:
        out.write(content)


def _run_validator(change: PathChange, path: str, run: Runner) -> None:
    argv = [part.replace("{staged}", path) for part in change.validate]
    done = run(*argv, timeout_s=_VALIDATE_TIMEOUT_S)
    if done.rc == NOT_FOUND:
        raise _NotInstalled(f"{change.path} cannot be validated: {argv[0]} is not installed")
    if change.secret and done.rc != 0:
        raise HostError(f"{change.path} is refused by {argv[0]} (exit status {done.rc}); its output may hold a secret")
    must(done, f"the new {change.path} is refused, the old one stays", why=done.reason)
