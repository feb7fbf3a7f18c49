# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Text of files: of those that need not be there, and of those that others read at any time."""

from __future__ import annotations

import contextlib
import os


def read(path: str) -> str:
    """The text; empty where the file is not there or cannot be read, of which somebody else has to say so."""
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read()
    except OSError:
        return ""


def write(path: str, text: str, *, mode: int = 0o644, durable: bool = False) -> None:
    """In one step: whoever reads meanwhile has the text before or this one, also after a crash where it is durable.

    What is staged is named so that node_exporter does not read it, which reads hidden files, too. On a full disk
    nothing of it stays.
    """
    staged = f"{path}.new"
    try:
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(staged, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(staged)
        raise
    if durable:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
