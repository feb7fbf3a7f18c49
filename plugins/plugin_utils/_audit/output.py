# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Where the reports go. The only file here that touches the disk."""

from __future__ import annotations

import contextlib
import os
import tempfile
import typing as t


class OutputError(Exception):
    """The folder cannot be used; the text is for a person."""


class Output:
    """A folder that can be written to."""

    def __init__(self, folder: str, option: str = "audit_dir") -> None:
        """Make the folder and write to it, so that an audit does not end with nowhere to go. Raises OutputError, which
        names ``option``."""
        self.folder = os.path.abspath(os.path.expanduser(folder))
        try:
            os.makedirs(self.folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as exc:
            raise OutputError(
                f"{option} {self.folder} cannot be written: {exc.strerror or exc}; name a folder that can"
            ) from exc

    def write(self, texts: t.Mapping[str, str]) -> list[str]:
        """Replace each file as a whole. Returns the paths. Raises OutputError."""
        paths = []
        for name, text in texts.items():
            paths.append(os.path.join(self.folder, name))
            _replace(paths[-1], text)
        return paths


class Textfile:
    """A file in a directory that node_exporter reads, which has to be there."""

    def __init__(self, folder: str, name: str) -> None:
        """Write to the folder, as above. Raises OutputError."""
        self.path = os.path.join(os.path.expanduser(folder), name)
        if not folder.startswith(("/", "~")) or not os.path.isdir(os.path.dirname(self.path)):
            raise OutputError(
                f"audit_textfile_dir must be a directory of this machine, by an absolute path, and {folder} is none; "
                "set it to that of node_exporter's option --collector.textfile.directory"
            )
        try:
            with tempfile.TemporaryFile(dir=os.path.dirname(self.path)):
                pass
        except OSError as exc:
            raise OutputError(
                f"audit_textfile_dir {folder} cannot be written: {exc.strerror or exc}; "
                "let the user of the audit write there"
            ) from exc

    def read(self) -> str:
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def write(self, text: str) -> None:
        """Replace it. Raises OutputError."""
        _replace(self.path, text, mode=0o644)


def _replace(path: str, text: str, mode: int | None = None) -> None:
    # The ending also keeps node_exporter from reading it before it is complete.
    staged = f"{path}.{os.getpid()}.new"
    try:
        # A result may hold bytes that are no text. As \udcxx they are still right in JSON.
        with open(staged, "w", encoding="utf-8", errors="backslashreplace") as out:
            if mode is not None:
                os.fchmod(out.fileno(), mode)
            out.write(text)
        os.replace(staged, path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            os.unlink(staged)
        raise OutputError(f"{path} cannot be written: {exc.strerror or exc}") from exc
